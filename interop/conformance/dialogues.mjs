// Records what the official clients and a real ASP.NET Core node say to each other.
//   REFERENCE_DLL=.../reference.dll DOTNET_CLIENT_DLL=.../dotnet-client.dll node dialogues.mjs > dialogues.json
// Run from a folder whose node_modules has @microsoft/signalr and @microsoft/signalr-protocol-msgpack.
// The .NET client is dotnet-client/; it plays the same scenarios and is told which by lines on its standard input.
import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { node, chosen, sideBySide, signalR, MessagePackHubProtocol, sleep, finish } from "./lib.mjs";
import { Proxy } from "./proxy.mjs";

const WS = ["WebSockets"], ALL = ["WebSockets", "ServerSentEvents", "LongPolling"];
/** name -> transports, arguments of the node, and for JavaScript what the client does; the .NET client has its own half. */
const scenarios = {
    "calls": { transports: ALL, js: async (t) => {
        await t.start();
        await t.invoke("Echo", "hello"); await t.invoke("Echo", "grüße \"<&>' \u{1F680} \n\t\u0000"); await t.invoke("Echo", ""); await t.invoke("echo", "other case");
        await t.invoke("Add", 1, 2); await t.invoke("AddLong", -1, 4294967296); await t.invoke("Nothing"); await t.invoke("NullResult"); await t.invoke("renamed"); await t.invoke("EchoDouble", 2); await t.invoke("EchoDouble", 0.1); await t.invoke("EchoBytes", t.bytes([0, 1, 255]));
        await t.send("Nothing"); await t.send("NoSuchMethod"); await t.send("Throw", "unseen"); await t.invoke("Echo", "after sends");
        await t.stop();
    } },
    "failing calls": { transports: ALL, js: failing },
    "failing calls, detailed errors": { transports: WS, args: ["--detailed", "true"], js: failing },
    "sends": { transports: ALL, js: async (t) => {
        await t.start();
        await t.invoke("SendCaller", "M", "to the caller"); await t.invoke("SendAll", "M", "to all"); await t.send("SendCaller", "M", "without an answer"); await t.invoke("SendCaller", "NoHandler", "nobody listens"); await t.invoke("SendCallerOften", 3, "M", "many");
        await t.stop();
    } },
    "streams": { transports: ALL, js: async (t) => {
        await t.start();
        await t.stream([], "Counter", 3, 0); await t.stream([], "Letters", 2); await t.stream([], "Counter", 0, 0);
        await t.stream([2], "Counter", 50, 100);
        await t.stream([], "CounterThenThrow", 2, "stream failed"); await t.stream([], "NullStream"); await t.stream([], "ThrowInsteadOfStream", "no stream"); await t.stream([], "NoSuchStream");
        await t.stop();
    } },
    "uploads": { transports: ALL, js: async (t) => {
        await t.start();
        await t.upload("Concat", [["a", "b", "c"]]); await t.upload("Concat", [[]]); await t.upload("Sum", [[1, 2, 3]]);
        await t.upload("Zip", [["a", "b"], ["1", "2"]], "-");
        await t.upload("Failure", [[1, new Error("upload failed")]]);
        await t.upload("Failure", [[1, "not a number"]]);
        await t.upload("Concat", [["a"], ["one too many"]]); await t.upload("Concat", []);
        await t.sendUpload("Concat", ["x", "y"]);
        await t.duplex("EchoStream", ["a", "b"]);
        await t.stop();
    } },
    "client results": { transports: ALL, js: async (t) => {
        t.handle("Ask", (q) => `answer to ${q}`); t.handle("AskInt", () => 42); t.handle("AskFails", () => { throw new Error("client says no"); }); t.handle("AskNull", () => null); t.handle("AskText", () => "not a number");
        await t.start();
        const id = await t.invoke("ConnectionId");
        await t.invoke("Ask", id, "Ask", "question"); await t.invoke("AskInt", id, "AskInt"); await t.invoke("Ask", id, "AskFails", "question"); await t.invoke("Ask", id, "AskNull", "question"); await t.invoke("AskInt", id, "AskNull"); await t.invoke("AskInt", id, "AskText"); await t.invoke("Ask", id, "NoHandler", "question"); await t.invoke("Ask", "nobody", "Ask", "question");
        await t.stop();
    } },
    "values": { transports: WS, js: async (t) => {
        await t.start();
        const sample = await t.invoke("MakeSample"); await t.invoke("EchoSample", sample); await t.invoke("EchoSample", {}); await t.invoke("EchoSample", null);
        await t.invoke("SendSampleToAll", "M");
        const rare = await t.invoke("MakeRare"); await t.invoke("EchoRare", rare);
        await t.stop();
    } },
    "described objects": { transports: WS, js: async (t) => {
        await t.start();
        for (const v of [null, true, 1, -1, 200, -200, 70000, 4294967296, 1.5, "text", [1], { a: 1 }, t.bytes([1, 2])]) await t.invoke("Describe", v);
        if (t.protocol === "messagepack") await t.invoke("Describe", new Date(Date.UTC(2026, 0, 2)));
        await t.stop();
    } },
    "big message": { transports: ALL, js: async (t) => { await t.start(); await t.invoke("Echo", "x".repeat(20000)); await t.invoke("Text", 100000, true); await t.stop(); } },
    "message over the limit": { transports: ALL, js: async (t) => { await t.start(); await t.invoke("Echo", "x".repeat(32768)); await sleep(300); await t.stop(); } },
    "aborted by the server": { transports: ALL, js: async (t) => { await t.start(); await t.invoke("Abort"); await sleep(300); await t.stop(); } },
    "connection refused by OnConnectedAsync": { transports: ALL, path: "/hub?connected=throw", js: async (t) => { await t.start(); await sleep(300); await t.stop(); } },
    "message sent in OnConnectedAsync": { transports: ALL, path: "/hub?connected=send", js: async (t) => { await t.start(); await t.invoke("Echo", "x"); await t.stop(); } },
    "token and headers": { transports: ALL, js: async (t) => {
        await t.start({ headers: { "X-Test": "value" }, accessTokenFactory: () => "a+token/1=" });
        await t.invoke("Header", "Authorization"); await t.invoke("Query", "access_token"); await t.invoke("Header", "X-Test"); await t.invoke("Header", "X-Requested-With"); await t.invoke("Transport");
        await t.stop();
    } },
    "skip negotiation": { transports: WS, js: async (t) => { await t.start({ skipNegotiation: true }); await t.invoke("ConnectionId"); await t.stop(); } },
    "any transport, long-polling hub": { transports: WS, path: "/hub-longpolling", js: async (t) => { await t.start({ transport: null }); await t.invoke("Transport"); await t.stop(); } },
    "keep-alive": { transports: ALL, args: ["--keepalive-ms", "1000"], js: async (t) => { await t.start({ keepAliveMs: 1000 }); await sleep(3500); await t.stop(); } },
    "server too silent": { transports: WS, args: ["--keepalive-ms", "60000"], js: async (t) => { await t.start({ serverTimeoutMs: 1500, keepAliveMs: 500 }); await sleep(3500); await t.stop(); } },
    "automatic reconnect": { transports: WS, js: async (t) => { await t.start({ reconnect: true }); await t.invoke("Echo", "before"); await t.cut(); await sleep(1500); await t.invoke("Echo", "after"); await t.stop(); } },
    "automatic reconnect after a Close with allowReconnect": { transports: ALL, js: async (t) => { await t.start({ reconnect: true }); await t.invoke("Echo", "x".repeat(32768)); await sleep(1500); await t.invoke("Echo", "after"); await t.stop(); } },
    "cut without automatic reconnect": { transports: WS, js: async (t) => { await t.start(); await t.invoke("Echo", "before"); await t.cut(); await sleep(500); await t.stop(); } },
    "stateful reconnect: cut while idle": { transports: WS, js: async (t) => {
        await t.start({ stateful: true });
        await t.invoke("Echo", "1"); await t.invoke("SendCaller", "M", "2"); await sleep(1500);
        await t.cut(); await sleep(700);
        await t.invoke("Echo", "3"); await sleep(1500);
        await t.stop();
    } },
    "stateful reconnect: cut before the acks": { transports: WS, js: async (t) => {
        await t.start({ stateful: true });
        await t.invoke("Echo", "1"); await t.invoke("Add", 2, 2); await t.send("SendCaller", "M", "3"); await sleep(100);
        await t.cut(); await sleep(700);
        await t.invoke("Echo", "4"); await sleep(1500);
        await t.stop();
    } },
    "stateful reconnect: cut during a stream and a slow call": { transports: WS, js: async (t) => {
        await t.start({ stateful: true });
        const slow = t.invoke("Slow", "slow", 700), stream = t.stream([], "Counter", 12, 100); await t.streamed(3); // the next item comes 100 ms later
        await t.cut(); await Promise.all([slow, stream]); await sleep(1500);
        await t.stop();
    } },
    "stateful reconnect: two cuts, ping in between": { transports: WS, args: ["--keepalive-ms", "1000"], js: async (t) => {
        await t.start({ stateful: true, keepAliveMs: 1000 });
        await t.invoke("Echo", "1"); await t.cut(); await sleep(600); await t.cut(); await sleep(600);
        await t.invoke("Echo", "2"); await sleep(2500);
        await t.stop();
    } },
    "stateful reconnect: aborted by the server": { transports: WS, js: async (t) => { await t.start({ stateful: true }); await t.invoke("Abort"); await sleep(500); await t.stop(); } },
    "server stops": { transports: ALL, js: async (t) => { await t.start(); await t.invoke("Echo", "x"); await t.stopServer(); await sleep(800); await t.stop(); } },
};
async function failing(t) {
    await t.start();
    await t.invoke("NoSuchMethod"); await t.invoke("Add", 1); await t.invoke("Add", 1, 2, 3); await t.invoke("Add", "one", "two"); await t.invoke("Add", 1, null); await t.invoke("EchoByte", 256); await t.invoke("EchoDateTime", "not a date");
    await t.invoke("Throw", "secret"); await t.invoke("ThrowHubException", "for all"); await t.invoke("OnlyUsers"); await t.invoke("Counter", 1, 0); await t.stream([], "Echo", "x"); await t.invoke("OnDisconnectedAsync", null); await t.invoke("ToString");
    await t.invoke("Unserializable"); await sleep(300); await t.stop();
}

/** The JavaScript half: a client that says in the record what it does and what its user sees. */
class JsClient {
    constructor(proxy, path, transport, protocol) { Object.assign(this, { proxy, path, transport, protocol }); this.handlers = []; }
    handle(name, f) { this.handlers.push([name, f]); }
    bytes(list) { return this.protocol === "json" ? Buffer.from(list).toString("base64") : new Uint8Array(list); }
    async step(name, f, hide) {
        this.proxy.note({ step: name });
        try { const r = await f(); this.proxy.note({ outcome: name, ...(r !== undefined && { result: hide ? `${r.length} characters` : plain(r) }) }); return r; }
        catch (e) { this.proxy.note({ outcome: name, error: e.message }); }
    }
    async start({ transport = this.transport, headers, accessTokenFactory, skipNegotiation, keepAliveMs, serverTimeoutMs, reconnect, stateful } = {}) {
        const options = { headers, accessTokenFactory, skipNegotiation };
        if (transport) options.transport = signalR.HttpTransportType[transport];
        const b = new signalR.HubConnectionBuilder().withUrl(this.proxy.url + this.path, options).configureLogging(signalR.LogLevel.None);
        if (this.protocol === "messagepack") b.withHubProtocol(new MessagePackHubProtocol());
        if (keepAliveMs) b.withKeepAliveInterval(keepAliveMs);
        if (serverTimeoutMs) b.withServerTimeout(serverTimeoutMs);
        if (reconnect) b.withAutomaticReconnect([300, 500]);
        if (stateful) b.withStatefulReconnect();
        const c = this.connection = b.build();
        c.on("M", (...args) => this.proxy.note({ handler: "M", args: plain(args) }));
        for (const [name, f] of this.handlers) c.on(name, f);
        c.onclose((e) => this.proxy.note({ callback: "onclose", ...(e && { error: e.message }) }));
        c.onreconnecting((e) => this.proxy.note({ callback: "onreconnecting", ...(e && { error: e.message }) }));
        c.onreconnected((id) => this.proxy.note({ callback: "onreconnected", id }));
        await this.step("start", () => c.start());
    }
    invoke(method, ...args) {
        const hide = args[1] === true && args.pop();
        return this.step(`invoke ${method}(${args.map(show).join(", ")})`, () => this.connection.invoke(method, ...args), hide || String(args[0]).length > 1000);
    }
    send(method, ...args) { return this.step(`send ${method}(${args.map(show).join(", ")})`, () => this.connection.send(method, ...args)); }
    /** Waits until streams have given so many items from now on. */
    streamed(items) { return new Promise((ok) => { this.onItem = () => { if (--items === 0) ok(); }; }); }
    stream([takes], method, ...args) {
        return this.step(`stream ${method}(${args.map(show).join(", ")})${takes ? `, cancel after ${takes}` : ""}`, () => new Promise((ok, fail) => {
            const items = [];
            const s = this.connection.stream(method, ...args).subscribe({ next: (x) => { items.push(x); this.onItem?.(); if (items.length === takes) { s.dispose(); setTimeout(() => ok(items), 300); } }, complete: () => ok(items), error: fail });
        }));
    }
    subject(items) {
        const s = new signalR.Subject();
        setTimeout(async () => { for (const x of items) { if (x instanceof Error) return s.error(x); s.next(x); await sleep(20); } s.complete(); }, 20);
        return s;
    }
    upload(method, streams, ...between) {
        const subjects = streams.map((x) => this.subject(x)), args = between.length ? [subjects[0], ...between, subjects[1]] : subjects;
        return this.step(`invoke ${method}(${streams.map((x) => `stream [${x.map(show)}]`).concat(between.map(show)).join(", ")})`, () => this.connection.invoke(method, ...args));
    }
    sendUpload(method, items) { return this.step(`send ${method}(stream [${items.map(show)}])`, async () => { await this.connection.send(method, this.subject(items)); await sleep(150); }); }
    duplex(method, items) { return this.step(`stream ${method}(stream [${items.map(show)}])`, () => new Promise((ok, fail) => { const got = []; this.connection.stream(method, this.subject(items)).subscribe({ next: (x) => got.push(x), complete: () => ok(got), error: fail }); })); }
    stop() { return this.step("stop", () => this.connection.stop()); }
    async cut() { this.proxy.cut(); }
    async stopServer() { await this.step("SIGTERM to the server", () => this.stopNode()); }
}
const show = (x) => x instanceof Error ? `error ${x.message}` : x instanceof Uint8Array ? `bytes ${Buffer.from(x).toString("hex")}` : String(JSON.stringify(x)).replace(/x{1000,}/g, (run) => `<x*${run.length}>`);
const plain = (x) => JSON.parse(JSON.stringify(x, (k, v) => v instanceof Uint8Array ? `bytes ${Buffer.from(v).toString("hex")}` : typeof v === "bigint" ? `${v}n` : v));

/** The .NET half runs in another process; each line it prints is a note, answered when it is in the record. */
class DotnetClient {
    constructor() {
        this.process = spawn("dotnet", [process.env.DOTNET_CLIENT_DLL], { stdio: ["pipe", "pipe", "inherit"] });
        this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    }
    async play(proxy, job, stopNode) {
        this.process.stdin.write(JSON.stringify(job) + "\n");
        for (;;) {
            const { value } = await this.lines.next();
            const note = JSON.parse(value);
            if (note.done) return;
            if (note.cut) proxy.cut();
            else if (note.stopServer) await stopNode();
            else proxy.note(note);
            this.process.stdin.write("\n");
        }
    }
    end() { this.process.stdin.end(); }
}

const current = new AsyncLocalStorage(); // the recording of the dialogue that is played
process.on("unhandledRejection", (e) => current.getStore().note({ unhandled: e.message })); // the JavaScript client lets some escape
const dialogues = [], jobs = [];
for (const [name, s] of Object.entries(scenarios))
    for (const language of process.env.DOTNET_CLIENT_DLL ? ["js", "dotnet"] : ["js"]) for (const transport of s.transports) for (const protocol of ["json", "messagepack"])
        if ((transport !== "ServerSentEvents" || protocol !== "messagepack") && chosen(`${name} / ${language} ${transport} ${protocol}`)) jobs.push({ name, s, language, transport, protocol });

/** Nodes by their arguments and .NET clients that wait for a dialogue; a dialogue has both for itself. */
const nodes = {}, clients = [];
async function play({ name, s, language, transport, protocol }, i) {
    process.stderr.write(`${name}: ${language} ${transport} ${protocol}\n`);
    const waiting = nodes[JSON.stringify(s.args ?? [])] ??= [], n = waiting.pop() ?? await node(s.args), dotnet = language === "dotnet" && (clients.pop() ?? new DotnetClient());
    const proxy = new Proxy(n.url), path = s.path ?? "/hub";
    await proxy.listen();
    let stopped = false;
    const stopNode = async () => { stopped = true; proxy.note({ step: "SIGTERM to the server" }); await n.stop(); };
    await current.run(proxy, async () => {
        if (dotnet) return dotnet.play(proxy, { scenario: name, url: proxy.url + path, transport, protocol }, stopNode);
        const t = new JsClient(proxy, path, transport, protocol);
        t.stopNode = stopNode;
        await s.js(t);
    });
    await sleep(150);
    proxy.close();
    if (!stopped) waiting.push(n);
    if (dotnet) clients.push(dotnet);
    dialogues[i] = { scenario: name, client: dotnet ? "Microsoft.AspNetCore.SignalR.Client" : `@microsoft/signalr ${signalR.VERSION}`, transport, protocol, ...(s.args && { node: s.args.join(" ") }), events: proxy.events };
}
await sideBySide(jobs, play);
await Promise.all(Object.values(nodes).flat().map((n) => n.stop()));
for (const c of clients) c.end();
finish(JSON.stringify({ about: "what official clients and ASP.NET Core 10 say to each other; see README.md", dialogues }).replaceAll('{"scenario"', '\n{"scenario"').replaceAll('{"ms"', '\n {"ms"'));
