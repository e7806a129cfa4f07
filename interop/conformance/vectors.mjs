// Turns redis.json into a flat list of byte vectors, and proves on the way that every captured payload is understood:
// each is decoded and encoded again to the same bytes. The vectors of recordings/redis-vectors.json that were not captured
// (their source is "document") go through the same check and are appended.
//   node vectors.mjs [redis.json] > redis-vectors.json        (needs no package, no Redis, no .NET)
import { readFileSync } from "node:fs";

const HUB = "Interop.TestHub";

// ---- MessagePack, only what the bus uses -------------------------------------------------------------------------
class Reader {
    constructor(buf) { this.b = buf; this.i = 0; }
    u(n) { if (this.i + n > this.b.length) throw new Error("truncated"); const v = this.b.readUIntBE(this.i, n); this.i += n; return v; }
    raw(n) { if (this.i + n > this.b.length) throw new Error("truncated"); this.i += n; return this.b.subarray(this.i - n, this.i); }
    array() { const t = this.u(1); if ((t & 0xf0) === 0x90) return t & 15; if (t === 0xdc) return this.u(2); if (t === 0xdd) return this.u(4); throw new Error(`no array: ${t.toString(16)}`); }
    map() { const t = this.u(1); if ((t & 0xf0) === 0x80) return t & 15; if (t === 0xde) return this.u(2); if (t === 0xdf) return this.u(4); throw new Error(`no map: ${t.toString(16)}`); }
    str() { const t = this.u(1); if ((t & 0xe0) === 0xa0) return this.raw(t & 31).toString(); if (t >= 0xd9 && t <= 0xdb) return this.raw(this.u(1 << (t - 0xd9))).toString(); throw new Error(`no string: ${t.toString(16)}`); }
    bin() { const t = this.u(1); if (t >= 0xc4 && t <= 0xc6) return this.raw(this.u(1 << (t - 0xc4))); throw new Error(`no bytes: ${t.toString(16)}`); }
    int() {
        const t = this.u(1);
        if (t < 0x80) return t;
        if (t >= 0xe0) return t - 256;
        if (t >= 0xcc && t <= 0xce) return this.u(1 << (t - 0xcc));
        if (t >= 0xd0 && t <= 0xd2) { const n = 1 << (t - 0xd0); const v = this.b.readIntBE(this.i, n); this.i += n; return v; }
        throw new Error(`no integer: ${t.toString(16)}`);
    }
    end() { if (this.i !== this.b.length) throw new Error("bytes left over"); }
}
const be = (n, size) => { const b = Buffer.alloc(size); b.writeUIntBE(n, 0, size); return b; };
const head = (n, fix, max, tags) => {
    if (n <= max) return Buffer.from([fix | n]);
    for (const [tag, size] of tags) if (n < 2 ** (8 * size)) return Buffer.concat([Buffer.from([tag]), be(n, size)]);
};
const w = {
    array: (n) => head(n, 0x90, 15, [[0xdc, 2], [0xdd, 4]]),
    map: (n) => head(n, 0x80, 15, [[0xde, 2], [0xdf, 4]]),
    str: (s) => { const b = Buffer.from(s); return Buffer.concat([head(b.length, 0xa0, 31, [[0xd9, 1], [0xda, 2], [0xdb, 4]]), b]); },
    bin: (b) => Buffer.concat([head(b.length, 0, -1, [[0xc4, 1], [0xc5, 2], [0xc6, 4]]), b]),
    int: (n) => {
        if (n >= 0) return head(n, 0, 127, [[0xcc, 1], [0xcd, 2], [0xce, 4]]);
        if (n >= -32) return Buffer.from([n & 0xff]);
        for (const [tag, size] of [[0xd0, 1], [0xd1, 2], [0xd2, 4]]) if (n >= -(2 ** (8 * size - 1))) { const b = Buffer.alloc(1 + size); b[0] = tag; b.writeIntBE(n, 1, size); return b; }
    },
};

// ---- the encodings: framed hub messages -------------------------------------------------------------------------------
function encoding(protocol, b) {
    if (protocol === "json") {
        if (b[b.length - 1] !== 0x1e || b.indexOf(0x1e) !== b.length - 1) throw new Error("JSON message without its one record separator");
        const text = b.subarray(0, -1).toString();
        JSON.parse(text);
        return { protocol, framedHex: b.toString("hex"), text };
    }
    let n = 0, i = 0;
    do { n += (b[i] & 0x7f) * 2 ** (7 * i); } while (b[i++] & 0x80);
    if (n !== b.length - i) throw new Error("length prefix does not fit");
    return { protocol, framedHex: b.toString("hex"), bodyHex: b.subarray(i).toString("hex") };
}

// ---- the five payloads --------------------------------------------------------------------------------------------
function invocation(b) {
    const r = new Reader(b), n = r.array();
    if (n !== 2 && n !== 4) throw new Error(`${n} items`);
    const d = { excluded: [], messages: [] };
    for (let k = r.array(); k > 0; k--) d.excluded.push(r.str());
    for (let k = r.map(); k > 0; k--) { const p = r.str(); d.messages.push(encoding(p, r.bin())); }
    if (n === 4) { d.invocationId = r.str(); d.returnChannel = r.str(); }
    r.end();
    const again = Buffer.concat([w.array(n), w.array(d.excluded.length), ...d.excluded.map(w.str), w.map(d.messages.length),
        ...d.messages.flatMap((m) => [w.str(m.protocol), w.bin(Buffer.from(m.framedHex, "hex"))]), ...(n === 4 ? [w.str(d.invocationId), w.str(d.returnChannel)] : [])]);
    return [n === 4 ? "client-result-invocation" : "invocation", d, again];
}
function groupCommand(b) {
    const r = new Reader(b);
    if (r.array() !== 5) throw new Error("not 5 items");
    const d = { id: r.int(), serverName: r.str(), action: r.int(), group: r.str(), connectionId: r.str() };
    r.end();
    d.actionName = { 1: "add", 2: "remove" }[d.action];
    return ["group-command", d, Buffer.concat([w.array(5), w.int(d.id), w.str(d.serverName), w.int(d.action), w.str(d.group), w.str(d.connectionId)])];
}
function ack(b) {
    const r = new Reader(b);
    if (r.array() !== 1) throw new Error("not 1 item");
    const d = { id: r.int() };
    r.end();
    return ["ack", d, Buffer.concat([w.array(1), w.int(d.id)])];
}
function completion(b) {
    const r = new Reader(b);
    if (r.array() !== 2) throw new Error("not 2 items");
    const p = r.str(), d = encoding(p, r.bin());
    r.end();
    return ["completion", d, Buffer.concat([w.array(2), w.str(p), w.bin(Buffer.from(d.framedHex, "hex"))])];
}

/** What a wire channel is for, and the name at its end. */
function channelOf(wire, prefix, hub) {
    const start = `${prefix}${hub}:`;
    if (!wire.startsWith(start)) throw new Error(`channel ${wire} does not start with ${start}`);
    const rest = wire.slice(start.length);
    for (const [purpose, decode] of [["all", invocation], ["internal:groups", groupCommand]]) if (rest === purpose) return { purpose, name: null, decode };
    for (const [purpose, decode] of [["connection", invocation], ["group", invocation], ["user", invocation], ["internal:ack", ack], ["internal:return", completion]])
        if (rest.startsWith(purpose + ":")) return { purpose, name: rest.slice(purpose.length + 1), decode };
    throw new Error(`unknown channel ${wire}`);
}

const out = [], seen = {};
function add(source, name, prefix, channel, { purpose, name: channelName, decode }, hex) {
    const bytes = Buffer.from(hex, "hex");
    const [kind, decoded, again] = decode(bytes);
    if (!again.equals(bytes)) throw new Error(`${name}: encodes to ${again.toString("hex")} instead of ${hex}`);
    seen[kind] = (seen[kind] ?? 0) + 1;
    out.push({ source, name, prefix, channel, purpose, channelName, payloadHex: hex, kind, decoded });
}

// 1. The capture
for (const run of JSON.parse(readFileSync(process.argv[2] ?? new URL("recordings/redis.json", import.meta.url)))) for (const step of run.steps) step.messages.forEach((m, i) => {
    const name = step.messages.length > 1 ? `${step.step} (${i + 1} of ${step.messages.length})` : step.step;
    add("capture", name, run.prefix, m.channel, channelOf(m.channel, run.prefix, HUB), m.payload);
});

// 2. Vectors that were not captured
for (const v of JSON.parse(readFileSync(new URL("recordings/redis-vectors.json", import.meta.url))).filter((v) => v.source === "document")) {
    add(v.source, v.name, v.prefix, v.channel, channelOf(v.channel, v.prefix, "MyApp.Hubs.ChatHub"), v.payloadHex);
}

console.log("[\n" + out.map((v) => JSON.stringify(v)).join(",\n") + "\n]");
process.stderr.write(`${out.length} payloads decoded and encoded again to the same bytes: ${JSON.stringify(seen)}\n`);
