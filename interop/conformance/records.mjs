// Records what a real ASP.NET Core node answers to single hub records, well formed or not, over a raw WebSocket.
//   REFERENCE_DLL=.../reference.dll node records.mjs > records.json
// Run from a folder whose node_modules has @microsoft/signalr, @microsoft/signalr-protocol-msgpack and @msgpack/msgpack.
import { createRequire } from "node:module";
import { Stage, sleep, finish } from "./lib.mjs";
import { Recording, RS, HANDSHAKE, HANDSHAKE_MSGPACK } from "./wire.mjs";
const { encode } = createRequire(process.cwd() + "/")("@msgpack/msgpack");

const stage = new Stage();
const onNode = (name, args, f) => stage.onNode(args, async () => { stage.start({ group: name, node: args.join(" ") }, "cases"); await f(); });
const unshort = (t) => t.replace(/x{300,}/g, (run) => `<x*${run.length}>`).replace(/(?:91){300,}/g, (run) => `<91*${run.length / 2}>`);

/** One connection: a negotiated WebSocket after its handshake; what goes over it is remembered as text or hex. */
class Hub {
    constructor(protocol) { this.protocol = protocol; this.said = []; }
    async open({ version = 1, stateful = false, query = "" } = {}) {
        this.url = stage.node.url;
        this.r = new Recording("", this.url);
        const s = await this.r.request("negotiate", "POST", `/hub/negotiate?negotiateVersion=1${stateful ? "&useStatefulReconnect=true" : ""}`);
        const a = JSON.parse(s.parsed().body);
        this.id = a.connectionId;
        this.path = `/hub?id=${a.connectionToken}${query}`;
        await this.socket();
        this.ws.frame(1, (this.protocol === "json" ? HANDSHAKE : HANDSHAKE_MSGPACK).replace(":1}", `:${version}}`));
        await this.ws.got(1);
        this.seen = this.ws.frames[0].payload.length > 3 ? 0 : 1; // the answer to the handshake is shown only if more is with it
        return this;
    }
    async socket() {
        this.ws = await this.r.open("ws");
        this.seen = 0;
        return this.ws.upgrade(this.path, {}, 8000);
    }
    raw(data) {
        const hex = Buffer.isBuffer(data);
        this.drain();
        this.said.push({ client: unshort(hex ? data.toString("hex") : data) });
        this.ws.frame(hex ? 2 : 1, data);
    }
    send(...records) { this.raw(this.protocol === "json" ? records.map((x) => (typeof x === "string" ? x : JSON.stringify(x)) + RS).join("") : Buffer.concat(records.map((x) => framed(typeof x === "string" ? Buffer.from(x.replaceAll(" ", ""), "hex") : encode(x, { forceIntegerToFloat: false }))))); }
    /** A call that must be answered if the connection still works. */
    probe() { this.send(this.protocol === "json" ? { type: 1, invocationId: "probe", target: "Add", arguments: [1, 2] } : [1, {}, "probe", "Add", [1, 2]]); }
    answered() { return this.ws.frames.slice(this.seen).some((f) => f.payload.includes("probe") || f.opcode === 8); }
    drain() {
        for (; this.seen < (this.ws?.frames.length ?? 0); this.seen++) {
            const f = this.ws.frames[this.seen];
            this.said.push(f.opcode === 8 ? { server: `close ${f.payload.readUInt16BE(0)}` } : { server: unshort(f.opcode === 2 ? f.payload.toString("hex") : f.payload.toString()) });
        }
    }
    async settle(ms = 400) { await this.ws.until(() => this.answered(), ms); await sleep(15); this.drain(); }
    /** The id of what the server asks this client, once that is there. */
    async asked() {
        const asks = this.protocol === "json" ? /"invocationId":"(s\d+)"/ : /(s\d+)/;
        const id = () => this.ws.frames.map((f) => f.payload.toString("latin1")).join("").match(asks)?.[1];
        if (!await this.ws.until(id, 8000)) throw new Error("the server asks nothing");
        this.drain();
        return id();
    }
    async wait(ms) { await sleep(ms); this.drain(); }
    note(note) { this.drain(); this.said.push({ note }); }
    async end() {
        this.drain();
        if (!this.ws.closed) { this.ws.close(1000); await this.ws.ended(500); await sleep(30); }
        const ended = (await (await fetch(this.url + "/api/ended")).json())[this.id];
        this.r.done();
        return { said: this.said, onDisconnected: ended ?? "not called" };
    }
}
function framed(body) { const head = []; let n = body.length; do { head.push((n & 127) | (n > 127 ? 128 : 0)); n >>>= 7; } while (n); return Buffer.concat([Buffer.from(head), body]); }

/** A scenario that does not come to its end is recorded as far as it went: then it differs, and can be played again. */
const scenario = (name, protocol, f, options) => stage.scenario(name, async () => {
    const h = new Hub(protocol);
    try {
        await h.open(options);
        await f(h);
        return { name, protocol, ...await h.end() };
    } catch (e) {
        process.stderr.write(`    ${name}: ${e.stack}\n`);
        h.note(e.message);
        h.r.done();
        return { name, protocol, said: h.said, onDisconnected: "not called" };
    }
});
/** One record, then a probe: is the connection still served? */
const one = (protocol, record, name = typeof record === "string" ? unshort(record) : JSON.stringify(record)) => scenario(name, protocol, async (h) => { h.send(record); await sleep(30); h.probe(); await h.settle(); });
const inv = (target, args, id = "1", more = {}) => ({ type: 1, ...(id !== null && { invocationId: id }), target, arguments: args, ...more });

for (const detailed of ["true", "false"]) onNode(`JSON records, detailed errors ${detailed}`, ["--detailed", detailed], async () => {
    const envelope = ['{}', '{"type":null}', '{"type":"1"}', '{"type":1.5}', '{"Type":6}', '{"\\u0074ype":6}', '{"type":1,"type":6}', '{"type":6}garbage', ' \n{ "type" : 6 } ', '{"type":6/**/}', '{"type":6,}', '{"type":6', "", "x", "42", '"6"', "null", "[]", "true", "false",
        '{"type":6,"unknown":{"a":[1]}}', `{"type":6,"x":${"[".repeat(64)}${"]".repeat(64)}}`,
        '{"type":1}', '{"type":1,"target":"Add"}', '{"type":1,"arguments":[1,2]}', '{"type":1,"target":null,"arguments":[]}', '{"type":1,"target":1,"arguments":[]}', '{"type":1,"target":"","arguments":[]}', '{"type":1,"target":"Add","arguments":null}', '{"type":1,"target":"Add","arguments":{}}',
        '{"type":1,"invocationId":null,"target":"Add","arguments":[1,2]}', '{"type":1,"invocationId":1,"target":"Add","arguments":[1,2]}', '{"type":1,"invocationId":"","target":"Add","arguments":[1,2]}',
        '{"type":1,"invocationId":"1","target":"Add","arguments":[1,2],"streamIds":null}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1,2],"streamIds":[]}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1,2],"streamIds":[null]}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1,2],"streamIds":["5"]}',
        '{"type":1,"headers":{"a":"b"},"invocationId":"1","target":"Add","arguments":[1,2]}', '{"type":1,"headers":{"a":1},"invocationId":"1","target":"Add","arguments":[1,2]}', '{"type":1,"headers":null,"invocationId":"1","target":"Add","arguments":[1,2]}', '{"type":1,"headers":[],"invocationId":"1","target":"Add","arguments":[1,2]}',
        '{"type":2}', '{"type":2,"invocationId":"9"}', '{"type":2,"invocationId":"9","item":1}', '{"item":1,"invocationId":"9","type":2}', '{"type":3}', '{"type":3,"invocationId":"9"}', '{"type":3,"invocationId":"9","result":1}', '{"type":3,"invocationId":"9","error":null}', '{"type":3,"invocationId":"9","error":"e","result":1}',
        '{"type":4,"target":"Counter","arguments":[1,0]}', '{"type":4,"invocationId":"","target":"Counter","arguments":[1,0]}', '{"type":4,"invocationId":"1","target":"","arguments":[]}', '{"type":4,"invocationId":"1","arguments":[]}', '{"type":5}', '{"type":5,"invocationId":"9"}', '{"type":7,"error":null}', '{"type":7,"allowReconnect":"x"}', '{"type":7,"allowReconnect":true}', '{"type":7,"error":"from the client"}', '{"type":8}', '{"type":8,"sequenceId":null}', '{"type":8,"sequenceId":"1"}', '{"type":8,"sequenceId":1.5}', '{"type":8,"sequenceId":7}', '{"type":9,"sequenceId":7}', '{"type":9}'];
    if (detailed === "true") envelope.push('{"type":42}', '{"type":0}', '{"type":-1}');
    for (const r of envelope) await one("json", r);
    const calls = [inv("Add", [1]), inv("Add", [1, 2, 3]), inv("add", [1]), inv("Add", ["1", 2]), inv("Add", [null, 2]), '{"type":1,"invocationId":"1","target":"Add","arguments":[1.0,2]}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1e0,2]}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1.5,2]}', '{"type":1,"invocationId":"1","target":"Add","arguments":[2147483648,2]}',
        '{"arguments":[1],"target":"Add","invocationId":"1","type":1}', '{"arguments":[1,2,3],"type":1,"invocationId":"1","target":"Add"}', '{"arguments":["a",{"b":1}],"type":1,"invocationId":"1","target":"Add"}', '{"type":1,"invocationId":"1","target":"Add","arguments":[1,2}', '{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}', inv("Echo", [null]), inv("EchoByte", [256]), inv("EchoByte", [-1]), inv("EchoDouble", [1]), inv("EchoDouble", ["NaN"]), inv("EchoDateTime", ["2026-01-02T03:04:05.6789Z"]), inv("EchoDateTime", ["2026-01-02T03:04:05+02:00"]), inv("EchoDateTime", ["2026-01-02"]), inv("EchoDateTime", ["2026-01-02 03:04:05"]), inv("EchoBytes", ["AQID"]), inv("EchoBytes", ["AQI"]), inv("EchoBytes", [[1, 2]]), inv("EchoColor", [2]), inv("EchoColor", [99]), inv("EchoColor", ["Blue"]),
        inv("EchoSample", [{ INT: 5, unknown: 1, text: "x" }]), inv("EchoSample", [{ long: "5" }]), inv("EchoSample", [{ dateTimeOffset: "2016-05-10T13:51:20+12:34", timeSpan: "1.02:03:04.0050000", decimal: 1.50, guid: "00010203-0405-0607-0809-0A0B0C0D0E0F" }]),
        inv("NoSuch", [1]), inv("noSuch", []), inv("OnConnectedAsync", []), inv("Dispose", []), inv("HasAnotherName", []), inv("RENAMED", []), inv("OnlyUsers", []), inv("Throw", ["secret"]), inv("ThrowHubException", ["told"]), inv("Counter", [1, 0]), inv("NoSuch", [1], null), inv("Add", ["a", "b"], null), inv("Throw", ["x"], null),
        { type: 4, invocationId: "1", target: "Add", arguments: [1, 2] }, { type: 4, invocationId: "1", target: "counter", arguments: [1] }, { type: 4, invocationId: "1", target: "NoSuch", arguments: [] }, { type: 4, invocationId: "1", target: "Counter", arguments: [2, 0] }, { type: 4, invocationId: "1", target: "CounterThenThrow", arguments: [1, "x"] }, { type: 4, invocationId: "1", target: "NullStream", arguments: [] }, { type: 4, invocationId: "1", target: "nullStream", arguments: [] }, { type: 4, invocationId: "1", target: "ThrowInsteadOfStream", arguments: ["x"] },
        inv("Concat", []), inv("Concat", [], "1", { streamIds: ["5", "6"] }), inv("Unserializable", []), inv("SendCaller", ["M", "x"]), inv("Describe", [{ a: 1 }]), inv("Describe", [1]), inv("Describe", ["x"]), inv("MakeRare", [])];
    for (const r of calls) await one("json", r);
    await scenario("a good call, then a malformed record, in one frame", "json", async (h) => { h.send(inv("Add", [3, 4]), "x", inv("Add", [5, 6])); await h.settle(); });
    await scenario("Abort, then a call, in one frame", "json", async (h) => { h.send(inv("Abort", []), inv("Echo", ["x"], "2")); await h.settle(); });
    await scenario("Close, then a call, in one frame", "json", async (h) => { h.send({ type: 7 }, inv("SendAll", ["M", "x"], "2")); await h.settle(); });
    await scenario("OnConnectedAsync throws", "json", async (h) => { await h.settle(); }, { query: "&connected=throw" });
    await scenario("OnConnectedAsync asks the client", "json", async (h) => { await h.settle(); }, { query: "&connected=ask" });
    await scenario("message sent in OnConnectedAsync", "json", async (h) => { h.probe(); await h.settle(); }, { query: "&connected=send" });
});

onNode("streams and order, detailed errors, parallel invocations 1", ["--detailed", "true"], async () => {
    const stream = (id, target, args, more = {}) => ({ type: 4, invocationId: id, target, arguments: args, ...more });
    await scenario("cancel a stream", "json", async (h) => { h.send(stream("1", "Counter", [50, 100])); await h.wait(350); h.send({ type: 5, invocationId: "1" }); await h.wait(150); h.send({ type: 5, invocationId: "1" }); h.probe(); await h.settle(); });
    await scenario("id of a running stream used again; then cancel", "json", async (h) => { h.send(stream("1", "Counter", [8, 100])); await h.wait(150); h.send(stream("1", "Counter", [2, 0])); await h.wait(100); h.send({ type: 5, invocationId: "1" }); await h.wait(900); h.probe(); await h.settle(); });
    await scenario("id of a running plain call used again", "json", async (h) => { h.send(inv("Slow", ["a", 200]), inv("Add", [1, 2])); await h.wait(400); });
    await scenario("cancel a plain call", "json", async (h) => { h.send(inv("Slow", ["a", 200]), { type: 5, invocationId: "1" }); await h.wait(400); });
    await scenario("slow call, then ping, stream, item, unknown method, wrong arguments, call", "json", async (h) => { h.send(inv("Slow", ["slow", 300]), { type: 6 }, stream("2", "Counter", [2, 0]), inv("NoSuch", [], "3"), inv("Add", [1], "4"), inv("Add", [1, 2], "5"), stream("6", "Letters", [1]), inv("NoSuch", [], "7")); await h.wait(600); });
    await scenario("slow call, then an upload call and its items", "json", async (h) => { h.send(inv("Slow", ["slow", 300]), inv("Sum", [], "2", { streamIds: ["s"] }), { type: 2, invocationId: "s", item: 4 }, { type: 2, invocationId: "s", item: 5 }, { type: 3, invocationId: "s" }); await h.wait(600); });
    await scenario("sends to the caller stand before the completion", "json", async (h) => { h.send(inv("SendCallerOften", [3, "M", "x"])); await h.settle(100); });
    await scenario("a call that waits for its own client does not block the loop", "json", async (h) => { h.send(inv("AskInt", [h.id, "AskInt"])); const s = await h.asked(); h.send(inv("Add", [1, 2], "2")); await h.wait(100); h.send({ type: 3, invocationId: s, result: 42 }); await h.wait(100); });
    for (const [name, answer] of [["result of the wrong type", { result: "x" }], ["null where an int is wanted", { result: null }], ["error", { error: "client says no" }], ["neither result nor error", {}]])
        await scenario(`client result: ${name}`, "json", async (h) => { h.send(inv("AskInt", [h.id, "AskInt"])); const s = await h.asked(); h.send({ type: 3, invocationId: s, ...answer }); await h.wait(100); h.probe(); await h.settle(); });
    await scenario("client result: answered by another connection", "json", async (h) => {
        const other = await new Hub("json").open();
        h.send(inv("AskInt", [h.id, "AskInt"])); const s = await h.asked();
        other.send({ type: 3, invocationId: s, result: 1 }); await other.settle();
        h.note({ other: await other.end() });
        h.send({ type: 3, invocationId: s, result: 2 }); await h.wait(100);
    });
    await scenario("client result: the asked connection goes away", "json", async (h) => { const other = await new Hub("json").open(); h.send(inv("AskInt", [other.id, "AskInt"])); await h.wait(100); await other.end(); await h.wait(150); });
    await scenario("client result: asked from outside, given up, answered late", "json", async (h) => {
        const asked = fetch(`${h.url}/api/ask/${h.id}/Ask?timeout=200`, { method: "POST" }), s = await h.asked();
        const r = await (await asked).text(); h.note({ outside: r });
        h.send({ type: 3, invocationId: s, result: "late" }); h.probe(); await h.settle();
    });
    await scenario("client result: asked from outside, answered", "json", async (h) => {
        const asked = fetch(`${h.url}/api/ask/${h.id}/Ask`, { method: "POST" }), s = await h.asked();
        h.send({ type: 3, invocationId: s, result: "yes" });
        h.note({ outside: await (await asked).text() });
    });
    const up = (target, ids, id = "1", args = []) => inv(target, args, id, { streamIds: ids });
    const item = (id, x) => ({ type: 2, invocationId: id, item: x });
    await scenario("upload: item before invocationId, known stream", "json", async (h) => { h.send(up("Sum", ["s"]), '{"item":4,"invocationId":"s","type":2}', { type: 3, invocationId: "s" }); await h.wait(150); });
    await scenario("upload: completion with a result", "json", async (h) => { h.send(up("Sum", ["s"]), item("s", 4), { type: 3, invocationId: "s", result: 9 }); await h.wait(150); });
    await scenario("upload: completion with an error", "json", async (h) => { h.send(up("Failure", ["s"]), item("s", 4), { type: 3, invocationId: "s", error: "up failed" }); await h.wait(150); });
    await scenario("upload: the method does not catch the error", "json", async (h) => { h.send(up("Sum", ["s"]), { type: 3, invocationId: "s", error: "up failed" }); await h.wait(150); });
    await scenario("upload: item of the wrong type, then more items", "json", async (h) => { h.send(up("Failure", ["s"]), item("s", 4), item("s", "x"), item("s", 5), { type: 3, invocationId: "s" }); await h.wait(150); h.probe(); await h.settle(); });
    await scenario("upload: the same id twice in one call", "json", async (h) => { h.send(inv("Zip", ["-"], "1", { streamIds: ["s", "s"] }), item("s", "a"), { type: 3, invocationId: "s" }); await h.wait(200); h.probe(); await h.settle(); });
    await scenario("upload: id of an active stream", "json", async (h) => { h.send(up("Sum", ["s"], "1"), item("s", 1)); await h.wait(50); h.send(up("Sum", ["s"], "2"), item("s", 2), { type: 3, invocationId: "s" }); await h.wait(200); h.probe(); await h.settle(); });
    await scenario("upload: items after the method returned", "json", async (h) => { h.send(up("ReadOne", ["s"], "1", [0]), item("s", 1)); await h.wait(100); h.send(item("s", 2), item("s", 3), { type: 3, invocationId: "s" }); h.probe(); await h.settle(); });
    await scenario("upload: buffer full; ping and call wait", "json", async (h) => { h.send(up("ReadOne", ["s"], "1", [500]), ...Array.from({ length: 11 }, (_, i) => item("s", i))); await h.wait(100); h.probe(); await h.settle(300); h.note("300 ms later"); await h.settle(800); });
    await scenario("upload: buffer over full; the method returns", "json", async (h) => { h.send(up("ReadOne", ["s"], "1", [500]), ...Array.from({ length: 14 }, (_, i) => item("s", i))); await h.wait(100); h.probe(); await h.settle(300); h.note("300 ms later"); await h.settle(800); });
    await scenario("upload: the connection ends", "json", async (h) => { h.send(up("Sum", ["s"]), item("s", 1)); await h.wait(50); });
    await scenario("slow call, then the client's Close", "json", async (h) => { h.send(inv("Slow", ["x", 300]), { type: 7 }); await h.wait(500); });
});

onNode("parallel invocations 2", ["--parallel", "2"], async () => {
    await scenario("three slow calls", "json", async (h) => { for (const [id, ms] of [["1", 400], ["2", 100], ["3", 50]]) h.send(inv("Slow", [id, ms], id)); const t = Date.now(); while (h.ws.frames.length < 3 && Date.now() - t < 1500) await sleep(5); h.drain(); });
});

for (const detailed of ["true", "false"]) onNode(`MessagePack records, detailed errors ${detailed}`, ["--detailed", detailed], async () => {
    const m = "messagepack";
    const bodies = ["91 a3666f6f", "92 01 a3666f6f", "92 01 c0", "92 01 82 2a", "92 01 82 2a a3666f6f a3666f6f a3666f6f", "92 01 82 a3666f6f 2a", "92 01 84 a3666f6f a3666f6f 90 a3666f6f", "92 01 84 a3666f6f a3666f6f a3666f6f 90", "92 01 82 a0 a3666f6f", "92 01 82 a3666f6f a0",
        "92 01 80", "92 02 80", "92 03 80", "92 04 80", "92 05 80", "93 01 80 c2", "93 02 80 c0", "93 03 80 a0", "95 04 80 c0 a1 78 90", "93 05 80 a0", "93 01 80 c0", "94 01 80 c0 2a", "95 01 80 c0 a0 90", "95 01 80 c0 c0 90", "95 04 80 a131 a0 90",
        "96 01 80 a131 a3416464 920102 91a0", "96 01 80 a131 a3416464 920102 91c0", "96 01 80 a131 a3416464 920102 c0", "96 01 80 a131 a3416464 920102 90", "96 01 80 a0 a3416464 920102 90", "97 01 80 a131 a3416464 920102 90 2a", "95 01 81 a161 a162 a131 a3416464 920102", "95 01 82 a161 a162 a161 a162 a131 a3416464 920102",
        "94 03 80 a131 a178", "94 03 80 a131 00", "94 03 80 a131 04", "94 03 80 a131 01", "95 03 80 a131 01 c0", "95 03 80 a131 01 2a", "94 03 80 a139 02", "95 03 80 a139 03 2a", "94 02 80 a139 2a", "93 05 80 a139",
        "92 07 c0", "93 07 c0 c2", "93 07 a3666f6f c3", "92 07 2a", "93 07 c0 2a", "91 07", "91 08", "92 08 c0", "92 08 07", "92 09 07", "91 06", "92 06 2a", "90", "c0", "2a", "80",
        "95 01 80 a131 a3416464 9101", "95 01 80 a131 a3416464 93010203", "95 01 80 a131 a3616464 9101", "95 01 80 a131 a3416464 92a13102", "95 01 80 a131 a3416464 92c002", "95 01 80 a131 a3416464 92cb3ff000000000000002", "95 01 80 a131 a3416464 92d3000000000000000102", "95 01 80 a131 a3416464 92ce8000000002", "94 01 80 a131 a3416464", "95 01 80 a131 a3416464 c0", "95 01 80 a131 a3416464 2a",
        "95 01 80 a131 a44563686f 91 c403616263", "95 01 80 a131 a44563686f 91 c0", "95 01 80 a131 a44563686f 91 01", "95 01 80 a131 a84563686f42797465 91 cd0100", "95 01 80 a131 aa4563686f446f75626c65 91 01", "95 01 80 a131 aa4563686f446f75626c65 91 ca3fc00000", "95 01 80 a131 a94563686f4279746573 91 c403010203", "95 01 80 a131 a94563686f4279746573 91 93010203", "95 01 80 a131 a94563686f4279746573 91 a3616263", "95 01 80 a131 a94563686f436f6c6f72 91 a4426c7565", "95 01 80 a131 a94563686f436f6c6f72 91 02", "95 01 80 a131 a94563686f436f6c6f72 91 a4626c7565",
        "95 01 80 a131 ac4563686f4461746554696d65 91 d6ff58ec1c80", "95 01 80 a131 ac4563686f4461746554696d65 91 d7ff0000000458ec1c80", "95 01 80 a131 ac4563686f4461746554696d65 91 c70cff00000000fffffff1886e0900", "95 01 80 a131 ac4563686f4461746554696d65 91 a474657874",
        "95 04 80 a131 a7636f756e746572 9101", "95 04 80 a131 a7436f756e746572 920200", "95 04 80 a131 a3416464 920102", "95 01 80 a131 a7436f756e746572 920100", "95 01 80 a131 a64e6f53756368 90", "95 01 80 c0 a64e6f53756368 90", "95 01 80 a131 a55468726f77 91 a178", "95 01 80 a131 a8 4d616b6552617265 90", "95 01 80 a131 ae 556e73657269616c697a61626c65 90"];
    if (detailed === "true") bodies.push("91 2a");
    for (const b of bodies) await one(m, b);
    const sample = (x) => [1, {}, "1", "EchoSample", [x]];
    await one(m, sample({ Int: 5, Text: "x", Unknown: 1 })); await one(m, sample({ int: 5, INT: 6 })); await one(m, sample({ Color: 2 })); await one(m, sample({ Long: "5" })); await one(m, sample({ Decimal: 1.5 })); await one(m, sample({ Decimal: "1.50", TimeSpan: 10000000, Guid: "00010203-0405-0607-0809-0A0B0C0D0E0F" })); await one(m, sample({ Guid: new Uint8Array(16) }));
    for (const v of [null, true, 1, -1, 200, -200, 70000, 4294967296, 1.5, "text", [1], { a: 1 }, new Uint8Array([1, 2]), new Date(Date.UTC(2026, 0, 2))]) await one(m, [1, {}, "1", "Describe", [v]], `Describe ${v instanceof Uint8Array ? "bytes" : JSON.stringify(v)}`);
    await scenario("length 0", m, async (h) => { h.raw(Buffer.from([0])); await sleep(30); h.probe(); await h.settle(); });
    await scenario("length of six bytes", m, async (h) => { h.raw(Buffer.from("ffffffffffff", "hex")); await h.settle(); });
    await scenario("length over 2 GB", m, async (h) => { h.raw(Buffer.from("8080808008", "hex")); await h.settle(); });
    await scenario("length longer than needed", m, async (h) => { h.raw(Buffer.from("8280009106", "hex")); await sleep(30); h.probe(); await h.settle(); });
    await scenario("length announced over the limit, no body", m, async (h) => { h.raw(Buffer.from("81800291", "hex")); await sleep(200); h.probe(); await h.settle(); });
    await scenario("result nested 30,000 deep for an unknown id", m, async (h) => { h.send("95 03 80 a139 03" + "91".repeat(30000) + "c0"); await sleep(50); h.probe(); await h.settle(); });
    await scenario("two records in one frame", m, async (h) => { h.send("91 06", [1, {}, "1", "Add", [1, 2]]); await h.settle(100); });
    await scenario("upload: item of the wrong type", m, async (h) => { h.send([1, {}, "1", "Failure", [], ["s"]], [2, {}, "s", 1], [2, {}, "s", "x"], [2, {}, "s", 2], [3, {}, "s", 2]); await h.wait(150); h.probe(); await h.settle(); });
    await scenario("client result of the wrong type", m, async (h) => { h.send([1, {}, "1", "AskInt", [h.id, "AskInt"]]); const s = await h.asked(); h.send([3, {}, s, 3, "x"]); await h.wait(100); h.probe(); await h.settle(); });
});

onNode("stateful reconnect over raw WebSockets, detailed errors, buffer 1,000 bytes", ["--detailed", "true", "--stateful-buffer", "1000"], async () => {
    const s = { version: 2, stateful: true };
    const again = async (h) => { h.drain(); h.said.push({ note: `upgrade: ${await h.socket() ? 101 : JSON.stringify(h.ws.parsed())}` }); };
    const cut = (h) => { h.note("client resets TCP"); h.ws.reset(); };
    await scenario("counting: which messages are acked", "json", async (h) => { h.send({ type: 6 }); await h.wait(1300); h.send(inv("Add", [1, 2])); await h.wait(1300); h.send(inv("NoSuch", [], "2"), { type: 5, invocationId: "9" }, { type: 3, invocationId: "9" }, { type: 2, invocationId: "9", item: 1 }); await h.wait(1300); h.send({ type: 8, sequenceId: 1 }); await h.wait(1300); }, s);
    await scenario("counting: items that do not bind", "json", async (h) => { h.send(inv("Failure", [], "1", { streamIds: ["s"] }), { type: 2, invocationId: "s", item: 1 }, { type: 2, invocationId: "s", item: "x" }, { type: 2, invocationId: "s", item: 2 }); await h.wait(1300); h.send(inv("Add", ["x", 2], "2")); await h.wait(1300); }, s);
    await scenario("reset, reconnect: Sequence first, then what was not acked", "json", async (h) => { h.send(inv("Add", [1, 2]), inv("Add", [3, 4], "2"), inv("Add", [5, 6], "3")); await h.wait(150); h.send({ type: 8, sequenceId: 1 }); await h.wait(50); cut(h); await sleep(200); await again(h); await h.wait(200); h.send({ type: 9, sequenceId: 3 }, inv("Add", [5, 6], "3"), inv("Add", [7, 8], "4")); await h.wait(1400); }, s);
    await scenario("everything acked: Sequence is the next id", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(150); h.send({ type: 8, sequenceId: 1 }); await h.wait(50); cut(h); await sleep(100); await again(h); await h.wait(200); h.send({ type: 9, sequenceId: 2 }, inv("Add", [3, 4], "2")); await h.wait(150); }, s);
    await scenario("client sends no Sequence after the reconnect", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(150); cut(h); await sleep(100); await again(h); await h.wait(100); h.send(inv("Add", [3, 4], "2")); await h.wait(1300); }, s);
    await scenario("Sequence too large", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(100); cut(h); await sleep(100); await again(h); await h.wait(50); h.send({ type: 9, sequenceId: 3 }); await h.settle(500); }, s);
    await scenario("Sequence without a reconnect", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(100); h.send({ type: 9, sequenceId: 1 }, inv("Add", [1, 2], "again"), inv("Add", [3, 4], "new")); await h.wait(1300); }, s);
    await scenario("sent while away: a stream goes on", "json", async (h) => { h.send({ type: 4, invocationId: "1", target: "Counter", arguments: [6, 100] }); await h.wait(250); cut(h); await sleep(500); await again(h); await h.wait(500); }, s);
    await scenario("second upgrade while the first is alive, old client silent", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(100); h.drain(); const old = h.ws, t = Date.now(); const up = await h.socket(); const after = () => `${Math.round((Date.now() - t) / 100) / 10} s`; h.said.push({ note: `upgrade: ${up ? 101 : JSON.stringify(h.ws.parsed())} after ${after()}` }); await h.ws.until(() => h.ws.frames.length > 0, 8000); h.said.push({ note: `first frame on the new socket after ${after()}; old socket got ${old.frames.slice(1).map((f) => f.opcode === 8 ? "close " + f.payload.readUInt16BE(0) : f.payload.toString()).join(" ")}, closed: ${old.closed}` }); h.probe(); await h.settle(1000); }, s);
    await scenario("second upgrade while the first is alive, old client answers the close", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(100); h.drain(); const old = h.ws; old.until(() => old.frames.some((f) => f.opcode === 8), 8000).then(() => old.close(1000)); const up = await h.socket(); h.said.push({ note: `upgrade: ${up ? 101 : JSON.stringify(h.ws.parsed())}` }); await h.wait(300); if (!h.ws.closed && up) { h.probe(); await h.settle(1000); } }, s);
    await scenario("client's close frame, then an upgrade", "json", async (h) => { h.ws.close(1000); await h.ws.ended(); await sleep(50); await again(h); }, s);
    await scenario("client's hub Close, then an upgrade", "json", async (h) => { h.send({ type: 7 }); await h.wait(50); h.ws.reset(); await sleep(50); await again(h); }, s);
    await scenario("Abort, then an upgrade", "json", async (h) => { h.send(inv("Abort", [])); await h.wait(50); h.ws.reset(); await sleep(50); await again(h); }, s);
    await scenario("Abort, upgrade while the close is under way", "json", async (h) => { h.send(inv("Abort", [])); await h.wait(50); await again(h); }, s);
    await scenario("negotiated, but handshake version 1: second upgrade", "json", async (h) => { await again(h); }, { version: 1, stateful: true });
    await scenario("version 2 without negotiation: Ack and Sequence are ignored", "json", async (h) => { h.send({ type: 8, sequenceId: 5 }, { type: 9, sequenceId: 99 }); h.probe(); await h.settle(); await h.wait(1200); }, { version: 2 });
    await scenario("buffer full: writes wait for an Ack", "json", async (h) => { h.send(inv("Text", [900], "1"), inv("Text", [100], "2"), inv("Text", [100], "3")); await h.wait(500); h.note("0.5 s later"); h.send({ type: 8, sequenceId: 1 }); await h.wait(200); }, s);
    await scenario("buffer full: no Ack comes", "json", async (h) => { h.send(inv("Text", [1200], "1"), inv("Add", [1, 2], "2")); const t = Date.now(); for (let n = 2; n < 9 && !h.ws.closed; n = h.ws.frames.length + 1) { await h.ws.until(() => h.ws.frames.length >= n, 16000); h.note(`${Math.round((Date.now() - t) / 100) / 10} s after the calls`); } }, s);
    await scenario("a message larger than the buffer", "json", async (h) => { h.send(inv("Text", [5000], "1")); await h.wait(200); h.send({ type: 8, sequenceId: 1 }, inv("Add", [1, 2], "2")); await h.wait(200); }, s);
    await scenario("old socket ended inside a message", "json", async (h) => { h.raw('{"type":1,"invocationId":"1","targ'); await h.wait(50); cut(h); await sleep(100); await again(h); await h.wait(50); h.send({ type: 9, sequenceId: 1 }); h.probe(); await h.settle(1000); }, s);
    await scenario("Ack of an id never sent", "json", async (h) => { h.send(inv("Add", [1, 2])); await h.wait(100); h.send({ type: 8, sequenceId: 100 }, inv("Add", [3, 4], "2"), inv("Add", [5, 6], "3")); await h.wait(100); h.send({ type: 8, sequenceId: 2 }); await h.wait(50); cut(h); await sleep(100); await again(h); await h.wait(200); }, s);
    await scenario("MessagePack: reset, reconnect", "messagepack", async (h) => { h.send([1, {}, "1", "Add", [1, 2]], [1, {}, "2", "Add", [3, 4]]); await h.wait(150); cut(h); await sleep(100); await again(h); await h.wait(200); h.send([9, 3]); h.send([1, {}, "3", "Add", [5, 6]]); await h.wait(1300); h.send([8, 3]); await h.wait(50); }, s);
});
onNode("stateful reconnect, disconnect timeout 3 s", ["--disconnect-timeout-ms", "3000"], async () => {
    await scenario("no new socket within the time", "json", async (h) => { h.note("client resets TCP"); h.ws.reset(); await sleep(4600); h.note(`upgrade: ${await h.socket() ? 101 : JSON.stringify(h.ws.parsed().body)}`); }, { version: 2, stateful: true });
});

const groups = await stage.play();
finish(JSON.stringify({ about: "single hub records and ASP.NET Core 10's answers; see README.md", groups }).replaceAll('{"name"', '\n{"name"').replaceAll('{"group"', '\n{"group"'));
