// Compares two recordings of http.mjs, records.mjs, dialogues.mjs or refresh.mjs, scenario by scenario.
//   node compare.mjs http|records|dialogues|refresh WANT.json GOT.json [--only WORD] [--list] [--json]
// Exit status 1 if a scenario differs. --only takes scenarios whose name holds WORD, --list prints a line for each,
// --json prints a list of {name, played, outcome: "same" | "differs" | "racy", differences: [{lane, want, got}]} and nothing
// else; `played` is the name without the number that a name has when it occurs again, as the recorders know it.
//
// A scenario becomes lanes: one for each socket (or HTTP exchange) and direction, one for what the client's user sees.
// A lane is a list of texts and must be equal, text by text. Not compared: random ids and tokens (named in order of
// appearance), invocation ids the server makes, ports, times, `_=`, Date and Server headers, X-Accel-Buffering
// (we send `no` with event streams, because nginx holds them back without it; ASP.NET Core's hang there) and Connection of
// event streams (ours end with TCP, as `close` says), order and case of header
// names, chunking and Content-Length (bodies are), WebSocket fragments, how many hub messages share a frame, event or
// body, how many pings there are (but whether there are any is), the order of events in different lanes; the tables
// below; and in dialogues the farewell of both sides once the user has called stop.
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";

/** Texts of the .NET runtime that another server cannot know: pattern, name, reason. Where WANT has one, GOT may have any text. */
const runtimeText = [
    [/The JSON value could not be converted to [\w.]+\. Path: \S+ \| LineNumber: \d+ \| BytePositionInLine: \d+\./g, "System.Text.Json conversion", "names a .NET type and the parser's position"],
    [/(?<=JsonReaderException: )[^|"]*? LineNumber: \d+ \| BytePositionInLine: \d+\./g, "System.Text.Json syntax", "the parser's own words and its position"],
    [/(?<=NotSupportedException: )this getter fails The unsupported member type is located on type '[\w.]+'\. Path: \S+?\.(?=["\\]|$)/g, "System.Text.Json serializer", "names a .NET type and the serializer's path"],
    [/(?<=MessagePackSerializationException: )Failed to serialize [\w.]+ value\./g, "MessagePack-CSharp serializer", "names the .NET type that cannot be serialized"],
    [/Deserializing object of the `\w+` type for '\w+' failed\./g, "MessagePack-CSharp binding", "names a .NET type"],
    [/(?:(?:\\r)?\\n|\r?\n) {3}at [^'"]*(?=')/g, "stack trace", "the .NET client sends it with the error of an upload, and the server repeats it"],
];

/** Scenarios that have several outcomes in ASP.NET Core itself: a lane that differs only in which of them it shows is racy. */
const racy = {
    http: [
        { scenario: /^(ways a WebSocket ends|WebSocket frames) \//, outcomes: /\n(close 1002 ""\nFIN or RST|ECONNRESET)$/, reason: "after a protocol error the server aborts, and the RST may overtake its close frame" },
        { scenario: /^(ways a WebSocket ends|WebSocket frames) \//, outcomes: /\n(close 1007 ""\nFIN or RST|ECONNRESET)$/, reason: "the same" },
        { scenario: /^long polling \/ (three polls at once|many polls in one instant|first poll while a first poll runs)$/, outcomes: /HTTP\/1.1 (204 No Content|409 Conflict) /g, reason: "an older poll gets 204, but 409 while a third one is taking its place" },
        { scenario: /^SIGTERM \/ long polling, poll pending$/, outcomes: /HTTP\/1.1 (200 OK [^\n]*\nbody \{"type":7,"allowReconnect":true\}|204 No Content [^\n]*\nbody )(?=\n|$)/, reason: "the pending poll gets the hub's Close or, if the connection is gone before that, 204" },
        { scenario: /^long polling \/ DELETE ends a pending poll$/, outcomes: /HTTP\/1.1 (200 OK [^\n]*\nbody \{"type":7,"allowReconnect":true\}|204 No Content [^\n]*\nbody )(?=\n|$)/, reason: "the same" },
    ],
    refresh: [
        { scenario: /call without id$|connection ends|client goes away|after the end$/, outcomes: /(\n(text \{"type":7,"allowReconnect":true\}|binary \\x93\\x07\\xc0\\xc3))?\nclose 1000 ""\nFIN$/, reason: "after a close frame from the client the hub's Close may or may not come before the answer" },
    ],
    dialogues: [
        { scenario: /^server stops \/ \w+ LongPolling/, outcomes: /\n(body (\{"type":7,"allowReconnect":true\}|\\x93\\x07\\xc0\\xc3)|status 204 [^\n]*)$/, reason: "the same" },
        { scenario: /\/ dotnet WebSockets/, outcomes: /(?<=\n\w+ (\{"type":7|\\x9[23]\\x07)[^\n]*)(\nclose 1000 )?\nFIN$/, reason: "told by the hub's Close, the .NET client ends TCP at once, before or after the server's close frame" },
        { scenario: /^connection refused by OnConnectedAsync \/ js/, outcomes: /(?<="outcome":"start")(,"error":"Server returned an error on close: Connection closed with an error\.")?(?=\})|^(\{"callback":"onclose","error":"Server returned an error on close: Connection closed with an error\."\})?$/, reason: "start() fails if the Close comes together with the handshake's answer, else it succeeds and onclose follows" },
    ],
};

/** What is chance in single scenarios: the lanes are changed so that the rest can be compared. */
const adjustments = {
    http: [
        { scenario: /./, change: anyEnd(/^close 100[27] /), reason: "after a protocol error the server aborts the connection; the client sees FIN or RST" },
        { scenario: /^POST \/ body cut off by the client$/, change: anyEnd(/^$/), reason: "the same, after half a request" },
        { scenario: /^long polling \/ (many polls in one instant|first poll while a first poll runs)$/, change: anyOrder(/^poll \d+ <$/), reason: "requests on several sockets at once: which is first is chance; the answers are compared as a set" },
        { scenario: /^default times \/ negotiated, never connected: POST each second$/, change: eachLane(/^post [<>]$/, (list, lane) => [...list.slice(0, lane.endsWith("<") ? 28 : 14), ...list.slice(-2)]), reason: "the connection ends with a tick of the table's clock, before or after the 16th second" },
        { scenario: /^long polling \/ POST before the first poll$/, change: joined(/^poll \d+ <$/), reason: "two messages come with one poll or with two" },
    ],
    dialogues: [
        { scenario: /^uploads \//, change: byStream(/client$/), reason: "the clients send the items of parallel streams in any order" },
        { scenario: /^server too silent \/ dotnet/, change: eachLane(/^socket 1 server$/, (list) => list.filter((text) => !farewell.test(text))), reason: "the client gives up and ends TCP at once, before or after the answer to its close frame" },
        { scenario: /^stateful reconnect: cut during a stream and a slow call/, change: byStream(/server$/), reason: "the slow call ends after 700 ms, when the stream has an item each 100 ms" },
        { scenario: /^stateful reconnect: cut during a stream and a slow call/, change: lastAck(/client$/), reason: "the client acknowledges once a second what it has by then; in the end it has everything" },
    ],
};
const ack = /^(text \{"type":8,|binary \\x92\\x08)/;
// Changes of lanes. anyEnd: FIN or RST if it comes after a text of that kind or at the beginning; byStream: by invocation id, with
// the order kept inside each; lastAck: without the acks before it; anyOrder: as a sorted list of lanes; joined: without repeated heads and empty bodies.
function anyEnd(after) { return eachLane(/./, (list) => list.map((text, i) => (/^(FIN|ECONNRESET)$/.test(text) && after.test(list[i - 1] ?? "") ? "FIN or RST" : text))); }
function byStream(which) {
    const id = (text) => text.match(/"invocationId":"([^"]*)"/)?.[1] ?? text.match(/^\w+ \\x9\d\\x0\d\\x80(\\xa[1-9]\w{1,2})/)?.[1] ?? "";
    return eachLane(which, (list) => [...list].sort((a, b) => (id(a) < id(b) ? -1 : id(a) > id(b) ? 1 : 0)));
}
function lastAck(which) { return eachLane(which, (list) => { const acks = list.filter((text) => ack.test(text)); return list.filter((text) => !acks.slice(0, -1).includes(text)); }); }
function anyOrder(which) { return oneLane(which, (lists) => lists.map((list) => list.join("; ")).sort()); }
function joined(which) { return oneLane(which, (lists) => lists.flat().filter((text, i, all) => text !== "body " && !(text.startsWith("HTTP/") && all.indexOf(text) < i))); }
function eachLane(which, change) { return (lanes) => { for (const [lane, list] of lanes) if (which.test(lane)) lanes.set(lane, change(list, lane)); }; }
function oneLane(which, change) {
    return (lanes) => {
        const names = [...lanes.keys()].filter((lane) => which.test(lane)).sort(), lists = names.map((lane) => lanes.get(lane));
        for (const lane of names) lanes.delete(lane);
        lanes.set(`${which}`, change(lists));
    };
}
// --- names for what is random ---------------------------------------------------------------------------------------
const long = (text) => text.replace(/<x\*(\d+)>/g, (_, n) => "x".repeat(n));
const hex = (text) => Buffer.from(text.replace(/<(78|91)\*(\d+)>/g, (_, byte, n) => byte.repeat(n)), "hex").toString("latin1");
const visible = (text) => text.replace(/[^\x20-\x7e]/g, (c) => ({ "\r": "\\r", "\n": "\\n" })[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`).replace(/x{300,}/g, (run) => `<x*${run.length}>`);

class Names {
    ids = new Map(); asked = new Map(); count = {};
    name(map, id, kind) { if (id && !map.has(id)) map.set(id, `<${kind}${this.count[kind] = (this.count[kind] ?? 0) + 1}>`); }
    /** Learns connection ids and tokens at the places where they are known to be. */
    learn(text) {
        for (const [, kind, id] of text.matchAll(/"connection(Id|Token)":"([^"]+)"/g)) this.name(this.ids, id, kind.toLowerCase());
        for (const pattern of [/"arguments":\["([\w-]{22})",/g, /\xa6AskInt\x92\xb6([\w-]{22})/g, /\bConnection (?:ID )?'([\w-]{22})'/g])
            for (const [, id] of text.matchAll(pattern)) this.name(this.ids, id, "id");
    }
    /** Learns the id of an invocation that the server makes. */
    learnAsked(message) {
        const json = message.match(/^\{"type":1,.*?"invocationId":"([^"]+)"/), packed = message.match(/^[\x95\x96]\x01\x80[\xa1-\xbf]([\x21-\x7e]+?)[\xa0-\xbf]/);
        this.name(this.asked, json?.[1] ?? packed?.[1], "asked");
    }
    text(text) {
        this.learn(text);
        for (const [id, name] of this.ids) text = text.replaceAll(id, name);
        for (const [id, name] of this.asked) text = text.replaceAll(`"invocationId":"${id}"`, `"invocationId":"${name}"`).replaceAll(`'${id}'`, `'${name}'`).replaceAll(`\x80${String.fromCharCode(0xa0 + id.length)}${id}`, `\x80${name}`);
        text = text.replace(/(127\.0\.0\.1|localhost):\d+/g, "<host>").replace(/([?&]_=)\d+/g, "$1<time>");
        for (const [pattern, name] of runtimeText) text = text.replace(pattern, `<runtimeText: ${name}>`);
        return text;
    }
}
// --- lanes and hub messages -----------------------------------------------------------------------------------------
class Lanes {
    lists = new Map(); messages = new Map(); names = new Names();
    add(lane, text) { this.finish(lane); this.push(lane, text); }
    push(lane, text) {
        const shown = visible(this.names.text(text));
        if (!this.ignored?.(lane, shown)) this.lists.set(lane, [...this.lists.get(lane) ?? [], shown]);
    }
    /** Hub messages as they come: `how` is text, binary, event or body; what is incomplete waits for its rest. */
    hub(lane, how, bytes, packed, fromServer) {
        if (this.messages.get(lane)?.how !== how) { this.finish(lane); this.messages.set(lane, { how, rest: "" }); }
        const m = this.messages.get(lane);
        m.rest += bytes;
        for (let part; (part = nextMessage(m.rest, packed)); ) {
            m.rest = m.rest.slice(part.size);
            if (/^\{"type":6\}$|^\x91\x06$/.test(part.message)) { if (fromServer) this.lists.set(`pings, ${lane}`, ["some"]); continue; }
            if (fromServer) this.names.learnAsked(part.message);
            this.push(lane, `${how} ${part.message}`);
        }
    }
    /** Says what is left of a message that never became complete. */
    finish(lane) { const m = this.messages.get(lane); this.messages.delete(lane); if (m?.rest) this.push(lane, `${m.how}, incomplete: ${m.rest}`); }
    done() { for (const lane of [...this.messages.keys()]) this.finish(lane); return this.lists; }
}
/** The first hub message of a stream: up to 0x1e, or in MessagePack (but not a handshake) by its length prefix. */
function nextMessage(bytes, packed) {
    if (!packed || /^\{["}]/.test(bytes)) {
        const end = bytes.indexOf("\x1e");
        return end < 0 ? null : { message: bytes.slice(0, end), size: end + 1 };
    }
    let n = 0, at = 0, byte = 0x80;
    while (byte & 0x80 && at < 5) { if (at >= bytes.length) return null; byte = bytes.charCodeAt(at); n += (byte & 0x7f) * 2 ** (7 * at++); }
    if (bytes.length < at + n) return null;
    const note = at > 1 && byte === 0 ? `(prefix of ${at} bytes) ` : "";
    return { message: note + bytes.slice(at, at + n), size: at + n };
}
// --- HTTP -----------------------------------------------------------------------------------------------------------
/** Headers in one order; of Sec-WebSocket-Accept whether it is right. */
function headers(lines, accept = "<accept>") {
    const own = lines.some((l) => /^content-type:\s*text\/event-stream$/i.test(l)) ? /^(connection|x-accel-buffering)$/ : /^$/;
    return lines.map((l) => { const [, name, value] = l.match(/^([^:]*):\s*(.*)$/) ?? [, l, ""]; return [name.toLowerCase(), value]; })
        .filter(([name]) => !/^(date|server|content-length|transfer-encoding)$/.test(name) && !own.test(name))
        .map(([name, value]) => `${name}: ${name === "sec-websocket-accept" ? (value === accept ? "<right>" : "<wrong>") : value}`).sort().join(" | ");
}
/** Splits the answers on one socket: head, body without chunks, and whether the body came to its end. */
function* answers(bytes, toHead) {
    for (let at = 0; at < bytes.length; ) {
        const eol = bytes.indexOf("\r\n\r\n", at);
        if (eol < 0) return yield { status: "no HTTP", lines: [], body: bytes.slice(at), ended: false };
        const [status, ...lines] = bytes.slice(at, eol).split("\r\n"), code = Number(status.split(" ")[1]), head = lines.join("\n").toLowerCase();
        at = eol + 4;
        const length = head.match(/content-length: (\d+)/);
        let body = "", ended = true;
        if (toHead || code < 200 || code === 204 || code === 304) ended = true;
        else if (length) { body = bytes.slice(at, at += Number(length[1])); ended = body.length === Number(length[1]); }
        else if (!/transfer-encoding: chunked/.test(head)) { body = bytes.slice(at); at = bytes.length; ended = "by FIN"; }
        else for (ended = false; !ended && at < bytes.length; ) {
            const end = bytes.indexOf("\r\n", at), n = end < 0 ? NaN : parseInt(bytes.slice(at, end), 16);
            if (Number.isNaN(n)) { at = bytes.length; break; }
            body += bytes.slice(end + 2, end + 2 + n);
            at = end + 2 + n + 2;
            ended = n === 0;
        }
        yield { status, lines, body, ended };
    }
}
/** Adds the events of an SSE body: hub messages, or for a raw endpoint the event as it is. */
function addEvents(lanes, lane, body, raw) {
    while (body) {
        const size = body.startsWith(":\r\n") ? 3 : body.indexOf("\r\n\r\n") + 4;
        const event = size < 3 || (size === 3 && body[0] !== ":") ? body : body.slice(0, size), data = event.match(/^data: ([^\r\n]*)\r\n\r\n$/);
        body = body.slice(event.length);
        if (data && !raw) lanes.hub(lane, "event", data[1], false, true);
        else lanes.add(lane, `event ${JSON.stringify(event)}`);
    }
}
// --- http.json ------------------------------------------------------------------------------------------------------
function httpScenario({ events }) {
    const lanes = new Lanes(), sockets = new Map();
    const packed = events.some((e) => e[1] === ">" && (e[4] ?? e[2]).replaceAll("\\", "").includes('"protocol":"messagepack"'));
    for (const e of events) lanes.names.learn(e[2]);
    const state = (name) => sockets.get(name) ?? sockets.set(name, { bytes: "", repeated: "", path: "", accept: "", fragments: null }).get(name);
    const flush = (name) => { // frames that came together with a 101 are written after it, and again as frames
        const s = state(name), lane = `${name} <`, bytes = s.bytes;
        s.bytes = "";
        for (const a of answers(bytes, s.path.startsWith("HEAD"))) {
            lanes.add(lane, `${a.status} | ${headers(a.lines, s.accept)}`);
            if (/^HTTP\/1.1 101/.test(a.status)) { s.repeated = bytes.slice(bytes.indexOf("\r\n\r\n", bytes.indexOf(a.status)) + 4); return; }
            const raw = s.path.includes("/echo"), type = a.lines.find((l) => /^content-type:/i.test(l)) ?? "";
            if (/event-stream/.test(type)) { addEvents(lanes, lane, a.body, raw); if (a.ended) lanes.add(lane, `end of stream${a.ended === true ? "" : " " + a.ended}`); }
            else if (!raw && (a.body.includes("\x1e") || (packed && /octet-stream/.test(type)))) lanes.hub(lane, "body", a.body, packed, true);
            else lanes.add(lane, `body ${a.body}${a.ended ? "" : " (incomplete)"}`);
        }
    };
    for (const [name, direction, text, , note] of events) {
        const s = state(name), bytes = long(text);
        if (direction === "!") {
            lanes.add("script", `${name} ${note}`);
            if (note === "SIGTERM") for (const [other, { bytes }] of sockets) if (other !== "-" && !bytes) lanes.add(`${other} <`, "(SIGTERM)");
        } else if (direction === ">") {
            if (!note) { flush(name); s.path = bytes.slice(0, bytes.indexOf("\r\n")); s.accept = accept(bytes); }
            lanes.add(`${name} >`, note ?? bytes.replace(/^(sec-websocket-key: ).*$/im, "$1<key>"));
        } else if (!note) s.bytes += bytes;
        else { flush(name); if (s.repeated.startsWith(bytes)) s.repeated = s.repeated.slice(bytes.length); if (bytes) frame(lanes, `${name} <`, s, bytes); else lanes.add(`${name} <`, note.replace(/after \d+ more/, "after <n> more")); }
    }
    for (const [name, s] of sockets) { flush(name); if (s.repeated) lanes.add(`${name} <`, `after 101: ${s.repeated}`); }
    return lanes.done();
}
const accept = (request) => { const key = request.match(/^sec-websocket-key: (.*)\r$/im); return key && createHash("sha1").update(key[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64"); };

/** One frame from the server, unmasked. */
function frame(lanes, lane, socket, bytes) {
    const first = bytes.charCodeAt(0), opcode = first & 15, size = bytes.charCodeAt(1) & 127, payload = bytes.slice(size < 126 ? 2 : size === 126 ? 4 : 10);
    if (first & 0x70 || bytes.charCodeAt(1) & 128) return lanes.add(lane, `frame with reserved bits or mask: ${bytes}`);
    if (opcode === 8) return lanes.add(lane, payload.length < 2 ? "close without code" : `close ${Buffer.from(payload, "latin1").readUInt16BE(0)} ${JSON.stringify(payload.slice(2))}`);
    if (opcode > 2) return lanes.add(lane, `frame ${opcode} ${payload}`);
    if (opcode || !socket.fragments) socket.fragments = { how: ["continuation", "text", "binary"][opcode], payload: "" };
    socket.fragments.payload += payload;
    if (!(first & 128)) return;
    const { how, payload: whole } = socket.fragments;
    socket.fragments = null;
    if (socket.path.includes("/echo")) lanes.add(lane, `${how} ${whole}`);
    else lanes.hub(lane, how, whole, how === "binary", true);
}
// --- records.json ---------------------------------------------------------------------------------------------------
/** One lane: the script waits for its answers, so that what the client and the server say has an order; only the
 *  call `probe` goes out 30 ms after the record whether or not the answer has come, and has a lane of its own. */
function recordsCase({ protocol, said, onDisconnected }) {
    const lanes = new Lanes(), packed = protocol === "messagepack";
    const bytesOf = (text) => packed && /^([0-9a-f]{2}|<91\*\d+>)*$/.test(text) ? hex(text) : long(text);
    lanes.ignored = (lane, text) => text === "server {}"; // the handshake's answer is there only if another message shared its frame
    for (const { client, server, note } of said) {
        if (note !== undefined) lanes.push("said", `note ${answerIn(typeof note === "string" ? note : JSON.stringify(note).replaceAll('\\"', '"'))}`);
        else if (client !== undefined) lanes.push(/^.{0,40}probe/s.test(bytesOf(client)) ? "probe" : "said", `client ${bytesOf(client)}`);
        else if (/^close \d+$/.test(server)) lanes.add("said", server);
        else lanes.hub("said", "server", bytesOf(server), packed, true);
    }
    lanes.add("OnDisconnectedAsync", String(onDisconnected));
    return lanes.done();
}
/** In notes: the answer to an upgrade like any HTTP answer, and times in whole seconds. */
function answerIn(note) {
    const [, start, json, rest] = note.match(/^(upgrade: )(\{.*\})(.*)$/s) ?? [, note, "", ""];
    const { head, body } = json ? JSON.parse(json) : {}, [status, ...lines] = head?.split("\r\n") ?? [];
    return (start + (json && `${status} | ${headers(lines)} | ${body}`) + rest).replace(/(\d+(?:\.\d+)?) s\b/g, (_, s) => `${Math.round(s)} s`);
}
// --- dialogues.json -------------------------------------------------------------------------------------------------
/** Ends that are a race between both sides, so that one may be missing; http.json has them one by one. */
const answer = String.raw`status (20[024]|404) \| (cache-control: no-cache, no-store \| )?content-type: (text/plain|application/octet-stream)( \| expires: Thu, 01 Jan 1970 00:00:00 GMT \| pragma: no-cache)?`;
const afterClose = new RegExp(`^(${answer}|body No Connection with that ID)$`);
const farewell = new RegExp(String.raw`^(close 1000 |FIN|end of stream|${answer}|body No Connection with that ID|\w+ (\{"type":7(,"allowReconnect":(true|false))?\}|\\x9[23]\\x07\\xc0(\\xc[23])?))$`);

function dialogue({ events, protocol }) {
    const lanes = new Lanes(), packed = protocol === "messagepack", exchanges = new Map(), lastHeaders = new Map(), lastStatus = new Map(), fragments = new Map();
    const bytesOf = (e, how) => e.hex !== undefined ? hex(e.hex) : how === "binary" ? Buffer.from(long(e.text ?? "")).toString("latin1") : long(e.text ?? "");
    let stopped = false; // the client's user has stopped the connection
    const closed = new Set(); // connections by path whose hub Close the client has got; whether it then still polls or posts is chance
    lanes.ignored = (lane, text) => (/client$/.test(lane) && /^(close |FIN|hung up)/.test(text)) || (stopped && farewell.test(text)) || (closed.has(lane.split(" ")[1]) && afterClose.test(text));
    for (const e of events) { lanes.names.learn(JSON.stringify(e).replaceAll('\\"', '"')); if (/^invoke ConnectionId/.test(e.outcome)) lanes.names.name(lanes.names.ids, e.result, "id"); }
    for (const { ms, ...e } of events) {
        stopped ||= e.step === "stop";
        if (e.socket) socketEvent(e);
        else if (e.request) exchangeEvent(e);
        else lanes.add(e.handler ? "handlers" : e.callback || e.unhandled ? "callbacks" : "steps", JSON.stringify(e));
    }
    return lanes.done();

    function socketEvent(e) {
        const lane = `socket ${e.socket} ${e.from}`;
        if (e.upgrade) return lanes.add(lane, `GET ${e.path}`);
        if (e.status || e.broken) return lanes.add(lane, e.broken ?? `status ${e.status}`);
        if (e.frame === "close") return lanes.add(lane, e.code === undefined ? "close without code" : `close ${e.code} ${e.reason}`);
        if (!["text", "binary", "continuation"].includes(e.frame)) return lanes.add(lane, `frame ${e.frame} ${bytesOf(e)}`);
        const f = (e.frame === "continuation" && fragments.get(lane)) || { how: e.frame, payload: "" };
        f.payload += bytesOf(e, f.how);
        fragments.set(lane, e.more ? f : undefined);
        if (!e.more) lanes.hub(lane, f.how, f.payload, f.how === "binary", e.from === "server");
    }
    function exchangeEvent(e) {
        if (e.verb) exchanges.set(e.request, e);
        const { verb, path: asked } = exchanges.get(e.request), path = lanes.names.text(asked).replace(/&_=<time>/, ""), lane = `${verb} ${path} ${e.from}`, body = bytesOf(e);
        if (e.broken) return lanes.add(lane, e.broken);
        if (e.verb) { if (body) lanes.hub(lane, "body", body, packed, false); return; }
        if (e.event) { addEvents(lanes, lane, e.event, false); return noteClose(lane, path); }
        if (e.end) return lanes.add(lane, "end of stream");
        if (e.headers) lastHeaders.set(`${verb} ${e.status}`, e.headers);
        const status = `status ${e.status} | ${headers(lastHeaders.get(`${verb} ${e.status}`) ?? [])}`;
        if (status !== lastStatus.get(lane)) lanes.add(lane, status); // how many answers of one kind there are depends on batching
        lastStatus.set(lane, status);
        if (body.includes("\x1e") || (packed && /octet-stream/.test(status) && body)) lanes.hub(lane, "body", body, packed, true);
        else if (body) lanes.add(lane, `body ${body}`);
        noteClose(lane, path);
    }
    function noteClose(lane, path) { if (/^\w+ (\{"type":7|\\x9[23]\\x07)/.test(lanes.lists.get(lane)?.at(-1))) closed.add(path); }
}
// --- comparison -----------------------------------------------------------------------------------------------------
const kinds = {
    http: (file) => file.groups.flatMap((g) => g.scenarios.map((s) => [`${g.name} / ${s.name}`, () => httpScenario(s)])),
    refresh: (file) => kinds.http({ groups: file.groups.map((g) => ({ ...g, scenarios: g.scenarios.map((s) => ({ ...s, events: s.events.map(([socket, direction, text, ...more]) => [socket, direction, text.replace(/until=\d+/g, "until=<time>"), ...more]) })) })) }),
    records: (file) => file.groups.flatMap((g) => g.cases.map((c) => [`${g.group} / ${c.name}`, () => recordsCase(c)])),
    dialogues: (file) => file.dialogues.map((d) => [`${d.scenario} / ${/^@/.test(d.client) ? "js" : "dotnet"} ${d.transport} ${d.protocol}`, () => dialogue(d)]),
};
/** Name -> lanes, with a number for names that occur again. */
function read(kind, path, only) {
    const scenarios = new Map(), seen = new Map();
    for (const [name, lanes] of kinds[kind](JSON.parse(readFileSync(path)))) {
        const n = (seen.get(name) ?? 0) + 1, unique = n > 1 ? `${name} (${n})` : name;
        seen.set(name, n);
        if (!unique.includes(only)) continue;
        scenarios.set(unique, lanes());
        for (const a of adjustments[kind] ?? []) if (a.scenario.test(unique)) a.change(scenarios.get(unique));
    }
    return scenarios;
}

/** Equal, or any text where there is runtimeText; the length of a MessagePack string with such a text may be another. */
function same(want, got) {
    if (want === got || !want?.includes("<runtimeText") || got === undefined) return want === got;
    const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), stringHead = /(\\xd9(?:\\x..|.)|\\xda(?:\\x..|.){2})/;
    const quoted = (text) => text.split(stringHead).map((part, i) => (i % 2 ? String.raw`\\xd[9a](?:\\x..|.){1,2}` : escaped(part))).join("");
    return new RegExp(`^${want.split(/<runtimeText: [^>]*>/).map(quoted).join(".*")}$`).test(got);
}
/** What differs in the lanes of a scenario; racy differences are marked. */
function differences(name, want, got) {
    if (!want || !got) return [{ lane: "scenario", want: want ? "recorded" : "(nothing)", got: got ? "recorded" : "(nothing)" }];
    const found = [];
    for (const lane of new Set([...want.keys(), ...got.keys()])) {
        const a = want.get(lane) ?? [], b = got.get(lane) ?? [];
        const isRacy = racy[kind]?.some((r) => r.scenario.test(name) && a.join("\n").replace(r.outcomes, "\n<outcome>") === b.join("\n").replace(r.outcomes, "\n<outcome>"));
        for (let i = 0; i < Math.max(a.length, b.length); i++) if (!same(a[i], b[i])) found.push({ lane: `${lane} [${i}]`, want: a[i] ?? "(nothing)", got: b[i] ?? "(nothing)", isRacy });
    }
    return found;
}
/** The part of two texts where they begin to differ. */
function excerpt(a, b) {
    const i = [...a, ""].findIndex((c, i) => c !== b[i]), from = a.length < 240 && b.length < 240 ? 0 : Math.max(0, i - 60), cut = (t) => (from ? "..." : "") + t.slice(from, from + 240) + (t.length > from + 240 ? "..." : "");
    return [cut(a), cut(b)];
}

const [kind, wantFile, gotFile, ...options] = process.argv.slice(2);
if (!kinds[kind] || !gotFile) { console.error("node compare.mjs http|records|dialogues|refresh WANT.json GOT.json [--only WORD] [--list] [--json]"); process.exit(2); }
const only = options.includes("--only") ? options[options.indexOf("--only") + 1] : "", list = options.includes("--list"), json = options.includes("--json");
const want = read(kind, wantFile, only), got = read(kind, gotFile, only), names = new Set([...want.keys(), ...got.keys()]);
const results = [];
for (const name of names) {
    const all = differences(name, want.get(name), got.get(name)), found = all.filter((d) => !d.isRacy);
    const outcome = found.length ? "differs" : all.length ? "racy" : "same";
    results.push({ name, played: name.replace(/ \(\d+\)$/, ""), outcome, differences: found.map(({ lane, want, got }) => { const [a, b] = excerpt(want, got); return { lane, want: a, got: b }; }) });
}
const differing = results.filter((r) => r.outcome === "differs").length;
if (json) console.log(JSON.stringify(results));
else {
    for (const { name, outcome, differences: [first, ...more] } of results) {
        if (list) console.log(`${outcome.padEnd(7)} ${visible(name)}`);
        if (first) console.log(`${visible(name)}\n    ${first.lane}\n    want ${first.want}\n    got  ${first.got}${more.length ? `\n    and ${more.length} more` : ""}`);
    }
    console.log(`${names.size} scenarios compared, ${differing} differ`);
}
process.exitCode = differing ? 1 : 0;
