// Helpers of the recorders: start nodes, play groups of scenarios side by side, watch Redis, build clients.
import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import net from "node:net";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
const require = createRequire(process.cwd() + "/");
export const signalR = require("@microsoft/signalr");
export const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");

/** Prints the recording and ends the process, whatever is still open. */
export function finish(text) { process.stdout.write(text + "\n", () => process.exit(0)); }
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

/**
 * Starts a node on a free port; resolves to {url, pid, stop}. The program is NODE_COMMAND, words divided by blanks
 * ("path/to/node"), or else the reference node (REFERENCE_DLL). A node takes --urls and prints "READY <url>".
 * A node that ends unasked, or not with status 0 (a data race that Go's detector found, for one), ends the recorder.
 */
export async function node(args = [], command = process.env.NODE_COMMAND ?? `dotnet ${process.env.REFERENCE_DLL}`) {
    const [program, ...words] = command.split(" ");
    const p = spawn(program, [...words, "--urls", "http://127.0.0.1:0", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "", asked = false;
    const fail = (how) => { process.stderr.write(`the node ${args.join(" ")} ${how}\n`); process.exit(3); };
    p.on("error", (e) => fail(`does not start: ${e.message}`));
    const ended = new Promise((ok) => p.on("exit", (code, signal) => {
        if (code !== 0 || !asked) fail(`ended ${asked ? "" : "unasked "}with ${signal ?? `status ${code}`}`);
        ok();
    }));
    const url = await new Promise((ok) => p.stdout.on("data", (d) => { out += d; const m = out.match(/READY (\S+)/); if (m) ok(m[1]); }));
    return { url, pid: p.pid, stop() { asked = true; p.kill("SIGTERM"); return ended; } };
}

// --- what is played -------------------------------------------------------------------------------------------------
const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { names: { type: "string" }, without: { type: "string", multiple: true, default: [] }, jobs: { type: "string", default: "6" } } });
const names = options.names && new Set(JSON.parse(readFileSync(options.names)));

/**
 * Reports whether the scenario of this name is to be played. The command line says which: WORD, those whose name holds it;
 * --names FILE, those in the file's JSON list; --without WORD (again and again), not those whose name holds it.
 * Names are those that compare.mjs prints, without the number of a name that occurs again.
 */
export function chosen(name) {
    return (positionals[0] === undefined || name.includes(positionals[0])) && (!names || names.has(name)) && !options.without.some((word) => name.includes(word));
}

/** Calls f for each item, --jobs of them at once. */
export async function sideBySide(items, f) {
    const rest = [...items.entries()];
    await Promise.all(Array.from({ length: Number(options.jobs) }, async () => { for (let next; (next = rest.shift()); ) await f(next[1], next[0]); }));
}

/**
 * Groups of scenarios, each played on a node of its own, several nodes at once. What a group records is in the order
 * in which the groups were announced, not in that of time.
 */
export class Stage {
    #parts = [];
    #here = new AsyncLocalStorage();

    /** Announces what is to be played on a node with these arguments; f calls scenario. */
    onNode(args, f) { this.#parts.push({ args, f, groups: [] }); }
    /** Begins a group; `list` is the name of its list of scenarios. */
    start(group, list) { const part = this.#here.getStore(); part.groups.push(group); part.scenarios = group[list] = []; process.stderr.write(`${group.name ?? group.group}\n`); }
    /** The node of the group that calls; it is started for the first scenario that is chosen. */
    get node() { return this.#here.getStore().node; }
    /** Plays one scenario of the current group: f returns what is recorded. */
    async scenario(name, f) {
        const part = this.#here.getStore(), group = part.groups.at(-1), full = `${group.name ?? group.group} / ${name}`;
        if (!chosen(full)) return;
        part.node ??= await node(part.args);
        part.scenarios.push(await f(part.node));
    }
    /** Plays everything that was announced and returns the groups that have scenarios. */
    async play() {
        await sideBySide(this.#parts, (part) => this.#here.run(part, async () => { await part.f(); await part.node?.stop(); }));
        return this.#parts.flatMap((p) => p.groups).filter((g) => (g.scenarios ?? g.cases).length > 0);
    }
}

// --- Redis and clients ----------------------------------------------------------------------------------------------
/** A minimal RESP2 reader: yields replies with bulk strings as Buffers. */
export class Resp {
    constructor(port, onReply) {
        this.buf = Buffer.alloc(0);
        this.socket = net.connect(port, "127.0.0.1");
        this.socket.on("data", (d) => {
            this.buf = Buffer.concat([this.buf, d]);
            for (;;) { const r = this.parse(0); if (!r) break; this.buf = this.buf.subarray(r[1]); onReply(r[0]); }
        });
    }
    parse(at) {
        const eol = this.buf.indexOf("\r\n", at);
        if (eol < 0) return null;
        const line = this.buf.toString("latin1", at + 1, eol), next = eol + 2;
        switch (this.buf[at]) {
            case 0x2b: case 0x2d: return [line, next];
            case 0x3a: return [Number(line), next];
            case 0x24: { const n = Number(line); if (n < 0) return [null, next]; return this.buf.length < next + n + 2 ? null : [this.buf.subarray(next, next + n), next + n + 2]; }
            case 0x2a: { const items = []; let p = next; for (let i = 0; i < Number(line); i++) { const r = this.parse(p); if (!r) return null; items.push(r[0]); p = r[1]; } return [items, p]; }
        }
        throw new Error("RESP: " + this.buf.toString("latin1", at, at + 20));
    }
    send(...words) { this.socket.write(`*${words.length}\r\n` + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("")); }
    close() { this.socket.destroy(); }
}

/** Records every published message and, by MONITOR, every SUBSCRIBE and UNSUBSCRIBE, in order of arrival. */
export async function watchRedis(port) {
    const messages = [], commands = [];
    const sub = new Resp(port, (r) => { if (Array.isArray(r) && String(r[0]) === "pmessage") messages.push({ channel: String(r[2]), payload: r[3].toString("hex") }); });
    sub.send("PSUBSCRIBE", "*");
    const mon = new Resp(port, (r) => { if (typeof r === "string" && /"(UN)?SUBSCRIBE"/i.test(r)) commands.push(r.replace(/^[\d.]+ \[[^\]]*\] /, "")); });
    mon.send("MONITOR");
    await sleep(200);
    return { messages, commands, close() { sub.close(); mon.close(); } };
}

export async function client(url, { protocol = "json", transport = "WebSockets", user, on = {}, stateful = false } = {}) {
    const b = new signalR.HubConnectionBuilder()
        .withUrl(url + "/hub" + (user ? `?user=${encodeURIComponent(user)}` : ""), { transport: signalR.HttpTransportType[transport] })
        .configureLogging(signalR.LogLevel.None);
    if (protocol === "messagepack") b.withHubProtocol(new MessagePackHubProtocol());
    if (stateful) b.withStatefulReconnect();
    const c = b.build();
    c.received = [];
    c.on("M", (...a) => { c.received.push(a); });
    for (const [name, f] of Object.entries(on)) c.on(name, f);
    await c.start();
    return c;
}
