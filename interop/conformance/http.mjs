// Records the raw HTTP and WebSocket bytes of a real ASP.NET Core node, scenario by scenario.
//   REFERENCE_DLL=.../reference.dll node http.mjs > http.json
// Run from a folder whose node_modules has @microsoft/signalr and @microsoft/signalr-protocol-msgpack.
import { Stage, chosen, node, sleep, finish } from "./lib.mjs";
import { Recording, RS, HANDSHAKE, HANDSHAKE_MSGPACK } from "./wire.mjs";

const stage = new Stage();
const onNode = (args, f) => stage.onNode(args, f);
const start = (name) => stage.start({ name }, "scenarios");
const scenario = (name, f) => stage.scenario(name, (n) => record(name, n.url, f));
async function record(name, url, f) {
    const r = new Recording(name, url);
    try { await f(r); } catch (e) { r.log("-", "!", "", e.message); process.stderr.write(`    ${name}: ${e.stack}\n`); }
    return r.done();
}
const one = (name, method, path, headers, body) => scenario(name, (r) => r.request("a", method, path, headers, body));

async function negotiate(r, path = "/hub", query = "negotiateVersion=1") {
    const s = await r.request("negotiate", "POST", `${path}/negotiate?${query}`);
    const a = JSON.parse(s.parsed().body);
    return { ...a, q: `${path}?id=${a.connectionToken ?? a.connectionId}` };
}
const poll = async (r, q, name = "poll", ms = 3000) => { const s = await r.open(name); s.request("GET", q); return s; };
const post = (r, q, body, name = "post", headers = {}) => r.request(name, "POST", q, headers, body);
const sse = async (r, q, name = "sse") => { const s = await r.open(name); s.request("GET", q, { Accept: "text/event-stream" }); await s.until(() => s.text().includes(":\r\n")); await sleep(20); return s; };
const has = (s, text) => s.until(() => s.text().includes(text));
async function ws(r, path = "/hub", handshake = HANDSHAKE, headers) {
    const s = await r.open("ws");
    if (!await s.upgrade(path, headers)) return s;
    if (handshake) { s.frame(1, handshake); await s.got(1); }
    return s;
}
/** A long-polling connection after its handshake; the answer has been read. */
async function lp(r, path = "/hub", handshake = HANDSHAKE) {
    const n = await negotiate(r, path);
    await (await poll(r, n.q, "first poll")).response();
    await post(r, n.q, handshake, "handshake");
    const a = await poll(r, n.q, "handshake answer");
    await a.response();
    return n;
}
const call = (target, ...args) => JSON.stringify({ type: 1, invocationId: "1", target, arguments: args }) + RS;

// What takes long: all of it at once on one node, beside everything else.
const slow = { name: "default times", scenarios: [] }, waiting = [];
const beside = (name, f) => { if (chosen(`${slow.name} / ${name}`)) waiting.push({ name, f }); };
async function playSlow() {
    if (!waiting.length) return;
    const n = await node();
    slow.scenarios = await Promise.all(waiting.map(({ name, f }) => record(name, n.url, f)));
    await n.stop();
}
beside("WebSocket, JSON: 130 s without a word from the client", async (r) => { const s = await ws(r); await s.ended(130000); });
beside("WebSocket: one client ping, then silence", async (r) => { const s = await ws(r); s.text1('{"type":6}' + RS); await s.ended(45000); });
beside("WebSocket: no handshake", async (r) => { const s = await ws(r, "/hub", ""); await s.ended(30000); });
beside("long poll without data", async (r) => { const n = await lp(r); await (await poll(r, n.q)).response(100000); });
beside("negotiated, never connected: POST each second", async (r) => { const n = await negotiate(r); for (let i = 1; i < 20; i++) { await sleep(1000); const p = await post(r, n.q, "x"); if (p.parsed().status !== 200) return; } });
const stalled = 28000; // the server gives up 10 s after it has made the message, which takes seconds on a busy machine
for (const transport of ["WebSocket", "SSE", "long polling"])
    beside(`${transport}: the client stops reading inside a message of 30,000,000 bytes`, async (r) => {
        if (transport === "WebSocket") { const s = await ws(r); s.stall(); s.text1(call("Text", 30000000)); await sleep(stalled); s.resume(); await s.ended(10000); return; }
        const n = transport === "SSE" ? await negotiate(r) : await lp(r);
        const s = transport === "SSE" ? await sse(r, n.q) : await poll(r, n.q);
        if (transport === "SSE") { await post(r, n.q, HANDSHAKE); await has(s, "{}" + RS); }
        s.stall();
        await post(r, n.q, call("Text", 30000000)); await sleep(stalled);
        await post(r, n.q, "x", "post afterwards"); s.resume(); await s.ended(10000);
        if (transport === "long polling") await (await poll(r, n.q, "poll afterwards")).response();
    });

const upgrade = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
const second = (name, first, f) => scenario(name, async (r) => { const n = await negotiate(r); await first(r, n); await f(r, n); });
const byWs = async (r, n) => { const s = await r.open("ws"); await s.upgrade(n.q); };
const bySse = async (r, n) => { await sse(r, n.q); };
const byLp = async (r, n) => { await r.request("first poll", "GET", n.q); };
const asWs = async (r, n) => { const s = await r.open("ws 2"); await s.upgrade(n.q); await sleep(30); };
const asSse = async (r, n) => { const s = await r.open("sse 2"); s.request("GET", n.q, { Accept: "text/event-stream" }); await s.response(500); };
const asPoll = async (r, n) => { const s = await r.open("poll 2"); s.request("GET", n.q); await s.response(500); };
const asPost = async (r, n) => { await post(r, n.q, HANDSHAKE); };
const asDelete = async (r, n) => { await r.request("delete", "DELETE", n.q); };

const quick = (f) => onNode(["--poll-timeout-ms", "1500", "--disconnect-timeout-ms", "4000"], f);
quick(async () => {
    start("negotiate (POST)");
    await one("version 1", "POST", "/hub/negotiate?negotiateVersion=1");
    await one("version 0 (absent)", "POST", "/hub/negotiate");
    await one("version 0", "POST", "/hub/negotiate?negotiateVersion=0");
    await one("version 2: answered with 1", "POST", "/hub/negotiate?negotiateVersion=2");
    await one("version 1, stateful reconnect asked and allowed", "POST", "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true");
    await one("version 0, stateful reconnect asked and allowed", "POST", "/hub/negotiate?useStatefulReconnect=true");
    await one("stateful reconnect asked in capitals with blanks", "POST", "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=%20TRUE%20");
    await one("stateful reconnect 1", "POST", "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=1");
    await one("stateful reconnect empty", "POST", "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=");
    await one("stateful reconnect asked, not allowed", "POST", "/hub-longpolling/negotiate?negotiateVersion=1&useStatefulReconnect=true");
    await one("long-polling hub", "POST", "/hub-longpolling/negotiate?negotiateVersion=1");
    await one("hub without WebSockets", "POST", "/hub-nowebsockets/negotiate?negotiateVersion=1");
    await one("WebSockets-only hub", "POST", "/hub-websockets/negotiate?negotiateVersion=1");
    await one("raw connection endpoint", "POST", "/echo/negotiate?negotiateVersion=1");
    for (const v of ["abc", "", "-1", "1.5", "2147483648", "%20%2B1%20", "0x1", "1&negotiateVersion=1", "'<>%22%26%2B%C3%BC"])
        await one(`version ${decodeURIComponent(v) || "empty"}`, "POST", `/hub/negotiate?negotiateVersion=${v}`);
    await one("query key in other case", "POST", "/hub/negotiate?NEGOTIATEVERSION=1&USESTATEFULRECONNECT=true");
    await one("with a body and a content type", "POST", "/hub/negotiate?negotiateVersion=1", { "Content-Type": "text/plain;charset=UTF-8" }, "ignored");
    await one("path in other case, final slash", "POST", "/HUB/Negotiate/?negotiateVersion=1");
    await one("double slash", "POST", "/hub//negotiate?negotiateVersion=1");
    await one("unknown hub", "POST", "/nohub/negotiate?negotiateVersion=1");
    await one("longer path", "POST", "/hub/negotiate/x");
    await one("HTTP/1.1 with Connection: close", "POST", "/hub/negotiate?negotiateVersion=1", { Connection: "close" });
    for (const m of ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]) await one(m, m, "/hub/negotiate?negotiateVersion=1");
});

quick(async () => {
    start("hub path: methods");
    for (const m of ["PUT", "HEAD", "PATCH", "OPTIONS", "TRACE", "FOO"]) await one(m, m, "/hub?id=x");
    await one("GET of a browser", "GET", "/hub", { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    await one("final slash, other case", "GET", "/Hub/?ID=x");
    await one("longer path", "GET", "/hub/x");
    const preflight = { Origin: "http://app.test", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-requested-with,x-signalr-user-agent" };
    await one("preflight without CORS", "OPTIONS", "/hub/negotiate?negotiateVersion=1", preflight);
    await one("preflight with CORS", "OPTIONS", "/hub-cors/negotiate?negotiateVersion=1", preflight);
    await one("preflight with CORS, DELETE and authorization", "OPTIONS", "/hub-cors?id=x", { ...preflight, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization,content-type" });
    await one("preflight with CORS, other origin", "OPTIONS", "/hub-cors/negotiate?negotiateVersion=1", { ...preflight, Origin: "http://other.test" });
    await one("negotiate with CORS", "POST", "/hub-cors/negotiate?negotiateVersion=1", { Origin: "http://app.test" });
    await one("negotiate with CORS, other origin", "POST", "/hub-cors/negotiate?negotiateVersion=1", { Origin: "http://other.test" });
    await one("poll with CORS, unknown id", "GET", "/hub-cors?id=x", { Origin: "http://app.test" });
    await one("SSE with CORS, unknown id", "GET", "/hub-cors?id=x", { Origin: "http://app.test", Accept: "text/event-stream" });
    await one("OPTIONS without preflight headers, with CORS", "OPTIONS", "/hub-cors/negotiate");
    await scenario("SSE with CORS", async (r) => { const n = await negotiate(r, "/hub-cors"); const s = await r.open("sse"); s.request("GET", n.q, { Accept: "text/event-stream", Origin: "http://app.test" }); await has(s, ":\r\n"); });
});

quick(async () => {
    start("id missing or unknown");
    for (const [name, q] of [["no id", ""], ["empty id", "?id="], ["unknown id", "?id=AAAAAAAAAAAAAAAAAAAAAA"], ["two ids", "?id=a&id=b"]]) {
        await one(`poll, ${name}`, "GET", `/hub${q}`);
        await one(`SSE, ${name}`, "GET", `/hub${q}`, { Accept: "text/event-stream" });
        await one(`POST, ${name}`, "POST", `/hub${q}`, {}, "x");
        await one(`DELETE, ${name}`, "DELETE", `/hub${q}`);
        await one(`WebSocket, ${name}`, "GET", `/hub${q}`, upgrade);
    }
    await scenario("poll with the public connectionId of version 1", async (r) => { const n = await negotiate(r); await r.request("a", "GET", `/hub?id=${n.connectionId}`); });
    await scenario("poll with ID in capitals", async (r) => { const n = await negotiate(r); await r.request("a", "GET", n.q.replace("id=", "ID=")); });
    await scenario("token of another hub", async (r) => { const n = await negotiate(r); await r.request("a", "GET", n.q.replace("/hub?", "/hub-longpolling?")); });
});

quick(async () => {
    start("transport not allowed");
    await scenario("SSE on the long-polling hub", async (r) => { const n = await negotiate(r, "/hub-longpolling"); await r.request("a", "GET", n.q, { Accept: "text/event-stream" }); await r.request("poll afterwards", "GET", n.q); });
    await scenario("WebSocket on the long-polling hub", async (r) => { const n = await negotiate(r, "/hub-longpolling"); await (await r.open("ws")).upgrade(n.q); });
    await scenario("WebSocket on the hub without WebSockets", async (r) => { const n = await negotiate(r, "/hub-nowebsockets"); await (await r.open("ws")).upgrade(n.q); });
    await scenario("WebSocket without id on the hub without WebSockets", async (r) => { await (await r.open("ws")).upgrade("/hub-nowebsockets"); });
    await scenario("poll on the WebSockets-only hub", async (r) => { const n = await negotiate(r, "/hub-websockets"); await r.request("a", "GET", n.q); });
    await scenario("SSE on the WebSockets-only hub", async (r) => { const n = await negotiate(r, "/hub-websockets"); await r.request("a", "GET", n.q, { Accept: "text/event-stream" }); });
    await scenario("POST and DELETE on the WebSockets-only hub", async (r) => { const n = await negotiate(r, "/hub-websockets"); await post(r, n.q, "x"); await r.request("delete", "DELETE", n.q); });
});

quick(async () => {
    start("Accept decides between SSE and long polling");
    for (const accept of ["text/event-stream", "TEXT/Event-Stream", "text/event-stream, */*", "*/*, text/event-stream", "text/event-stream;q=0.9", "text/event-stream; charset=utf-8", "text/*", "*/*"])
        await scenario(`Accept: ${accept}`, async (r) => { const n = await negotiate(r); const s = await r.open("get"); s.request("GET", n.q, { Accept: accept }); await s.until(() => s.complete() || s.text().includes(":\r\n\r\n")); await sleep(50); });
    await scenario("no Accept", async (r) => { const n = await negotiate(r); await r.request("get", "GET", n.q); });
    await scenario("upgrade request with Accept: text/event-stream", async (r) => { const n = await negotiate(r); const s = await r.open("get"); s.request("GET", n.q, { ...upgrade, Accept: "text/event-stream" }); await has(s, ":\r\n"); });
    await scenario("HTTP/1.0 SSE", async (r) => { const n = await negotiate(r); const s = await r.open("get"); s.raw(`GET ${n.q} HTTP/1.0\r\nHost: ${r.host}\r\nAccept: text/event-stream\r\n\r\n`); await has(s, ":\r\n"); });
});

quick(async () => {
    start("WebSocket upgrade");
    const broken = (name, h, path) => scenario(name, async (r) => { const n = await negotiate(r); const s = await r.open("get"); s.request("GET", path ?? n.q, h); await s.response(); await sleep(30); if (!path) await r.request("DELETE afterwards", "DELETE", n.q); });
    const without = (k, v) => { const h = { ...upgrade }; if (v === undefined) delete h[k]; else h[k] = v; return h; };
    await broken("good", upgrade);
    await broken("good, without id", upgrade, "/hub");
    await broken("no key", without("Sec-WebSocket-Key"));
    await broken("no key, no id", without("Sec-WebSocket-Key"), "/hub");
    await broken("key of 15 bytes", without("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"));
    await broken("key that is not base64", without("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="));
    await broken("version 12", without("Sec-WebSocket-Version", 12));
    await broken("no version", without("Sec-WebSocket-Version"));
    await broken("versions 8, 13", without("Sec-WebSocket-Version", "8, 13"));
    await broken("no Connection header", without("Connection"));
    await broken("no Upgrade header", without("Upgrade"));
    await broken("Upgrade: h2c, websocket", without("Upgrade", "h2c, websocket"));
    await broken("Connection: keep-alive, Upgrade", without("Connection", "keep-alive, Upgrade"));
    await broken("compression and subprotocol offered", { ...upgrade, "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol": "a, b" });
    await broken("foreign origin", { ...upgrade, Origin: "http://other.test" });
    await scenario("POST with upgrade headers", async (r) => { const n = await negotiate(r); await r.request("a", "POST", n.q, upgrade, "x"); });
});

quick(async () => {
    start("one connection, a second request");
    for (const [a, first] of [["WebSocket", byWs], ["SSE", bySse], ["long polling", byLp]])
        for (const [b, next] of [["WebSocket", asWs], ["SSE", asSse], ["poll", asPoll], ["POST", asPost], ["DELETE", asDelete]])
            await second(`${a}, then ${b}`, first, next);
    await second("nothing, then POST, then WebSocket", async () => {}, async (r, n) => { await asPost(r, n); const s = await r.open("ws"); await s.upgrade(n.q); await s.got(1); });
    await second("nothing, then DELETE", async () => {}, asDelete);
    await scenario("WebSocket used up, then WebSocket, poll, POST", async (r) => {
        const n = await negotiate(r); const s = await r.open("ws"); await s.upgrade(n.q); s.frame(1, HANDSHAKE); await s.got(1); s.close(1000); await s.ended(); await sleep(100);
        await asWs(r, n); await asPoll(r, n); await asPost(r, n);
    });
    await scenario("SSE used up (client hung up), then SSE", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); s.reset(); await sleep(150); await asSse(r, n); });
});

quick(async () => {
    start("POST");
    await second("content type and charset ignored", bySse, async (r, n) => { await post(r, n.q, HANDSHAKE, "post", { "Content-Type": "application/x-www-form-urlencoded" }); await sleep(50); });
    await second("chunked", bySse, async (r, n) => { const s = await r.open("post"); s.request("POST", n.q, { "Transfer-Encoding": "chunked" }, `${HANDSHAKE.length.toString(16)}\r\n${HANDSHAKE}\r\n0\r\n\r\n`); await s.response(); await sleep(50); });
    await second("empty body", bySse, async (r, n) => { await post(r, n.q, ""); });
    await second("handshake in three POSTs, two messages in one", bySse, async (r, n) => { await post(r, n.q, HANDSHAKE.slice(0, 5)); await post(r, n.q, HANDSHAKE.slice(5, 20)); await post(r, n.q, HANDSHAKE.slice(20) + call("Add", 1, 2) + call("Echo", "x")); await sleep(100); });
    await second("Content-Length over the host's limit", bySse, async (r, n) => { await post(r, n.q, "x", "post", { "Content-Length": 30000001 }); await sleep(100); });
    await second("Expect: 100-continue", bySse, async (r, n) => { const s = await r.open("post"); s.request("POST", n.q, { Expect: "100-continue" }, HANDSHAKE); await s.until(() => s.text().includes("HTTP/1.1 200")); await sleep(50); });
    await second("body cut off by the client", bySse, async (r, n) => { const s = await r.open("post"); s.request("POST", n.q, { "Content-Length": 100 }, HANDSHAKE); await sleep(100); s.drop(); await s.ended(1000); await post(r, n.q, call("Add", 1, 2), "post 2"); await sleep(100); });
});

quick(async () => {
    start("SSE framing");
    await scenario("handshake, one answer, several messages, big message, ping", async (r) => {
        const n = await negotiate(r); const s = await sse(r, n.q);
        await post(r, n.q, HANDSHAKE); await has(s, "{}" + RS); await sleep(20);
        await post(r, n.q, call("Echo", "one")); await has(s, '"one"'); await sleep(20);
        await post(r, n.q, call("SendCallerOften", 5, "M", "many")); await has(s, '"result"'); await sleep(50);
        await post(r, n.q, call("Echo", "line\nfeed and \r return, grüße \u{1F680} \u2028")); await sleep(100);
        await post(r, n.q, call("Text", 20000)); await sleep(200);
        await post(r, n.q, JSON.stringify({ type: 6 }) + RS); await sleep(50);
    });
    await scenario("120,000 bytes in one event", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await post(r, n.q, HANDSHAKE); await has(s, "{}" + RS); await post(r, n.q, call("Text", 120000)); await has(s, '"}' + RS); await sleep(100); });
    await scenario("raw endpoint: line ends of every kind", async (r) => {
        const n = await negotiate(r, "/echo"); await sse(r, n.q);
        for (const body of ["Hello", "a\nb", "a\r\nb", "a\n", "a\r\n", "\n", "\r\n", "a\rb", "\r\r\n", "a\n\nb"]) { await post(r, n.q, body); await sleep(60); }
    });
    await scenario("MessagePack handshake", async (r) => { const n = await negotiate(r); await sse(r, n.q); await post(r, n.q, HANDSHAKE_MSGPACK); await sleep(200); await r.request("poll afterwards", "GET", n.q); });
    await scenario("Abort: Close and end of the stream", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await post(r, n.q, HANDSHAKE); await post(r, n.q, call("Abort")); await s.until(() => s.complete()); await sleep(200); await post(r, n.q, "x", "post afterwards"); });
    await scenario("client Close: Close and end of the stream", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await post(r, n.q, HANDSHAKE); await post(r, n.q, '{"type":7}' + RS); await s.until(() => s.complete()); await sleep(200); });
});

quick(async () => {
    start("long polling");
    await scenario("first poll, handshake, data, several messages, timeout, Close, end", async (r) => {
        const n = await negotiate(r);
        await r.request("poll 1", "GET", n.q);
        await post(r, n.q, HANDSHAKE, "post 1");
        await (await poll(r, n.q, "poll 2")).response();
        const waiting = await poll(r, n.q, "poll 3"); await sleep(200);
        await post(r, n.q, call("Echo", "one"), "post 2"); await waiting.response();
        await post(r, n.q, call("SendCallerOften", 3, "M", "many"), "post 3"); await sleep(100);
        await (await poll(r, n.q, "poll 4")).response();
        await (await poll(r, n.q, "poll 5, times out")).response(4000);
        const last = await poll(r, n.q, "poll 6"); await sleep(50);
        await post(r, n.q, '{"type":7}' + RS, "post 4"); await last.response();
        await (await poll(r, n.q, "poll 7")).response();
        await (await poll(r, n.q, "poll 8")).response();
    });
    await scenario("two polls at once: the older gets 204", async (r) => { const n = await lp(r); const a = await poll(r, n.q, "older"); await sleep(150); const b = await poll(r, n.q, "newer"); await a.response(); await sleep(50); await post(r, n.q, call("Echo", "x")); await b.response(); });
    await scenario("three polls at once", async (r) => { const n = await lp(r); const all = []; for (const x of ["1", "2", "3"]) { all.push(await poll(r, n.q, "poll " + x)); await sleep(50); /* sockets race: without it the third may be served before the second */ } await sleep(300); await post(r, n.q, call("Echo", "x")); for (const p of all) await p.response(500); });
    await scenario("many polls in one instant", async (r) => { const n = await lp(r); const all = []; for (let i = 0; i < 6; i++) all.push(await r.open("poll " + i)); for (const p of all) p.request("GET", n.q); await sleep(400); await post(r, n.q, call("Echo", "x")); for (const p of all) await p.response(500); });
    await scenario("first poll while a first poll runs", async (r) => { const n = await negotiate(r); const all = []; for (let i = 0; i < 3; i++) all.push(await r.open("poll " + i)); for (const p of all) p.request("GET", n.q); for (const p of all) await p.response(500); });
    await scenario("DELETE ends a pending poll", async (r) => { const n = await lp(r); const p = await poll(r, n.q); await sleep(100); await r.request("delete", "DELETE", n.q); await p.response(); await sleep(100); await (await poll(r, n.q, "poll afterwards")).response(); await post(r, n.q, "x", "post afterwards"); await r.request("delete again", "DELETE", n.q); });
    await scenario("DELETE between polls", async (r) => { const n = await lp(r); await r.request("delete", "DELETE", n.q); await (await poll(r, n.q, "poll afterwards")).response(); await sleep(100); await (await poll(r, n.q, "later poll")).response(); });
    await scenario("raw endpoint: DELETE ends a pending poll", async (r) => { const n = await negotiate(r, "/echo"); await r.request("first poll", "GET", n.q); const p = await poll(r, n.q); await sleep(100); await r.request("delete", "DELETE", n.q); await p.response(); });
    await scenario("DELETE while the read loop waits for a method: the entry stays, disposed", async (r) => {
        const n = await lp(r); const c = JSON.stringify({ type: 1, target: "Slow", arguments: ["x", 700] }) + RS;
        await post(r, n.q, c + c); const p = await poll(r, n.q, "pending poll"); await sleep(50); await r.request("delete", "DELETE", n.q); await p.response();
        await (await poll(r, n.q, "poll while it waits")).response(); await post(r, n.q, "x", "post while it waits"); await r.request("delete while it waits", "DELETE", n.q); await sleep(1500); await (await poll(r, n.q, "later poll")).response();
    });
    await scenario("backpressure: POSTs wait while the read loop waits for a method", async (r) => {
        const n = await lp(r); const slow = JSON.stringify({ type: 1, target: "Slow", arguments: ["x", 1000] }) + RS;
        await post(r, n.q, slow + slow, "two slow calls");
        const big = await r.open("post of 100,000 bytes"); big.request("POST", n.q, {}, call("Echo", "x".repeat(24900)).repeat(4)); await sleep(100);
        const small = await r.open("post behind it"); small.request("POST", n.q, {}, call("Add", 1, 2));
        await big.response(); await small.response();
        for (let i = 0; i < 3; i++) { const p = await poll(r, n.q, "poll"); await p.response(200); }
    });
    await scenario("DELETE while a method runs", async (r) => { const n = await lp(r); await post(r, n.q, call("Slow", "x", 700)); await r.request("delete", "DELETE", n.q); await sleep(100); await (await poll(r, n.q, "poll while it runs")).response(); await post(r, n.q, "x", "post while it runs"); await r.request("delete while it runs", "DELETE", n.q); await sleep(900); await (await poll(r, n.q, "later poll")).response(); });
    await scenario("poll hung up by the client, then a new one", async (r) => { const n = await lp(r); const p = await poll(r, n.q); await sleep(100); p.reset(); await sleep(100); await post(r, n.q, call("Echo", "x")); await (await poll(r, n.q, "new poll")).response(); });
    await scenario("no poll for the disconnect timeout (4 s here)", async (r) => { const n = await lp(r); await sleep(3000); await post(r, n.q, call("Echo", "x"), "post after 3 s"); await sleep(2600); await post(r, n.q, "x", "post after 5.6 s"); await (await poll(r, n.q, "poll after 5.6 s")).response(); });
    await scenario("negotiated, never connected (4 s here)", async (r) => { const n = await negotiate(r); await sleep(5600); await (await poll(r, n.q)).response(); });
    await scenario("Abort: Close, 204, 404", async (r) => { const n = await lp(r); const p = await poll(r, n.q, "poll 1"); await sleep(50); await post(r, n.q, call("Abort")); await p.response(); await (await poll(r, n.q, "poll 2")).response(); await (await poll(r, n.q, "poll 3")).response(); });
    await scenario("MessagePack", async (r) => {
        const n = await lp(r, "/hub", HANDSHAKE_MSGPACK);
        await post(r, n.q, Buffer.from("11950180a131a44563686f91a568656c6c6f", "hex"));
        await (await poll(r, n.q, "poll 1")).response();
        await post(r, n.q, Buffer.from("029106", "hex"), "ping");
        await post(r, n.q, Buffer.from("039207c0", "hex"), "close");
        await (await poll(r, n.q, "poll 2")).response(); await (await poll(r, n.q, "poll 3")).response();
    });
    await scenario("POST before the first poll", async (r) => { const n = await negotiate(r); await post(r, n.q, HANDSHAKE + call("Echo", "early")); await (await poll(r, n.q, "poll 1")).response(); await (await poll(r, n.q, "poll 2")).response(); await (await poll(r, n.q, "poll 3")).response(1000); });
    await scenario("Accept of a poll is ignored", async (r) => { const n = await negotiate(r); const s = await r.open("poll"); s.request("GET", n.q, { Accept: "text/plain", "X-Requested-With": "XMLHttpRequest" }); await s.response(); });
    await scenario("150,000 bytes in one poll", async (r) => { const n = await lp(r); await post(r, n.q, call("Text", 150000)); await (await poll(r, n.q, "poll")).response(); });
    await scenario("handshake error, then the end", async (r) => { const n = await negotiate(r); await (await poll(r, n.q, "poll 1")).response(); await post(r, n.q, `{"protocol":"xml","version":1}${RS}`); await sleep(50); for (const i of [2, 3, 4]) await (await poll(r, n.q, "poll " + i)).response(); });
    await scenario("OnConnectedAsync aborts: what the polls see", async (r) => { const n = await negotiate(r); n.q += "&connected=abort"; await (await poll(r, n.q, "poll 1")).response(); await post(r, n.q, HANDSHAKE); await sleep(50); for (const i of [2, 3, 4]) await (await poll(r, n.q, "poll " + i)).response(); });
});

quick(async () => {
    start("ways a WebSocket ends");
    const end = (name, f, handshake = HANDSHAKE, path = "/hub") => scenario(name, async (r) => { const s = await ws(r, path, handshake); await f(s, r); await s.ended(); await sleep(30); });
    for (const code of [1000, 1001, 1002, 1011, 3000, 4999]) await end(`client closes with ${code} and a reason`, async (s) => s.close(code, "reason"));
    await end("client closes without code", async (s) => s.frame(8, ""));
    await end("client closes with the forbidden code 1005", async (s) => s.close(1005));
    await end("client closes with the forbidden code 999", async (s) => s.close(999));
    await end("client close with one byte", async (s) => s.frame(8, "x"));
    await end("client sends a hub Close", async (s) => { s.text1('{"type":7}' + RS); await s.got(3); s.close(1000); });
    await end("client sends a hub Close with error", async (s) => { s.text1('{"type":7,"error":"client says"}' + RS); await s.got(3); s.close(1000); });
    await end("Abort, client answers the close", async (s) => { s.text1(call("Abort")); await s.got(3); s.close(1000); });
    await scenario("Abort, client never answers the close", async (r) => { const s = await ws(r); s.text1(call("Abort")); await s.ended(8000); });
    await end("malformed hub message", async (s) => { s.text1("x" + RS); await s.got(3); s.close(1000); });
    await end("handshake of an unknown protocol", async (s) => { await s.got(2); s.close(1000); }, `{"protocol":"xml","version":1}${RS}`);
    await end("OnConnectedAsync throws", async (s) => { await s.got(3); s.close(1000); }, HANDSHAKE, "/hub?connected=throw");
    await end("OnConnectedAsync aborts", async (s) => { await s.got(3, 300); s.close(1000); }, HANDSHAKE, "/hub?connected=abort");
    await end("text frame with invalid UTF-8", async (s) => { s.frame(1, Buffer.from([0xff, 0xfe])); await s.got(2); });
    await end("text frame with UTF-8 cut at its end", async (s) => { s.frame(1, Buffer.from([0x7b, 0xc3])); await s.got(2); });
    await end("binary frame with invalid UTF-8", async (s) => { s.frame(2, Buffer.from([0xff, 0x1e])); await s.got(3); s.close(1000); });
    await end("frame without mask", async (s) => { s.frame(1, call("Add", 1, 2), { mask: false }); await s.got(2); });
    await end("reserved opcode 3", async (s) => { s.frame(3, "x"); await s.got(2); });
    await end("reserved bit set", async (s) => { s.frame(1, "x", { rsv: 4 }); await s.got(2); });
    await end("ping of 126 bytes", async (s) => { s.frame(9, "x".repeat(126)); await s.got(2); });
    await end("fragmented ping", async (s) => { s.frame(9, "x", { fin: 0 }); await s.got(2); });
    await end("continuation without a start", async (s) => { s.frame(0, "x"); await s.got(2); });
    await end("TCP end without close frame", async (s) => s.drop());
    await end("close frame before the handshake", async (s) => s.close(1000), "");
    await end("TCP end before the handshake", async (s) => s.drop(), "");
    await end("hub message cut by a close frame", async (s) => { s.text1('{"type":1,"tar'); await sleep(50); s.close(1000); });
    await end("close while a method runs", async (s) => { s.text1(call("Slow", "x", 500)); await sleep(50); s.close(1000); });
    await end("unknown type, then a call", async (s) => { s.text1('{"type":42}' + RS); await sleep(50); s.text1(call("Add", 1, 2)); await s.got(3, 1000); s.close(1000); });
    await scenario("raw endpoint ends on close", async (r) => { const s = await r.open("ws"); await s.upgrade("/echo"); s.frame(1, "hello"); await s.got(1); s.frame(2, "binary"); await s.got(2); s.close(1001, "bye"); await s.ended(); });
});

quick(async () => {
    start("WebSocket frames");
    await scenario("ping and pong frames", async (r) => { const s = await ws(r); s.frame(9, "payload"); await s.got(2); s.frame(9, ""); await s.got(3); s.frame(10, "unasked"); await sleep(50); s.text1(call("Add", 1, 2)); await s.got(4); });
    await scenario("JSON in binary frames", async (r) => { const s = await ws(r, "/hub", ""); s.frame(2, HANDSHAKE); await s.got(1); s.frame(2, call("Add", 1, 2)); await s.got(2); });
    await scenario("handshake and call in one frame", async (r) => { const s = await ws(r, "/hub", HANDSHAKE + call("Add", 1, 2)); await s.got(2); });
    await scenario("call in fragments and in two messages", async (r) => { const s = await ws(r); const c = call("Add", 1, 2); s.frame(1, c.slice(0, 10), { fin: 0 }); s.frame(9, "between"); s.frame(0, c.slice(10)); await s.got(3); s.text1(c.slice(0, 10)); await sleep(50); s.text1(c.slice(10)); await s.got(4); });
    await scenario("MessagePack", async (r) => { const s = await ws(r, "/hub", HANDSHAKE_MSGPACK); s.binary("0c950180a131a3416464920102"); await s.got(2); s.binary("0c950180a131a3416464"); await sleep(50); s.binary("920102029106"); await s.got(3); });
    await scenario("MessagePack in a text frame", async (r) => { const s = await ws(r, "/hub", HANDSHAKE_MSGPACK); s.frame(1, Buffer.from("029106", "hex")); await s.got(2, 300); s.binary("0c950180a131a3416464920102"); await s.got(2, 300); });
    await scenario("many messages at once: several in one frame", async (r) => { const s = await ws(r); s.text1(call("SendCallerOften", 20, "M", "many")); await s.until(() => s.frames.some((f) => f.payload.includes('"result"'))); await sleep(30); });
    await scenario("150,000 bytes: frames", async (r) => { const s = await ws(r); s.text1(call("Text", 150000)); await s.until(() => s.frames.at(-1).fin && s.frames.length > 1); await sleep(100); });
});

onNode(["--keepalive-ms", "1000", "--client-timeout-ms", "2500", "--handshake-timeout-ms", "1500", "--poll-timeout-ms", "4000"], async () => {
    start("timers (keep-alive 1 s, client timeout 2.5 s, handshake 1.5 s)");
    await scenario("WebSocket: pings; the client never pings", async (r) => { const s = await ws(r); await sleep(4500); });
    await scenario("WebSocket: one client ping, then silence", async (r) => { const s = await ws(r); s.text1('{"type":6}' + RS); await s.ended(9000); });
    await scenario("WebSocket, MessagePack: pings; one client ping, then silence", async (r) => { const s = await ws(r, "/hub", HANDSHAKE_MSGPACK); s.binary("029106"); await s.ended(9000); });
    await scenario("WebSocket: calls do not put pings off", async (r) => { const s = await ws(r); for (let i = 0; i < 12; i++) { s.text1(call("Add", i, i)); await sleep(300); } });
    await scenario("SSE: pings; one client ping, then silence", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await post(r, n.q, HANDSHAKE); await post(r, n.q, '{"type":6}' + RS); await s.until(() => s.complete(), 9000); });
    await scenario("long polling: no pings", async (r) => { const n = await lp(r); await (await poll(r, n.q, "poll")).response(6000); });
    await scenario("long polling: one client ping, then silence", async (r) => { const n = await lp(r); await post(r, n.q, '{"type":6}' + RS); await (await poll(r, n.q, "poll 1")).response(6000); await (await poll(r, n.q, "poll 2")).response(6000); });
    await scenario("WebSocket: no handshake", async (r) => { const s = await ws(r, "/hub", ""); await s.ended(8000); });
    await scenario("SSE: no handshake", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await s.until(() => s.complete(), 4000); });
    await scenario("long polling: no handshake", async (r) => { const n = await negotiate(r); for (const i of [1, 2, 3, 4]) await (await poll(r, n.q, "poll " + i)).response(4000); });
});

for (const detailed of ["false", "true"]) onNode(["--detailed", detailed, "--max-message", "1000"], async () => {
    start(`handshake requests over WebSocket, detailed errors ${detailed}, largest message 1,000 bytes`);
    const bad = (name, handshake) => scenario(name, async (r) => { const s = await ws(r, "/hub", handshake); await s.got(2, 300); s.close(1000); await s.ended(); });
    for (const h of ['{"protocol":"xml","version":1}', '{"protocol":"","version":1}', '{"protocol":"JSON","version":1}', '{"protocol":"json","version":3}', '{"protocol":"JSON","version":3}', '{"protocol":"json","version":2}', '{"protocol":"json","version":0}', '{"protocol":"json","version":-1}', "{}", '{"protocol":"json"}', '{"version":1}', '{"type":6}', "42", '"42"', "null", "[]", "true", '{"version":"1"}', '{"protocol":null,"version":1}', '{"protocol":"json","version":1.5}', '{"protocol":"json","version":2147483648}', '{"protocol":"json","version":null}', "x", "", '{"protocol":"json","version":1}garbage', '{"\\u0070rotocol":"json","version":1,"more":[{}]}', '{"protocol":"xml","protocol":"json","version":1}', '{"Protocol":"json","version":1}', ' {"version":1,"protocol":"json"} '])
        await bad(h || "(empty)", h + RS);
    const padded = (n) => HANDSHAKE.slice(0, -2) + `,"x":"${"y".repeat(n - HANDSHAKE.length - 7)}"}${RS}`;
    await bad("1,000 bytes", padded(1000));
    await bad("1,001 bytes", padded(1001));
    await bad("2,000 bytes without an end", "x".repeat(2000));
    await scenario("client goes away inside the handshake", async (r) => { const s = await ws(r, "/hub", ""); s.text1('{"protocol"'); await sleep(50); s.close(1000); await s.ended(); });
    await scenario("message of 1,000 bytes, then of 1,001 bytes", async (r) => { const s = await ws(r); const pad = 1000 - call("Echo", "").length; s.text1(call("Echo", "x".repeat(pad))); await s.got(2); s.text1(call("Echo", "x".repeat(pad + 1))); await s.got(4); s.close(1000); await s.ended(); });
    await scenario("three small messages, 1,200 bytes together", async (r) => { const s = await ws(r); const c = call("Echo", "x".repeat(350)); s.text1(c + c + c); await s.until(() => Buffer.concat(s.frames.map((f) => f.payload)).toString().split(RS).length > 4); await sleep(50); });
    await scenario("a message that grows over the limit without an end", async (r) => { const s = await ws(r); s.text1(call("Echo", "x").slice(0, -3) + "y".repeat(600)); await sleep(100); s.text1("y".repeat(500)); await s.got(3); s.close(1000); await s.ended(); });
    await scenario("MessagePack message of 1,001 bytes", async (r) => { const s = await ws(r, "/hub", HANDSHAKE_MSGPACK); s.binary("e707950180a131a44563686f91" + "da03d9" + "78".repeat(985)); await s.got(3); s.close(1000); await s.ended(); });
});

// Each stops its node, and so has one to itself; all of them are one group.
const shutdowns = { name: "SIGTERM", scenarios: [] }, stopping = [];
const shutdown = (name, f) => { if (chosen(`${shutdowns.name} / ${name}`)) stopping.push({ name, f }); };
async function playShutdowns() {
    shutdowns.scenarios = await Promise.all(stopping.map(async ({ name, f }) => {
        const n = await node();
        return record(name, n.url, async (r) => { await f(r); r.log("-", "!", "", "SIGTERM"); await n.stop(); await sleep(50); r.log("-", "!", "", "process ended"); });
    }));
}
shutdown("WebSocket", async (r) => { await ws(r); });
shutdown("WebSocket, client answers with a close frame if there is one", async (r) => { const s = await ws(r); s.until(() => s.frames.some((f) => f.opcode === 8), 9000).then((x) => { if (x) s.close(1000); }); });
shutdown("WebSocket before the handshake", async (r) => { await ws(r, "/hub", ""); });
shutdown("WebSocket with a method running for 2 s", async (r) => { const s = await ws(r); s.text1(call("Slow", "x", 2000)); await sleep(50); });
shutdown("WebSocket with stateful reconnect", async (r) => { const n = await negotiate(r, "/hub", "negotiateVersion=1&useStatefulReconnect=true"); await ws(r, n.q, HANDSHAKE.replace(":1}", ":2}")); });
shutdown("SSE", async (r) => { const n = await negotiate(r); const s = await sse(r, n.q); await post(r, n.q, HANDSHAKE); await sleep(50); });
shutdown("long polling, poll pending", async (r) => { const n = await lp(r); await poll(r, n.q); await sleep(50); });
shutdown("long polling, between polls", async (r) => { await lp(r); });
shutdown("negotiated only", async (r) => { await negotiate(r); });

const [groups] = await Promise.all([stage.play(), playSlow(), playShutdowns()]);
groups.push(...[shutdowns, slow].filter((g) => g.scenarios.length));
finish(JSON.stringify({ about: "events are [socket, direction, bytes as latin1 text, milliseconds since the start, note]; see README.md", groups }).replaceAll('{"name"', '\n{"name"'));
