// Measures what is lost when Redis is lost: two nodes, a client of each in one group, a group send every 10 ms on the
// first node, and something that happens to Redis. Prints a line of a Markdown table for each fault.
//   NODE_COMMAND="path/to/node" node faults.mjs [WORD...]       # only faults whose name holds one of the words
//   NODE_COMMAND="path/to/node" REFERENCE_COMMAND="dotnet path/to/reference.dll" node faults.mjs    # the table of the README
// Run from a folder whose node_modules has @microsoft/signalr (that of ../conformance does). It needs redis-server, and
// takes about 20 s for each fault. The node is any that knows the flags and the hub of ../node.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import net from "node:net";
const signalR = createRequire(process.cwd() + "/")("@microsoft/signalr");
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

// atStart: the nodes start before Redis does. Where a node is cut off, each has a link to Redis of its own.
const faults = {
    "Redis down at start, there after 2 s": { atStart: true, play: async ({ redis }) => { await sleep(2000); await redis.start(); } },
    "Redis down at start, there after 15 s": { atStart: true, play: async ({ redis }) => { await sleep(15000); await redis.start(); } },
    "Redis killed, back after 0.1 s": { play: async ({ redis }) => { await redis.kill(); await sleep(100); await redis.start(); } },
    "Redis killed, back after 2 s": { play: async ({ redis }) => { await redis.kill(); await sleep(2000); await redis.start(); } },
    "Redis killed, back after 12 s": { play: async ({ redis }) => { await redis.kill(); await sleep(12000); await redis.start(); } },
    "`CLIENT KILL TYPE pubsub`": { play: ({ redis }) => redis.command("CLIENT", "KILL", "TYPE", "pubsub") },
    "`CLIENT KILL TYPE normal`": { play: ({ redis }) => redis.command("CLIENT", "KILL", "TYPE", "normal") },
    "`CLIENT PAUSE 3000 ALL`": { play: async ({ redis }) => { await redis.command("CLIENT", "PAUSE", "3000", "ALL"); await sleep(3000); } },
    "`CLIENT PAUSE 8000 ALL`": { play: async ({ redis }) => { await redis.command("CLIENT", "PAUSE", "8000", "ALL"); await sleep(8000); } },
    "output buffer limit of the subscribers hit": { play: overflow },
    "Redis frozen for 12 s": { play: async ({ redis }) => { redis.process.kill("SIGSTOP"); await sleep(12000); redis.process.kill("SIGCONT"); } },
    "sender's node cut off for 12 s": { play: async ({ links }) => { links[0].cut(); await sleep(12000); links[0].mend(); } },
    "other node cut off for 12 s": { play: async ({ links }) => { links[1].cut(); await sleep(12000); links[1].mend(); } },
};

/** One message of 1 MiB, of which Redis may keep half for a subscriber: it disconnects all of them. */
async function overflow({ redis }) {
    await redis.command("CONFIG", "SET", "client-output-buffer-limit", '"pubsub 524288 0 0"');
    const message = Buffer.concat([Buffer.from(`{"type":1,"target":"Big","arguments":["${"x".repeat(1 << 20)}"]}`), Buffer.from([0x1e])]);
    const length = Buffer.from([0xc6, 0, 0, 0, 0]);
    length.writeUInt32BE(message.length, 1);
    await redis.publish("Interop.TestHub:all", Buffer.concat([Buffer.from([0x92, 0x90, 0x81, 0xa4]), Buffer.from("json"), length, message]));
}

/** A TCP proxy before Redis that can go silent: no byte moves and no connection ends until it is mended. */
class Link {
    static async to(port) {
        const link = new Link();
        link.sockets = new Set();
        link.server = net.createServer((near) => {
            const far = net.connect(port, "127.0.0.1");
            for (const [from, to] of [[near, far], [far, near]]) {
                link.sockets.add(from);
                if (link.silent) from.pause();
                from.on("data", (d) => to.write(d));
                from.on("error", () => {});
                from.on("close", () => { link.sockets.delete(from); to.destroy(); });
            }
        }).listen(0, "127.0.0.1");
        await once(link.server, "listening");
        link.port = link.server.address().port;
        return link;
    }
    cut() { this.silent = true; for (const s of this.sockets) s.pause(); }
    mend() { this.silent = false; for (const s of this.sockets) s.resume(); }
    close() { this.server.close(); for (const s of this.sockets) s.destroy(); }
}

/** A redis-server of our own. */
class Redis {
    constructor(port) { this.port = port; }
    /** Another program may have got the port: then it is tried again, for a minute, on another port if it may be any. */
    async start({ anyPort } = {}) {
        for (const end = Date.now() + 60_000; Date.now() < end; await sleep(10)) {
            const child = spawn("redis-server", ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], { stdio: "ignore" });
            for (this.process = child; child.exitCode === null && Date.now() < end; await sleep(10)) {
                const answer = await this.command("PING").catch(() => "");
                if (answer.startsWith("+PONG") && child.exitCode === null) return;
            }
            if (anyPort) this.port = await freePort();
        }
        throw new Error(`redis-server does not start on port ${this.port}`);
    }
    async kill() { const gone = once(this.process, "exit"); this.process.kill("SIGKILL"); await gone; }
    publish(channel, payload) {
        const head = `*3\r\n$7\r\nPUBLISH\r\n$${channel.length}\r\n${channel}\r\n$${payload.length}\r\n`;
        return this.exchange(Buffer.concat([Buffer.from(head), payload, Buffer.from("\r\n")]));
    }
    command(...words) { return this.exchange(words.join(" ") + "\r\n"); }
    exchange(bytes) {
        return new Promise((ok, fail) => {
            const socket = net.connect(this.port, "127.0.0.1", () => socket.write(bytes));
            socket.once("data", (d) => { socket.destroy(); ok(String(d)); });
            socket.once("error", fail);
            socket.once("close", () => ok("")); // it has killed itself
        });
    }
}

async function freePort() {
    const s = net.createServer().listen(0, "127.0.0.1");
    await once(s, "listening");
    const { port } = s.address();
    s.close();
    return port;
}

async function node(command, port, ...args) {
    const [program, ...words] = command.split(" ");
    // Calls of one client run side by side: a send that waits for Redis holds up no other.
    const p = spawn(program, [...words, "--urls", "http://127.0.0.1:0", "--redis", `127.0.0.1:${port}`, "--parallel", "10000", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const url = await new Promise((ok, fail) => {
        let out = "";
        p.stdout.on("data", (d) => { const m = (out += d).match(/READY (\S+)/); if (m) ok(m[1]); });
        p.on("exit", (code) => fail(new Error(`the node ended: ${code}`)));
    });
    return { url, stop: async () => { const gone = once(p, "exit"); p.kill("SIGTERM"); await gone; } };
}

/** A client that is in the group; it tries until it is, because a node may refuse clients while Redis is away. */
async function client(url, group) {
    const state = { received: [], refused: 0, closed: false };
    for (;;) {
        const c = new signalR.HubConnectionBuilder().withUrl(url + "/hub", { transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true }).configureLogging(signalR.LogLevel.None).build();
        c.on("M", (n) => state.received.push(Number(n)));
        c.on("Big", () => {});
        try {
            await c.start();
            if (group) await c.invoke("Join", group); else await c.invoke("Echo", "there");
            c.onclose(() => { state.closed = true; });
            return Object.assign(state, { joined: Date.now(), invoke: (...args) => c.invoke(...args), stop: () => c.stop() });
        } catch { state.refused++; await c.stop(); await sleep(100); }
    }
}

/** Sends until it is told to stop; the outcome of each send is in `sends`. */
function startSending(sender) {
    const sends = [];
    let going = true;
    const sending = (async () => {
        for (let n = 0; going; n++) {
            const send = { n, began: Date.now() };
            sends.push(send);
            sender.invoke("SendGroup", "g", "M", String(n)).then(() => { send.ok = true; }, () => { send.ok = false; }).then(() => { send.took = Date.now() - send.began; });
            await sleep(10);
        }
    })();
    return { sends, stop: async () => {
        going = false;
        await sending;
        for (let i = 0; i < 300 && sends.some((s) => s.took === undefined); i++) await sleep(100);
        await sleep(3000);
    } };
}

/** Plays a fault on two nodes of a command; returns the outcome of the sends. */
async function measure(command, name, { play, atStart }) {
    const redis = new Redis(await freePort());
    if (!atStart) await redis.start({ anyPort: true });
    const links = name.includes("cut off") ? [await Link.to(redis.port), await Link.to(redis.port)] : [];
    const alone = atStart ? ["--redis-wait-ms", "1000"] : []; // then a node of ours serves without Redis
    const [a, b] = [await node(command, links[0]?.port ?? redis.port, ...alone), await node(command, links[1]?.port ?? redis.port, ...alone)];
    const connecting = Promise.all([client(a.url, "g"), client(b.url, "g"), client(a.url)]);
    let playing, back;
    if (atStart) playing = play({ redis, links }).then(() => { back = Date.now(); });
    const clients = await connecting, [own, other, sender] = clients;
    const load = startSending(sender);
    if (!atStart) {
        await sleep(1000);
        playing = play({ redis, links }).then(() => { back = Date.now(); });
    }
    await playing;
    await sleep(4000);
    await load.stop();
    const result = outcome(load.sends, clients, back);
    for (const c of [own, other, sender]) await c.stop();
    await a.stop(); await b.stop();
    for (const link of links) link.close();
    await redis.kill();
    return result;
}

/** What became of the sends, as the clients saw it. */
function outcome(sends, clients, back) {
    const [own, other] = clients;
    const lost = (c) => { const got = new Set(c.received); return sends.filter((s) => s.ok && s.began > c.joined && !got.has(s.n)).length; };
    const late = sends.filter((s) => s.ok === false && (own.received.includes(s.n) || other.received.includes(s.n))).length;
    const sum = (f) => clients.reduce((all, c) => all + f(c), 0);
    const slowest = Math.max(...sends.map((s) => s.took ?? Infinity)) / 1000;
    // The first send after which none failed or was lost at either client.
    const bad = sends.findLast((s) => !s.ok || [own, other].some((c) => !c.received.includes(s.n)));
    const whole = Math.max(0, ...clients.map((c) => c.joined - back), bad ? bad.began - back : 0) / 1000;
    return {
        lostHere: lost(own), lostThere: lost(other), failed: sends.filter((s) => !s.ok).length, late, slowest: slowest.toFixed(1), whole: whole.toFixed(1),
        refused: sum((c) => c.refused), closed: sum((c) => Number(c.closed)), twice: sum((c) => c.received.length - new Set(c.received).size),
    };
}

const columns = ["done, but lost at the sender's node", "done, but lost at the other node", "failed", "failed, but delivered", "slowest send", "whole again after", "clients refused, closed", "received twice"];

const cells = (o) => [o.lostHere, o.lostThere, o.failed, o.late, `${o.slowest} s`, `${o.whole} s`, `${o.refused}, ${o.closed}`, o.twice];

/** One cell of the README's table; what is not worth a word is left out. */
function words(o) {
    const said = [];
    if (o.lostHere || o.lostThere) said.push(`lost although done: ${o.lostHere} at the sender's node, ${o.lostThere} at the other`);
    if (o.failed) said.push(`${o.failed} failed${o.late ? `, ${o.late} of them were delivered` : ""}`);
    if (o.refused) said.push(`clients were refused ${o.refused} times`);
    if (o.closed) said.push(`${o.closed} clients disconnected`);
    if (o.twice) said.push(`${o.twice} received twice`);
    return `${said.join("; ") || "nothing lost, nothing failed"}; slowest send ${o.slowest} s, whole again after ${o.whole} s`;
}

const { NODE_COMMAND: ours, REFERENCE_COMMAND: reference } = process.env;
if (!ours) throw new Error("NODE_COMMAND does not say what to measure");
const asked = process.argv.slice(2), chosen = Object.entries(faults).filter(([name]) => asked.length === 0 || asked.some((w) => name.includes(w)));
if (chosen.length === 0) throw new Error(`no fault is called ${asked.join(" or ")}`);
console.log(reference ? "| fault | ASP.NET Core 10 | Hubwire |\n|---|---|---|" : `| fault | ${columns.join(" | ")} |\n|${"---|".repeat(columns.length + 1)}`);
for (const [name, fault] of chosen) {
    const [own, theirs] = await Promise.all([ours, reference].map((command) => command && measure(command, name, fault)));
    console.log(`| ${name} | ${(reference ? [words(theirs), words(own)] : cells(own)).join(" | ")} |`);
}
process.exit(0);
