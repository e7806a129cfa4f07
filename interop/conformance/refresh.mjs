// Records what ASP.NET Core 11 adds to SignalR: authentication refresh, and cancelling calls that are no streams.
//   REFERENCE_DLL=.../reference.dll node refresh.mjs > refresh11.json        (the reference node built with -p:Net=11)
// Run from a folder whose node_modules has @microsoft/signalr, @microsoft/signalr-protocol-msgpack and @msgpack/msgpack.
// The test server's bearer token is the claims themselves: "user=a&role=x&expires=5", see Refresh.cs.
import { createRequire } from "node:module";
import { Stage, sleep, finish } from "./lib.mjs";
import { Recording, RS, HANDSHAKE, HANDSHAKE_MSGPACK } from "./wire.mjs";
const { encode } = createRequire(process.cwd() + "/")("@msgpack/msgpack");

const stage = new Stage();
/** One group of scenarios on a node of its own; args are its command line. */
const group = (name, args, f) => stage.onNode(args, async () => { stage.start({ name, node: args.join(" ") }, "scenarios"); await f(); });
async function record(name, url, f) {
    const r = new Recording(name, url);
    r.url = url;
    try { await f(r); } catch (e) { r.log("-", "!", "", e.message); process.stderr.write(`    ${name}: ${e.stack}\n`); }
    return r.done();
}
const scenario = (name, f) => stage.scenario(name, async (n) => { const s = await record(name, n.url, f); await sleep(10); return s; });
/** Scenarios that mostly wait: they run at once and are recorded in the order in which they are written. */
async function atOnce(list) {
    const running = [];
    for (const [name, f] of list) await stage.scenario(name, async (n) => { const mine = { name, events: [] }; running.push(record(name, n.url, f).then((s) => Object.assign(mine, s))); return mine; });
    await Promise.all(running);
}
const note = (r, text) => r.log("-", "!", "", text);

// --- what a client does ---------------------------------------------------------------------------------------------
const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});
/** A token that ends at a fixed time, as those of the real world do. */
const until = (claims, seconds) => `${claims}&until=${Date.now() + seconds * 1000}`;
/** ASP.NET Core cuts the end of a token to whole seconds. Waits for `ms` after a full second, or away from its end. */
const aligned = (ms) => sleep((1000 + ms - Date.now() % 1000) % 1000);
const steady = () => (Date.now() % 1000 > 900 ? aligned(5) : null);
async function negotiate(r, token, { path = "/hub-refresh", version = 1, query = "", more = "" } = {}) {
    if (/expires/.test(token + query)) await steady();
    const s = await r.request("negotiate", "POST", `${path}/negotiate?negotiateVersion=${version}${query}`, bearer(token));
    const a = s.parsed().status === 200 ? JSON.parse(s.parsed().body) : {};
    return { ...a, path, token, secret: a.connectionToken ?? a.connectionId, q: `${path}?id=${a.connectionToken ?? a.connectionId}${more}` };
}
const refresh = async (r, n, token, name = "refresh", headers = {}, body = "") => (/expires/.test(token) && await steady(), r.request(name, "POST", `${n.path}/refresh`, { ...bearer(token), "X-SignalR-Connection-Token": n.secret, ...headers }, body));
async function upgrade(r, n, token = n.token, name = "ws") { const s = await r.open(name); s.ok = await s.upgrade(n.q, bearer(token)); return s; }
async function ws(r, token, options = {}) {
    const n = await negotiate(r, token, options), s = await upgrade(r, n);
    s.frame(1, (options.handshake ?? HANDSHAKE).replace(":1}", `:${options.hub ?? 1}}`)); await s.got(1);
    return { ...n, s, say: (...records) => s.text1(records.map((x) => JSON.stringify(x) + RS).join("")), settle: sleep };
}
const post = (r, n, body, name = "post", token = n.token) => r.request(name, "POST", n.q, bearer(token), body);
async function poll(r, n, name = "poll", token = n.token) { const s = await r.open(name); s.request("GET", n.q, bearer(token)); return s; }
const polled = async (...args) => { const s = await poll(...args); await s.response(); return s; };
async function sse(r, token, options) {
    const n = await negotiate(r, token, options), s = await r.open("sse");
    s.request("GET", n.q, { Accept: "text/event-stream", ...bearer(token) });
    await s.until(() => s.text().includes(":\r\n")); await sleep(30);
    await post(r, n, HANDSHAKE, "handshake"); await sleep(30);
    return { ...n, s, say: (...records) => post(r, n, records.map((x) => JSON.stringify(x) + RS).join("")), settle: sleep };
}
async function lp(r, token, options) {
    const n = await negotiate(r, token, options);
    await polled(r, n, "first poll"); await post(r, n, HANDSHAKE, "handshake"); await polled(r, n, "handshake answer");
    return { ...n, say: (...records) => post(r, n, records.map((x) => JSON.stringify(x) + RS).join("")), settle: () => polled(r, n) };
}
const call = (target, args = [], id = "1", more = {}) => ({ type: 1, ...(id !== null && { invocationId: id }), target, arguments: args, ...more });
const stream = (target, args, id) => ({ type: 4, invocationId: id, target, arguments: args });
const cancel = (id) => ({ type: 5, invocationId: id });
const who = call("Who", [], "who");
const transports = { WebSockets: ws, SSE: sse, "long polling": lp };
/** What OnDisconnectedAsync was given. */
async function ended(r, n, suffix = "") { const all = await (await fetch(r.url + "/api/ended")).json(); note(r, `OnDisconnectedAsync${suffix}: ${all[n.connectionId + suffix] ?? "not called"}`); }

// --- authentication refresh -----------------------------------------------------------------------------------------
const short = ["--poll-timeout-ms", "1500", "--disconnect-timeout-ms", "4000"];
group("negotiate", short, async () => {
    const one = (name, token, options) => scenario(name, (r) => negotiate(r, token, options));
    for (const [name, token] of [["1800 s", "user=a&expires=1800"], ["no expiry", "user=a"], ["nobody", ""], ["not a token", "x"], ["expired", "user=a&expires=-1"], ["more than 2147483647 s", "user=a&expires=3000000000"]])
        for (const path of ["/hub-refresh", "/hub-refresh-max", "/hub-refresh-off", "/hub-refresh-users"]) if (path === "/hub-refresh" || /1800|no expiry|nobody|not a|expired/.test(name)) await one(`${name}, ${path}`, token, { path });
    await scenario("half a second", async (r) => { await aligned(500); await negotiate(r, until("user=a", 1)); });
    await scenario("1.9 s", async (r) => { await aligned(100); await negotiate(r, until("user=a", 2)); });
    await one("3 s, /hub-refresh-max", "user=a&expires=3", { path: "/hub-refresh-max" });
    await one("version 0", "user=a&expires=1800", { version: 0 });
    await one("stateful reconnect", "user=a&expires=1800", { query: "&useStatefulReconnect=true" });
    await one("error", "user=a&expires=1800", { version: "x" });
    await one("user in the query", "", { query: "&user=a&expires=1800" });
});

group("POST /refresh: requests", short, async () => {
    const plain = (name, f, options) => scenario(name, async (r) => f(r, await negotiate(r, "user=a&expires=1800", options)));
    for (const m of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]) await plain(m, (r, n) => r.request("a", m, "/hub-refresh/refresh", { "X-SignalR-Connection-Token": n.secret, ...bearer(n.token) }));
    await plain("good", (r, n) => refresh(r, n, "user=a&expires=900"));
    await plain("no token", (r, n) => r.request("a", "POST", "/hub-refresh/refresh", bearer(n.token)));
    await plain("empty token", (r, n) => refresh(r, { ...n, secret: "" }, n.token));
    await plain("unknown token", (r, n) => refresh(r, { ...n, secret: "AAAAAAAAAAAAAAAAAAAAAA" }, n.token));
    await plain("token in the query", (r, n) => r.request("a", "POST", `/hub-refresh/refresh?id=${n.secret}`, bearer(n.token)));
    await plain("wrong id in the query, token in the header", (r, n) => r.request("a", "POST", `/hub-refresh/refresh?id=x`, { ...bearer(n.token), "X-SignalR-Connection-Token": n.secret }));
    await plain("header name in other case", (r, n) => r.request("a", "POST", "/hub-refresh/refresh", { ...bearer(n.token), "x-signalr-connection-token": n.secret }));
    await plain("header twice", (r, n) => r.request("a", "POST", "/hub-refresh/refresh", { ...bearer(n.token), "X-SignalR-Connection-Token": n.secret, "x-signalr-connection-token": n.secret }));
    await plain("public connection id", (r, n) => refresh(r, { ...n, secret: n.connectionId }, n.token));
    await plain("connection of another endpoint", (r, n) => refresh(r, { ...n, path: "/hub-refresh-open" }, n.token));
    await plain("negotiate version 0", (r, n) => refresh(r, n, n.token), { version: 0 });
    await scenario("WebSocket without negotiate", async (r) => { const s = await r.open("ws"); await s.upgrade("/hub-refresh", bearer("user=a")); s.text1(HANDSHAKE); await s.got(1); s.text1(JSON.stringify(call("ConnectionId")) + RS); await s.got(2); const id = s.frames[1].payload.toString().match(/"result":"([^"]*)"/)[1]; r.log("-", "!", `"connectionId":"${id}"`, "its id is known"); await refresh(r, { path: "/hub-refresh", secret: id }, "user=a"); });
    await plain("endpoint without refresh", (r, n) => refresh(r, n, n.token), { path: "/hub-refresh-off" });
    await scenario("plain hub", async (r) => { await r.request("a", "POST", "/hub/refresh"); await r.request("b", "GET", "/hub/refresh"); });
    await plain("path in other case, final slash", (r, n) => refresh(r, { ...n, path: "/HUB-Refresh" }, n.token));
    await plain("longer path", (r, n) => r.request("a", "POST", "/hub-refresh/refresh/x", { "X-SignalR-Connection-Token": n.secret, ...bearer(n.token) }));
    await plain("with a body", (r, n) => refresh(r, n, n.token, "refresh", { "Content-Type": "application/json" }, '{"id":"ignored"}'));
    await plain("with a chunked body", (r, n) => refresh(r, n, n.token, "refresh", { "Transfer-Encoding": "chunked" }, "3\r\nabc\r\n0\r\n\r\n"));
    await plain("without Content-Length", async (r, n) => { const s = await r.open("a"); s.raw(`POST /hub-refresh/refresh HTTP/1.1\r\nHost: ${r.host}\r\nX-SignalR-Connection-Token: ${n.secret}\r\nAuthorization: Bearer user=a&expires=900\r\n\r\n`); await s.response(); });
    await plain("Accept: text/html", (r, n) => refresh(r, n, n.token, "refresh", { Accept: "text/html", "X-Requested-With": "XMLHttpRequest" }));
    await plain("two on one TCP connection", async (r, n) => { const s = await r.open("a"); for (let i = 0; i < 2; i++) { s.request("POST", "/hub-refresh/refresh", { "X-SignalR-Connection-Token": n.secret, ...bearer("user=a&expires=900") }); await s.response(); } });

    const origin = { Origin: "http://app.test" }, users = { path: "/hub-refresh-users" };
    const preflight = { "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-connection-token" };
    await scenario("preflight", (r) => r.request("a", "OPTIONS", "/hub-refresh-users/refresh", { ...origin, ...preflight }));
    await scenario("preflight, other origin", (r) => r.request("a", "OPTIONS", "/hub-refresh-users/refresh", { Origin: "http://other.test", ...preflight }));
    await scenario("preflight, endpoint without CORS", (r) => r.request("a", "OPTIONS", "/hub-refresh/refresh", { ...origin, ...preflight }));
    await plain("good, with CORS", (r, n) => refresh(r, n, n.token, "refresh", origin), users);
    await plain("nobody, with CORS", (r, n) => refresh(r, n, "", "refresh", origin), users);
    await plain("nobody, endpoint wants users", (r, n) => refresh(r, n, ""), users);
    await plain("not a token, endpoint wants users", (r, n) => refresh(r, n, "x"), users);
    await plain("expired, endpoint wants users", (r, n) => refresh(r, n, "user=a&expires=-1"), users);
    await plain("user without permission for the endpoint", (r, n) => refresh(r, n, "user=a&role=forbidden"), users);
    await plain("user without permission for the endpoint, with CORS", (r, n) => refresh(r, n, "user=a&role=forbidden", "refresh", origin), users);
    await plain("nobody, unknown token, endpoint wants users", (r, n) => refresh(r, { ...n, secret: "x" }, ""), users);
    await scenario("nobody, GET, endpoint wants users", (r) => r.request("a", "GET", "/hub-refresh-users/refresh"));
});

group("POST /refresh: users and life times", [...short, "--detailed", "true"], async () => {
    const from = (name, first, next, path = "/hub-refresh", more = "") => scenario(name, async (r) => { const c = await ws(r, first, { path, more }); for (const [i, token] of [next].flat().entries()) { await refresh(r, c, token, `refresh ${i + 1}`); await sleep(50); } c.say(who); await sleep(60); await ended(r, c); });
    await from("1800 s", "user=a&expires=1800", "user=a&expires=900&role=x");
    await from("longer", "user=a&expires=900", "user=a&expires=1800&role=x");
    await from("the same token again", "user=a&role=x", "user=a&role=x");
    await from("shorter: not taken over", "user=a&expires=1800&role=x", "user=a&expires=900&role=y");
    await from("shorter, then longer", "user=a&expires=1800&role=x", ["user=a&expires=900&role=y", "user=a&expires=3600&role=z"]);
    await from("shorter, and other user", "user=a&expires=1800&role=x", "user=b&expires=900&role=y");
    await from("to no expiry", "user=a&expires=1800", "user=a&role=x");
    await from("from no expiry", "user=a", "user=a&expires=900&role=x");
    await scenario("half a second", async (r) => { const c = await ws(r, "user=a"); await aligned(500); await refresh(r, c, until("user=a&role=x", 1)); await sleep(50); c.say(who); await sleep(60); });
    await from("more than 2147483647 s", "user=a", "user=a&expires=3000000000&role=x");
    await from("limit of 4 s", "user=a&expires=1800", "user=a&expires=1800&role=x", "/hub-refresh-max");
    await from("limit of 4 s, no expiry", "user=a", "user=a&role=x", "/hub-refresh-max");
    await from("role lost", "user=a&role=x", "user=a");
    await from("other user", "user=a&role=x", "user=b&role=x");
    await from("other user, then the first again", "user=a", ["user=b", "user=a&role=x"]);
    await from("nobody", "user=a&role=x", "");
    await from("not a token", "user=a&role=x", "x");
    await from("expired", "user=a&role=x", "user=a&role=y&expires=-1");
    await from("from nobody to a user", "", "user=a");
    await from("from nobody to nobody", "", "");
    await from("user in other case", "user=a", "user=A");
    await from("only a name", "name=n&role=x", "name=n&role=x");
    await from("only a name, role changed", "name=n&role=x", "name=n&role=y");
    await from("only a role, another one", "role=x", "role=y");
    await from("sub kept, user changed", "sub=1&user=a", "sub=1&user=b");
    await from("sub changed, user kept", "sub=1&user=a", "sub=2&user=a");
    await from("sub added, user kept", "user=a", "sub=1&user=a");
    await from("sub alone, kept", "sub=1&role=x", "sub=1&role=y");
    await from("sub alone, changed", "sub=1", "sub=2");
    await from("upn alone, kept", "upn=u&role=x", "upn=u&role=y");
    await from("upn alone, changed", "upn=u", "upn=v");
    await from("empty user", "user=&role=x", "user=&role=y");
    await from("policy refuses", "user=a&role=x", ["user=a&role=banned", "user=a&role=y"], "/hub-refresh-policy");
    await from("policy throws", "user=a&role=x", ["user=a&role=throws", "user=a&role=y"], "/hub-refresh-policy");
    await from("policy is slow", "user=a&role=x", "user=a&role=slow", "/hub-refresh-policy");
    await from("policy is not asked about another user", "user=a&role=x", "user=b&role=throws", "/hub-refresh-policy");
    await from("policy is not asked about a shorter life time", "user=a&role=x&expires=1800", "user=a&role=banned&expires=900", "/hub-refresh-policy");
    await from("application accepts anyone", "user=a&role=x", ["user=b&role=y", "user=c&role=z", "user=a&role=x"], "/hub-refresh", "&connected=anyone");
    await from("application accepts anyone: nobody", "user=a&role=x", "", "/hub-refresh", "&connected=anyone");
    await from("application accepts anyone, policy refuses", "user=a&role=x", "user=b&role=banned", "/hub-refresh-policy", "&connected=anyone");
    await scenario("application accepts anyone: messages to users", async (r) => { const c = await ws(r, "user=a", { more: "&connected=anyone" }); await refresh(r, c, "user=b"); await sleep(50); c.say(call("SendUser", ["a", "M", "to a"], "1"), call("SendUser", ["b", "M", "to b"], "2")); await sleep(100); });
    await scenario("two at once, the first one slow", async (r) => { const c = await ws(r, "user=a&role=x", { path: "/hub-refresh-policy" }); const a = refresh(r, c, "user=a&role=slow", "slow"); await sleep(100); await refresh(r, c, "user=a&role=fast", "fast"); await a; await sleep(50); c.say(who); await sleep(60); });
    await scenario("two at once, both slow", async (r) => { const c = await ws(r, "user=a&role=x", { path: "/hub-refresh-policy" }); await aligned(100); const a = refresh(r, c, "user=a&role=slow&expires=900", "slow 1"); await sleep(100); await refresh(r, c, "user=a&role=slow&expires=1800", "slow 2"); await a; await sleep(50); c.say(who); await sleep(60); });
    await scenario("connection ends while the policy is slow", async (r) => { const c = await ws(r, "user=a&role=x", { path: "/hub-refresh-policy" }); const a = refresh(r, c, "user=a&role=slow"); await sleep(100); c.s.close(1000); await a; await ended(r, c); });
});

group("refresh and transports", short, async () => {
    for (const [name, open] of Object.entries(transports)) {
        await scenario(`${name}: refresh, then who`, async (r) => { const c = await open(r, "user=a&role=x"); await refresh(r, c, "user=a&role=y"); await sleep(50); if (open === lp) await c.settle(); await c.say(who); await c.settle(80); });
        await scenario(`${name}: refused, then who`, async (r) => { const c = await open(r, "user=a&role=x"); await refresh(r, c, "user=b"); await sleep(50); await c.say(who); await c.settle(80); });
        await scenario(`${name}: after the end`, async (r) => { const c = await open(r, "user=a"); if (open === lp) await r.request("delete", "DELETE", c.q, bearer(c.token)); else if (open === ws) { c.s.close(1000); await c.s.ended(); } else c.s.reset(); await sleep(300); await refresh(r, c, "user=a"); });
    }
    await scenario("long polling: during a poll", async (r) => { const c = await lp(r, "user=a&role=x"); const p = await poll(r, c); await sleep(100); await refresh(r, c, "user=a&role=y"); await p.response(); await c.say(who); await polled(r, c, "poll 2"); });
    await scenario("long polling: refused during a poll", async (r) => { const c = await lp(r, "user=a&role=x"); const p = await poll(r, c); await sleep(100); await refresh(r, c, "user=b"); await p.response(); });
    await scenario("long polling: with the new token first on the refresh, then on polls and posts", async (r) => { const c = await lp(r, until("user=a&role=x", 600)); const fresh = until("user=a&role=y", 900); await refresh(r, c, fresh); await polled(r, c, "poll 1", fresh); await post(r, c, JSON.stringify(who) + RS, "post", fresh); await polled(r, c, "poll 2", fresh); });
    await scenario("long polling: afterwards the old token on polls and posts", async (r) => { const old = until("user=a&role=x", 600), c = await lp(r, old); await refresh(r, c, until("user=a&role=y", 900)); await polled(r, c, "poll 1", old); await post(r, c, JSON.stringify(who) + RS, "post", old); await polled(r, c, "poll 2", old); });
    await scenario("long polling: afterwards the old token without expiry", async (r) => { const c = await lp(r, "user=a&role=x"); await refresh(r, c, "user=a&role=y"); await polled(r, c, "poll 1"); await polled(r, c, "poll 2"); await c.say(who); await polled(r, c, "poll 3"); });
    await scenario("negotiated only, then WebSocket with the old token", async (r) => { const n = await negotiate(r, "user=a&role=x"); await refresh(r, n, "user=a&role=y"); const s = await upgrade(r, n); s.text1(HANDSHAKE + JSON.stringify(who) + RS); await sleep(80); });
    await scenario("negotiated only, then WebSocket with the new token", async (r) => { const n = await negotiate(r, "user=a&role=x"); await refresh(r, n, "user=a&role=y"); const s = await upgrade(r, n, "user=a&role=y"); s.text1(HANDSHAKE + JSON.stringify(who) + RS); await sleep(80); });
    await scenario("negotiated only, other user", async (r) => { const n = await negotiate(r, "user=a"); await refresh(r, n, "user=b"); await refresh(r, n, "", "refresh 2"); await refresh(r, n, "user=a", "refresh 3"); });
    await scenario("negotiated by nobody, refreshed by a user", async (r) => { const n = await negotiate(r, ""); await refresh(r, n, "user=a"); const s = await upgrade(r, n, "user=a"); s.text1(HANDSHAKE + JSON.stringify(who) + RS); await sleep(80); });
    await scenario("negotiated only, policy refuses", async (r) => { const n = await negotiate(r, "user=a", { path: "/hub-refresh-policy" }); await refresh(r, n, "user=a&role=banned"); });
    await scenario("negotiated only, sub kept, user changed", async (r) => { const n = await negotiate(r, "sub=1&user=a"); await refresh(r, n, "sub=1&user=b"); const s = await upgrade(r, n); s.text1(HANDSHAKE + JSON.stringify(who) + RS); await sleep(80); });
    await scenario("WebSocket before the handshake", async (r) => { const n = await negotiate(r, "sub=1&user=a"); const s = await upgrade(r, n); await refresh(r, n, "sub=1&user=b"); s.text1(HANDSHAKE); await sleep(80); s.text1(JSON.stringify(who) + RS); await sleep(80); });
    await scenario("during OnConnectedAsync", async (r) => { const n = await negotiate(r, "user=a&role=x", { more: "&connected=slow" }); const s = await upgrade(r, n); s.text1(HANDSHAKE); await s.got(1); await refresh(r, n, "user=a&role=y"); s.text1(JSON.stringify(who) + RS); await sleep(700); });
    await scenario("MessagePack", async (r) => { const c = await ws(r, "user=a&role=x", { handshake: HANDSHAKE_MSGPACK }); await refresh(r, c, "user=a&role=y"); await sleep(60); });
});

group("refresh and the hub", short, async () => {
    const hub = (name, query, f) => scenario(name, async (r) => { const c = await ws(r, "user=a&role=x", { more: query }); await f(r, c, (role = "y", label = "refresh") => refresh(r, c, `user=a&role=${role}`, label)); await ended(r, c); });
    await hub("a running call keeps its user and holds the callback back", "", async (r, c, go) => { c.say(call("WhoBeforeAndAfter", [400])); await sleep(100); await go(); note(r, "answered"); await sleep(600); c.say(who); await sleep(80); });
    await hub("a running stream keeps its user and does not hold the callback back", "", async (r, c, go) => { c.say(stream("WhoOften", [4, 150], "1")); await sleep(100); await go(); await sleep(900); c.say(who); await sleep(80); });
    await hub("calls behind the callback wait for it", "&refreshed=slow", async (r, c, go) => { await go(); note(r, "answered"); await sleep(50); c.say(who, { type: 6 }, stream("Counter", [1, 0], "s"), call("NoSuch", [], "2"), call("Add", [1, 2], "3")); await sleep(800); });
    await hub("two refreshes, slow callback", "&refreshed=slow", async (r, c, go) => { await go("y", "refresh 1"); await go("z", "refresh 2"); await sleep(1300); });
    await hub("three refreshes while a call runs", "", async (r, c, go) => { c.say(call("Slow", ["slow", 400])); await sleep(50); for (const role of ["1", "2", "3"]) await go(role, `refresh ${role}`); c.say(who); await sleep(700); });
    await hub("callback throws", "&refreshed=throw", async (r, c, go) => { await go(); await sleep(50); c.say(who); await sleep(80); });
    await hub("callback aborts", "&refreshed=abort", async (r, c, go) => { await go(); await sleep(200); });
    await hub("callback asks the client", "&refreshed=ask", async (r, c, go) => { await go(); await sleep(50); c.say(who); await sleep(80); });
    await hub("client goes away while the callback is slow", "&refreshed=slow", async (r, c, go) => { await go(); await sleep(50); c.s.close(1000); await sleep(200); await ended(r, c); await sleep(500); });
    await hub("a refused refresh calls nothing", "", async (r, c) => { await refresh(r, c, "user=b"); await sleep(100); });
    await hub("method that wants a user", "", async (r, c, go) => { await go(); c.say(call("OnlyUsers")); await sleep(80); });
});
group("refresh and the hub, 2 parallel invocations", [...short, "--parallel", "2"], async () => {
    const hub = (name, query, f) => scenario(name, async (r) => { const c = await ws(r, "user=a&role=x", { more: query }); await f(r, c, (role = "y", label = "refresh") => refresh(r, c, `user=a&role=${role}`, label)); });
    await hub("a running call does not hold the callback back", "", async (r, c, go) => { c.say(call("WhoBeforeAndAfter", [400])); await sleep(100); await go(); await sleep(600); });
    await hub("two refreshes, slow callback", "&refreshed=slow", async (r, c, go) => { await go("y", "refresh 1"); await sleep(100); await go("z", "refresh 2"); await sleep(900); });
    await hub("slow callback and a call", "&refreshed=slow", async (r, c, go) => { await go(); c.say(who, call("Slow", ["slow", 100], "2"), call("Add", [1, 2], "3")); await sleep(900); });
});

// --- another user, or the same with a new token, on ordinary requests -------------------------------------------------
const others = async () => {
    for (const path of ["/hub-refresh", "/hub-refresh-off"]) {
        const on = (name, f) => scenario(`${path}: ${name}`, (r) => f(r, { path }));
        await on("WebSocket by another user than negotiated", async (r, o) => { const n = await negotiate(r, "user=a", o); await upgrade(r, n, "user=b"); await upgrade(r, n, "user=a", "ws 2"); });
        await on("SSE by another user than negotiated", async (r, o) => { const n = await negotiate(r, "user=a", o); await r.request("sse", "GET", n.q, { Accept: "text/event-stream", ...bearer("user=b") }); });
        await on("first poll by another user than negotiated", async (r, o) => { const n = await negotiate(r, "user=a", o); await polled(r, n, "poll", "user=b"); await polled(r, n, "poll 2", "user=a"); });
        await on("first poll with another role than negotiated", async (r, o) => { const n = await negotiate(r, "user=a&role=x", o); await polled(r, n, "poll", "user=a&role=y"); await post(r, n, HANDSHAKE + JSON.stringify(who) + RS); await sleep(80); await polled(r, n, "poll 2", "user=a&role=y"); });
        await on("negotiated by nobody, first poll by a user", async (r, o) => { const n = await negotiate(r, "", o); await polled(r, n, "poll", "user=a"); });
        await on("negotiated by a user, first poll by nobody", async (r, o) => { const n = await negotiate(r, "user=a", o); await polled(r, n, "poll", ""); });
        await on("poll by another user", async (r, o) => { const c = await lp(r, "user=a", o); await polled(r, c, "poll by b", "user=b"); await c.say(who); await c.settle(); });
        await on("poll by nobody", async (r, o) => { const c = await lp(r, "user=a", o); await polled(r, c, "poll by nobody", ""); await c.say(who); await c.settle(); });
        await on("poll with a bad token", async (r, o) => { const c = await lp(r, "user=a", o); await polled(r, c, "poll", "x"); await c.say(who); await c.settle(); });
        await on("poll with another role", async (r, o) => { const c = await lp(r, "user=a&role=x", o); await polled(r, c, "poll", "user=a&role=y"); await post(r, c, JSON.stringify(who) + RS); await polled(r, c, "poll 2", "user=a&role=y"); });
        await on("poll with a longer life time", async (r, o) => { const c = await lp(r, until("user=a", 600), o); const fresh = until("user=a", 900); await polled(r, c, "poll", fresh); await post(r, c, JSON.stringify(who) + RS, "post", fresh); await polled(r, c, "poll 2", fresh); });
        await on("poll with a shorter life time and another role", async (r, o) => { const c = await lp(r, until("user=a&role=x", 900), o); const old = until("user=a&role=y", 600); await polled(r, c, "poll", old); await post(r, c, JSON.stringify(who) + RS, "post", old); await polled(r, c, "poll 2", old); });
        await on("poll with a shorter life time by another user", async (r, o) => { const c = await lp(r, until("user=a&role=x", 900), o); await polled(r, c, "poll by b", until("user=b&role=y", 600)); });
        await on("poll by another user while a poll waits", async (r, o) => { const c = await lp(r, "user=a", o); const p = await poll(r, c, "poll by a"); await sleep(100); await polled(r, c, "poll by b", "user=b"); await p.response(); });
        await on("post by another user", async (r, o) => { const c = await lp(r, "user=a&role=x", o); await post(r, c, JSON.stringify(who) + RS, "post by b", "user=b"); await post(r, c, JSON.stringify(who) + RS, "post by nobody", ""); await c.say(who); await c.settle(); });
        await on("post with another role", async (r, o) => { const c = await lp(r, "user=a&role=x", o); await post(r, c, JSON.stringify(who) + RS, "post", "user=a&role=y"); await polled(r, c); });
        await on("SSE: post by another user", async (r, o) => { const c = await sse(r, "user=a&role=x", o); await post(r, c, JSON.stringify(who) + RS, "post by b", "user=b"); await c.say(who); await sleep(80); });
        await on("delete by another user", async (r, o) => { const c = await lp(r, "user=a", o); await r.request("delete by b", "DELETE", c.q, bearer("user=b")); await r.request("delete by a", "DELETE", c.q, bearer("user=a")); });
        await on("poll by another user, then refresh as that user, then poll", async (r, o) => { const c = await lp(r, "user=a", o); await polled(r, c, "poll by b", "user=b"); await refresh(r, c, "user=b"); await polled(r, c, "poll by b again", "user=b"); });
        await on("application accepts anyone: poll by another user, refresh, poll", async (r, o) => { const c = await lp(r, "user=a", { ...o, more: "&connected=anyone" }); await polled(r, c, "poll by b", "user=b"); await refresh(r, c, "user=b"); await polled(r, c, "poll by b again", "user=b"); await post(r, c, JSON.stringify(who) + RS, "post by b", "user=b"); await polled(r, c, "poll 3", "user=b"); await polled(r, c, "poll by a", "user=a"); });

        const stateful = { path, query: "&useStatefulReconnect=true", hub: 2 };
        const back = (name, first, next, more = {}) => on(`stateful reconnect ${name}`, async (r) => { const c = await ws(r, first, { ...stateful, ...more }); c.s.reset(); await sleep(100); const s = await upgrade(r, c, next, "ws 2"); await sleep(60); if (!s.ok) { const again = await upgrade(r, c, first, "ws 3"); again.text1(`{"type":9,"sequenceId":1}${RS}` + JSON.stringify(who) + RS); await sleep(100); } else { s.text1(`{"type":9,"sequenceId":1}${RS}` + JSON.stringify(who) + RS); await sleep(100); } });
        await back("by the same user", "user=a&role=x", "user=a&role=x");
        await back("with another role", "user=a&role=x", "user=a&role=y");
        await back("by another user", "user=a&role=x", "user=b&role=x");
        await back("by nobody", "user=a&role=x", "");
        if (path === "/hub-refresh") {
            for (const [name, token] of [["nobody", ""], ["an expired token", "user=a&expires=-1"], ["a role without permission", "user=a&role=forbidden"]]) {
                await on(`endpoint wants users: poll and post with ${name}`, async (r) => { const c = await lp(r, "user=a", { path: "/hub-refresh-users" }); await polled(r, c, "poll", token); await post(r, c, JSON.stringify(who) + RS, "post", token); await c.say(who); await c.settle(); });
                await on(`endpoint wants users: WebSocket and SSE with ${name}`, async (r) => { const n = await negotiate(r, "user=a", { path: "/hub-refresh-users" }); await upgrade(r, n, token); await r.request("sse", "GET", n.q, { Accept: "text/event-stream", ...bearer(token) }); });
            }
            await on("stateful: refresh after a reconnect", async (r) => { const c = await ws(r, "user=a&role=x", stateful); c.s.reset(); await sleep(100); const s = await upgrade(r, c, "user=a&role=x", "ws 2"); s.text1(`{"type":9,"sequenceId":1}${RS}`); await refresh(r, c, "user=a&role=y"); await sleep(60); s.text1(JSON.stringify(who) + RS); await sleep(100); });
            await back("with a role that the policy refuses", "user=a&role=x", "user=a&role=banned", { path: "/hub-refresh-policy" });
            await on("stateful: refresh while the socket is away, reconnect with the old token", async (r) => { const c = await ws(r, "user=a&role=x", stateful); c.s.reset(); await sleep(100); await refresh(r, c, "user=a&role=y"); const s = await upgrade(r, c, "user=a&role=x", "ws 2"); s.text1(`{"type":9,"sequenceId":1}${RS}` + JSON.stringify(who) + RS); await sleep(100); });
            await on("stateful: refresh while the socket is away, reconnect with the new token", async (r) => { const c = await ws(r, "user=a&role=x", stateful); c.s.reset(); await sleep(100); await refresh(r, c, "user=a&role=y"); const s = await upgrade(r, c, "user=a&role=y", "ws 2"); s.text1(`{"type":9,"sequenceId":1}${RS}` + JSON.stringify(who) + RS); await sleep(100); });
            await on("poll with a role that the policy refuses", async (r) => { const c = await lp(r, "user=a&role=x", { path: "/hub-refresh-policy" }); await polled(r, c, "poll", "user=a&role=banned"); await sleep(100); await polled(r, c, "poll 2"); await ended(r, c); });
            await on("poll with a role on which the policy throws", async (r) => { const c = await lp(r, "user=a&role=x", { path: "/hub-refresh-policy" }); await polled(r, c, "poll", "user=a&role=throws"); await sleep(100); await c.say(who); await polled(r, c, "poll 2"); await ended(r, c); });
        }
    }
    // The plain hub: its user is what the query says, no scheme is involved.
    const as = (n, user) => `${n.q}${user && `&user=${user}`}`;
    const plain = (name, first, f) => scenario(`/hub: ${name}`, async (r) => f(r, await negotiate(r, "", { path: "/hub", query: first && `&user=${first}` })));
    for (const [first, next] of [["a", "b"], ["a", ""], ["", "b"]]) {
        const name = `negotiated by ${first || "nobody"}, connected by ${next || "nobody"}`;
        await plain(`WebSocket ${name}`, first, async (r, n) => { await (await r.open("ws")).upgrade(as(n, next)); });
        await plain(`SSE ${name}`, first, async (r, n) => { await r.request("sse", "GET", as(n, next), { Accept: "text/event-stream" }); });
        await plain(`poll ${name}`, first, async (r, n) => { await r.request("poll", "GET", as(n, next)); });
    }
    await plain("poll with the token of another endpoint", "", async (r, n) => { await r.request("poll", "GET", `/hub-longpolling?id=${n.secret}`); await r.request("poll 2", "GET", n.q); });
    await plain("post before the first poll", "", async (r, n) => { await r.request("post", "POST", n.q, {}, HANDSHAKE); await r.request("delete", "DELETE", n.q); await r.request("poll", "GET", n.q); });
    await plain("second poll, post and delete by another user", "a", async (r, n) => { await r.request("poll", "GET", as(n, "a")); await r.request("post by b", "POST", as(n, "b"), {}, HANDSHAKE); await r.request("post by a", "POST", as(n, "a"), {}, HANDSHAKE); await r.request("poll by b", "GET", as(n, "b")); await r.request("delete by b", "DELETE", as(n, "b")); await r.request("poll 2", "GET", as(n, "a")); });
};
group("another user on ordinary requests", short, others);
group("another user on ordinary requests, UseLegacyLongPollingAuthenticationRefresh", [...short, "--legacy-polling", "true"], async () => {
    const on = (name, f) => scenario(name, f);
    await on("poll by another user", async (r) => { const c = await lp(r, "user=a"); await polled(r, c, "poll by b", "user=b"); await c.say(who); await c.settle(); });
    await on("poll by nobody", async (r) => { const c = await lp(r, "user=a"); await polled(r, c, "poll by nobody", ""); await c.say(who); await c.settle(); });
    await on("poll with another role", async (r) => { const c = await lp(r, "user=a&role=x"); await polled(r, c, "poll", "user=a&role=y"); });
    await on("application accepts anyone: poll by another user", async (r) => { const c = await lp(r, "user=a", { more: "&connected=anyone" }); await polled(r, c, "poll by b", "user=b"); await post(r, c, JSON.stringify(who) + RS, "post by b", "user=b"); await polled(r, c, "poll 2", "user=b"); });
});

// --- expiry -----------------------------------------------------------------------------------------------------------
group("expiry", ["--poll-timeout-ms", "6000", "--disconnect-timeout-ms", "8000"], async () => {
    const end = async (r, c, ms = 5500) => { if (c.s) { await c.s.until(() => c.s.closed || c.s.frames.some((f) => f.opcode === 8) || c.s.complete(), ms); if (c.s.upgraded && !c.s.closed) { c.s.close(1000); await c.s.ended(); } } await sleep(50); await ended(r, c); };
    const all = [];
    const beside = (name, f) => all.push([name, f]);
    for (const path of ["/hub-refresh", "/hub-refresh-off"]) {
        beside(`${path}: WebSockets`, async (r) => end(r, await ws(r, "user=a&expires=2", { path })));
        beside(`${path}: SSE`, async (r) => end(r, await sse(r, until("user=a", 2), { path })));
        beside(`${path}: long polling, during a poll`, async (r) => { const c = await lp(r, until("user=a", 2), { path }); await (await poll(r, c)).response(6000); await polled(r, c, "poll 2", "user=a"); await polled(r, c, "poll 3", "user=a"); await ended(r, c); });
    }
    beside("long polling, the poll behind the Close brings the expired token", async (r) => { const old = until("user=a", 2), c = await lp(r, old); await (await poll(r, c)).response(6000); await polled(r, c, "poll 2", old); await polled(r, c, "poll 3", "user=a"); await ended(r, c); });
    beside("/hub-refresh-users: long polling, the poll behind the Close brings the expired token", async (r) => { const old = until("user=a", 2), c = await lp(r, old, { path: "/hub-refresh-users" }); await (await poll(r, c)).response(6000); await polled(r, c, "poll 2", old); await polled(r, c, "poll 3", "user=a"); await ended(r, c); });
    beside("/hub-refresh-off: long polling, the poll behind the Close brings the expired token", async (r) => { const old = until("user=a", 2), c = await lp(r, old, { path: "/hub-refresh-off" }); await (await poll(r, c)).response(6000); await polled(r, c, "poll 2", old); await polled(r, c, "poll 3", "user=a"); await ended(r, c); });
    beside("WebSockets, MessagePack", async (r) => end(r, await ws(r, "user=a&expires=2", { handshake: HANDSHAKE_MSGPACK })));
    beside("WebSockets, stateful", async (r) => end(r, await ws(r, "user=a&expires=2", { query: "&useStatefulReconnect=true", hub: 2 })));
    beside("stateful, socket away", async (r) => { const c = await ws(r, "user=a&expires=2", { query: "&useStatefulReconnect=true", hub: 2 }); c.s.reset(); await sleep(3500); await ended(r, c); await upgrade(r, c, "user=a", "ws 2"); await sleep(300); });
    beside("WebSockets before the handshake", async (r) => { const n = await negotiate(r, "user=a&expires=2"); const s = await upgrade(r, n); await end(r, { ...n, s }); });
    beside("negotiated only", async (r) => { const n = await negotiate(r, "user=a&expires=1"); await sleep(2600); const s = await upgrade(r, n, "user=a"); note(r, s.ok ? "upgraded" : "refused"); });
    beside("long polling, between polls", async (r) => { const c = await lp(r, until("user=a", 2)); await sleep(3500); await ended(r, c); await polled(r, c, "poll", "user=a"); await polled(r, c, "poll 2", "user=a"); });
    beside("WebSockets, close on expiry off", async (r) => { const c = await ws(r, "user=a&expires=1", { path: "/hub-refresh-open" }); await sleep(3000); c.say(who); await sleep(80); await refresh(r, c, "user=a&expires=900"); await sleep(60); });
    beside("WebSockets, limit of 4 s, no expiry", async (r) => end(r, await ws(r, "user=a", { path: "/hub-refresh-max" })));
    beside("WebSockets, limit of 4 s, life time of 2 s", async (r) => end(r, await ws(r, "user=a&expires=2", { path: "/hub-refresh-max" })));
    beside("WebSockets, a call is running", async (r) => { const c = await ws(r, "user=a&expires=2"); c.say(call("Slow", ["slow", 4000])); await end(r, c); });
    beside("WebSockets, refreshed in time", async (r) => { const c = await ws(r, "user=a&expires=2"); await sleep(1000); await refresh(r, c, "user=a&expires=3"); await sleep(1900); c.say(who); await sleep(80); note(r, c.s.closed ? "closed" : "still open"); await end(r, c); });
    beside("SSE, refreshed in time", async (r) => { const c = await sse(r, until("user=a", 2)); await sleep(1000); const fresh = until("user=a", 3); await refresh(r, c, fresh); await sleep(1900); await post(r, c, JSON.stringify(who) + RS, "post", fresh); await sleep(80); await end(r, c); });
    beside("long polling, refreshed in time during a poll", async (r) => { const c = await lp(r, until("user=a", 2)); const p = await poll(r, c); await sleep(1000); const fresh = until("user=a", 3); await refresh(r, c, fresh); await p.response(); await (await poll(r, c, "poll 2", fresh)).response(6000); await polled(r, c, "poll 3", "user=a"); await ended(r, c); });
    beside("long polling, polls bring new tokens", async (r) => { const c = await lp(r, until("user=a", 2)); await sleep(1000); const fresh = until("user=a", 4); const p = await poll(r, c, "poll 1", fresh); await p.response(); await (await poll(r, c, "poll 2", fresh)).response(6000); });
    beside("/hub-refresh-off: long polling, polls bring new tokens", async (r) => { const c = await lp(r, until("user=a", 2), { path: "/hub-refresh-off" }); await sleep(1000); const p = await poll(r, c, "poll", until("user=a", 4)); await sleep(1900); note(r, p.complete() ? "ended" : "still waits"); await p.response(4000); });
    beside("WebSockets, refreshed too late", async (r) => { const c = await ws(r, "user=a&expires=2"); await c.s.until(() => c.s.frames.some((f) => f.opcode === 8), 5500); await refresh(r, c, "user=a&expires=900"); c.s.close(1000); await c.s.ended(); await sleep(50); await refresh(r, c, "user=a&expires=900", "refresh 2"); });
    beside("WebSockets, refreshed to no expiry", async (r) => { const c = await ws(r, "user=a&expires=2"); await refresh(r, c, "user=a"); await sleep(3500); note(r, c.s.closed ? "closed" : "still open"); });
    beside("WebSockets, refreshed from no expiry", async (r) => { const c = await ws(r, "user=a"); await refresh(r, c, "user=a&expires=1"); await end(r, c); });
    beside("WebSockets, shorter life time is not taken over", async (r) => { const c = await ws(r, "user=a&expires=4"); await refresh(r, c, "user=a&expires=1"); await sleep(2800); note(r, c.s.closed ? "closed" : "still open"); await end(r, c); });
    beside("WebSockets, refused refresh changes nothing", async (r) => { const c = await ws(r, "user=a&expires=2"); await refresh(r, c, "user=b&expires=900"); await end(r, c); });
    await aligned(100);
    await atOnce(all);
});

// --- cancelling -------------------------------------------------------------------------------------------------------
const frameOf = (body) => { const head = []; let n = body.length; do { head.push((n & 127) | (n > 127 ? 128 : 0)); n >>>= 7; } while (n); return Buffer.concat([Buffer.from(head), body]); };
/** A hub record in MessagePack. */
const packed = (m) => frameOf(Buffer.from(encode(m.type === 5 ? [5, {}, m.invocationId] : m.type === 1 ? [1, {}, m.invocationId ?? null, m.target, m.arguments, m.streamIds ?? []] : m.type === 4 ? [4, {}, m.invocationId, m.target, m.arguments, m.streamIds ?? []] : m.type === 2 ? [2, {}, m.invocationId, m.item] : m.error ? [3, {}, m.invocationId, 1, m.error] : m.result !== undefined ? [3, {}, m.invocationId, 3, m.result] : [3, {}, m.invocationId, 2])));
const item = (id, value) => ({ type: 2, invocationId: id, item: value }), completed = (id, more = {}) => ({ type: 3, invocationId: id, ...more });
for (const parallel of [1, 2]) for (const protocol of parallel === 1 ? ["json", "messagepack", "json, not detailed"] : ["json", "messagepack"]) group(`cancelling, ${protocol}, ${parallel} parallel`, ["--detailed", protocol.includes("not") ? "false" : "true", "--parallel", String(parallel)], async () => {
    const pack = protocol === "messagepack";
    const on = (name, f) => scenario(name, async (r) => {
        const n = await negotiate(r, "", { path: "/hub" }), s = await upgrade(r, n);
        s.frame(1, pack ? HANDSHAKE_MSGPACK : HANDSHAKE); await s.got(1);
        const say = (...records) => (pack ? s.frame(2, Buffer.concat(records.map((m) => (typeof m === "string" ? Buffer.from(m, "hex") : packed(m))))) : s.text1(records.map((m) => (typeof m === "string" ? m : JSON.stringify(m)) + RS).join("")));
        await f(say, r, n, s);
        if (!s.closed && !s.frames.some((x) => x.opcode === 8)) { say(call("Add", [1, 2], "end")); await s.until(() => s.frames.some((x) => x.payload.includes("end")), 1500); }
    });
    const methods = [["ThrowOnCancel", []], ["ResultOnCancel", ["be", "fore"]], ["HubExceptionOnCancel", ["cancelled, says the hub"]], ["SendOnCancel", []], ["IgnoreCancel", [300]], ["Slow", ["not cancellable", 300]]];
    if (parallel === 1) {
        for (const [method, args] of methods) await on(method, async (say) => { say(call(method, args)); await sleep(100); say(cancel("1")); await sleep(350); });
        const inUse = [
            ["stream id used again by a stream", async (say) => { say(stream("Counter", [8, 100], "1")); await sleep(150); say(stream("Counter", [2, 0], "1")); await sleep(100); say(cancel("1")); await sleep(200); }],
            ["one upload id twice in a call", async (say) => { say(call("Zip", ["-"], "1", { streamIds: ["s", "s"] })); await sleep(50); say(item("s", "a"), completed("s")); await sleep(50); say(call("Concat", [], "2", { streamIds: ["s"] }), item("s", "x"), completed("s")); await sleep(100); }],
        ];
        for (const [name, f] of inUse) await on(name, f);
        if (protocol.includes("not")) return;
        await on("not cancelled", async (say) => { say(call("IgnoreCancel", [50])); await sleep(150); });
        await on("call and cancellation in one frame", async (say) => { say(call("ResultOnCancel", ["a", "b"]), cancel("1")); await sleep(150); });
        await on("cancelled twice", async (say) => { say(call("IgnoreCancel", [200])); await sleep(50); say(cancel("1"), cancel("1")); await sleep(300); });
        await on("cancelled after the completion", async (say) => { say(call("IgnoreCancel", [20])); await sleep(100); say(cancel("1")); await sleep(50); });
        await on("unknown id", async (say) => { say(cancel("nobody")); await sleep(50); });
        await on("cancellation before the call", async (say) => { say(cancel("1"), call("IgnoreCancel", [50])); await sleep(150); });
        await on("queued behind another call, cancelled at once", async (say) => { say(call("Slow", ["first", 300], "1"), call("ResultOnCancel", ["sec", "ond"], "2"), cancel("2"), call("Add", [1, 2], "3")); await sleep(500); });
        await on("queued behind another call, that one cancelled", async (say) => { say(call("ResultOnCancel", ["fir", "st"], "1"), call("Add", [1, 2], "2"), cancel("1")); await sleep(300); });
        await on("the cancellation overtakes nothing: it waits behind a queued call", async (say) => { say(call("IgnoreCancel", [300], "1"), call("Add", [1, 2], "2"), cancel("1")); await sleep(500); });
        await on("call without id", async (say, r, n, s) => { say(call("NoteCancel", [], null)); await sleep(50); await ended(r, n, " token"); s.close(1000); await s.ended(); await sleep(100); await ended(r, n, " token"); });
        await on("connection ends during the call", async (say, r, n, s) => { say(call("NoteCancel", [])); await sleep(50); s.close(1000); await s.ended(); await sleep(100); await ended(r, n, " token"); await ended(r, n); });
        await on("connection is lost during the call", async (say, r, n, s) => { say(call("NoteCancel", [])); await sleep(50); s.reset(); await sleep(200); await ended(r, n, " token"); await ended(r, n); });
        await on("client result awaited with the token", async (say, r, n, s) => { say(call("AskUntilCancel", [])); await sleep(100); say(cancel("1")); await sleep(100); const id = s.frames.map((x) => x.payload.toString("latin1")).join("").match(pack ? /\x95\x01\x80[\xa0-\xbf](s\d+)/ : /"invocationId":"(s\d+)"/)?.[1]; if (id) say(completed(id, { result: "late" })); await sleep(50); });
        await on("upload call", async (say) => { say(call("SumUntilCancel", [], "1", { streamIds: ["s"] }), item("s", 1), item("s", 2)); await sleep(100); say(cancel("1")); await sleep(100); say(item("s", 3), completed("s")); await sleep(50); });
        await on("upload call, stream ended before", async (say) => { say(call("SumUntilCancel", [], "1", { streamIds: ["s"] }), item("s", 1), completed("s")); await sleep(100); say(cancel("1")); await sleep(100); });
        await on("id used again after a cancellation", async (say) => { say(call("ResultOnCancel", ["a", "b"]), cancel("1")); await sleep(100); say(call("ResultOnCancel", ["c", "d"]), cancel("1")); await sleep(100); });
        await on("stream", async (say) => { say(stream("Counter", [50, 100], "1")); await sleep(250); say(cancel("1")); await sleep(150); });
        await on("stream invocation of a plain method", async (say) => { say(stream("ResultOnCancel", ["a", "b"], "1")); await sleep(50); });
        await on("token sent as an argument", async (say) => { say(call("ResultOnCancel", ["a", null, "b"])); await sleep(50); });
        if (!pack) for (const record of ['{"type":5}', '{"type":5,"invocationId":null}', '{"type":5,"invocationId":""}', '{"type":5,"invocationId":1}']) await on(record, async (say) => { say(record); await sleep(50); });
        else for (const [name, record] of [["no id", "029105"], ["nil id", "04930580c0"], ["headers nil", "059305c0a131"]]) await on(`CancelInvocation with ${name}`, async (say) => { say(record); await sleep(50); });

        // More ids that are in use
        await on("stream id used again by a cancellable call", async (say) => { say(stream("Counter", [8, 100], "1")); await sleep(150); say(call("ResultOnCancel", ["a", "b"], "1")); await sleep(100); say(cancel("1")); await sleep(200); });
        await on("stream id used again by another call", async (say) => { say(stream("Counter", [4, 100], "1")); await sleep(150); say(call("Add", [1, 2], "1")); await sleep(500); });
        await on("id of a cancellable call used again by a stream", async (say) => { say(call("ResultOnCancel", ["a", "b"], "1")); await sleep(50); say(stream("Counter", [2, 0], "1")); await sleep(100); say(cancel("1")); await sleep(100); });
        await on("id of a cancellable call used again: waits for it", async (say) => { say(call("IgnoreCancel", [200], "1"), call("IgnoreCancel", [50], "1")); await sleep(400); });
        await on("upload id of a running call used again", async (say) => { say(call("Concat", [], "1", { streamIds: ["s"] }), item("s", "a")); await sleep(50); say(call("Concat", [], "2", { streamIds: ["s"] })); await sleep(50); say(item("s", "b"), completed("s")); await sleep(50); say(call("Concat", [], "3", { streamIds: ["s"] }), item("s", "c"), completed("s")); await sleep(100); });
        await on("upload id of a running stream used again", async (say) => { say({ ...stream("EchoStream", [], "1"), streamIds: ["s"] }, item("s", "a")); await sleep(50); say({ ...stream("EchoStream", [], "2"), streamIds: ["s"] }); await sleep(50); say(item("s", "b"), completed("s")); await sleep(100); });
        await on("second of two upload ids in use: the first is free again", async (say) => { say(call("Concat", [], "1", { streamIds: ["s"] })); await sleep(50); say(call("Zip", ["-"], "2", { streamIds: ["t", "s"] })); await sleep(50); say(call("Concat", [], "3", { streamIds: ["t"] }), item("t", "x"), completed("t")); await sleep(50); say(completed("s")); await sleep(100); });
        await on("upload id in use, call without id", async (say) => { say(call("Concat", [], "1", { streamIds: ["s"] })); await sleep(50); say(call("Concat", [], null, { streamIds: ["s"] })); await sleep(50); say(item("s", "a"), completed("s")); await sleep(100); });
        await on("upload id after the completion of the stream, call still running", async (say) => { say(call("ReadOne", [300], "1", { streamIds: ["s"] }), item("s", 1), completed("s")); await sleep(50); say(call("Sum", [], "2", { streamIds: ["s"] }), item("s", 2), completed("s")); await sleep(400); });
        await on("upload id after the call returned", async (say) => { say(call("ReadOne", [50], "1", { streamIds: ["s"] }), item("s", 1)); await sleep(200); say(call("Sum", [], "2", { streamIds: ["s"] }), item("s", 2), completed("s")); await sleep(100); });
        await on("upload id of a refused invocation id", async (say) => { say(call("SumUntilCancel", [], "1", { streamIds: ["s"] })); await sleep(50); say(call("SumUntilCancel", [], "1", { streamIds: ["t"] })); await sleep(50); say(call("Sum", [], "2", { streamIds: ["t"] }), item("t", 5), completed("t")); await sleep(100); say(call("Sum", [], "3", { streamIds: ["t"] }), item("t", 6), completed("t")); await sleep(100); say(cancel("1")); await sleep(100); });
        await on("upload id equal to an invocation id", async (say) => { say(call("Concat", [], "1", { streamIds: ["1"] }), item("1", "a"), completed("1")); await sleep(100); });
        return;
    }
    await on("queued behind two calls, cancelled at once", async (say) => { say(call("Slow", ["first", 300], "1"), call("Slow", ["second", 400], "2"), call("ResultOnCancel", ["thi", "rd"], "3"), cancel("3")); await sleep(600); });
    await on("two cancellable calls, the second cancelled first", async (say) => { say(call("ResultOnCancel", ["a", "1"], "1"), call("ResultOnCancel", ["a", "2"], "2")); await sleep(50); say(cancel("2")); await sleep(100); say(cancel("1")); await sleep(100); });
    await on("id of a cancellable call used again", async (say) => { say(call("IgnoreCancel", [300], "1")); await sleep(50); say(call("IgnoreCancel", [50], "1")); await sleep(100); say(cancel("1")); await sleep(300); });
    await on("id of a cancellable call used again by another call", async (say) => { say(call("IgnoreCancel", [200], "1")); await sleep(50); say(call("Add", [1, 2], "1")); await sleep(300); });
    await on("id of another call used again by a cancellable one", async (say) => { say(call("Slow", ["slow", 300], "1")); await sleep(50); say(call("ResultOnCancel", ["a", "b"], "1")); await sleep(50); say(cancel("1")); await sleep(400); });
    await on("id of another call used again", async (say) => { say(call("Slow", ["slow", 200], "1")); await sleep(50); say(call("Add", [1, 2], "1")); await sleep(300); });
});
group("cancelling, other transports", ["--poll-timeout-ms", "1500"], async () => {
    await scenario("SSE", async (r) => { const c = await sse(r, "", { path: "/hub" }); await c.say(call("ResultOnCancel", ["a", "b"])); await sleep(50); await c.say(cancel("1")); await sleep(80); });
    await scenario("long polling", async (r) => { const c = await lp(r, "", { path: "/hub" }); await c.say(call("ResultOnCancel", ["a", "b"])); const p = await poll(r, c); await sleep(50); await c.say(cancel("1")); await p.response(); });
    await scenario("stateful: the cancellation counts as a message", async (r) => { const c = await ws(r, "", { path: "/hub", query: "&useStatefulReconnect=true", hub: 2 }); c.say(call("ResultOnCancel", ["a", "b"]), cancel("1"), cancel("unknown")); await sleep(1500); });
});

const groups = await stage.play();
finish(JSON.stringify({ about: "events are [socket, direction, bytes as latin1 text, milliseconds since the start, note]; see README.md", groups }).replaceAll('{"name"', '\n{"name"'));
