// Plays with official clients what the argument says, a JSON list, some side by side, and prints a JSON list with what
// went wrong in each play, or "". A play: {"near": url, "far": url, "transport": ..., "protocol": ..., "skipNegotiation": ..., "cut": ...}.
// Two clients, one at each URL, call, stream, upload, and send to each other's group, user and handlers. With cut the near one
// has stateful reconnect, and loses its socket once.
// Run from a folder whose node_modules are those of ../js.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const signalR = require("signalr10"), { MessagePackHubProtocol } = require("msgpack10");

const patience = 90_000, sideBySide = 6; // more would be slow together on a slow machine, and servers do not wait for ever

/** The promise, or an error that says what did not happen. */
function soon(what, promise) {
    let timer;
    const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`not after ${patience} ms: ${what}`)), patience); });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A client with `heard(text)`: resolved when its method M is called with that, or the one for sends to all of this play. */
function client(url, user, all, { transport, protocol, skipNegotiation, cut }) {
    const b = new signalR.HubConnectionBuilder()
        .withUrl(`${url}/hub?user=${user}`, { transport: signalR.HttpTransportType[transport], skipNegotiation })
        .withHubProtocol(protocol === "messagepack" ? new MessagePackHubProtocol() : new signalR.JsonHubProtocol())
        .configureLogging(signalR.LogLevel.None);
    if (cut) b.withStatefulReconnect();
    const c = b.build(), texts = new Map();
    const text = (t) => { if (!texts.has(t)) texts.set(t, deferred()); return texts.get(t); };
    for (const method of ["M", all]) c.on(method, (t) => text(t).resolve());
    c.on("Ask", (question) => `${user} answers ${question}`);
    c.heard = (t) => soon(`${user} hears ${t}`, text(t).promise);
    return c;
}

const deferred = () => { const d = {}; d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject })); return d; };

const items = (c, ...call) => new Promise((ok, fail) => {
    const got = [];
    c.stream(...call).subscribe({ next: (x) => got.push(x), complete: () => ok(got), error: fail });
});

async function play(one, n) {
    const names = [`near${n}-${process.pid}`, `far${n}-${process.pid}`], all = `All of ${names}`; // there are other clients
    const near = client(one.near, names[0], all, one), far = client(one.far ?? one.near, names[1], all, { ...one, cut: false });
    try {
        await soon("the start", Promise.all([near.start(), far.start()]));
        const ids = [await near.invoke("ConnectionId"), await far.invoke("ConnectionId")];
        if (one.cut) {
            near.connection.transport._webSocket.terminate();
            assert.equal(await soon("a call after the loss", near.invoke("ConnectionId")), ids[0]);
        }
        for (const text of ["grüße", "x".repeat(20000)]) assert.equal(await near.invoke("Echo", text), text);
        assert.deepEqual(await items(near, "Counter", 500, 0), Array.from({ length: 500 }, (_, i) => i));
        const upload = new signalR.Subject(), concat = near.invoke("Concat", upload);
        for (const x of ["a", "b", "c"]) upload.next(x);
        upload.complete();
        assert.equal(await concat, "abc");
        for (const [from, to, id, user] of [[near, far, ids[1], names[1]], [far, near, ids[0], names[0]]]) {
            await to.invoke("Join", `group of ${user}`);
            await from.invoke("SendGroup", `group of ${user}`, "M", "to a group");
            await to.heard("to a group");
            await from.invoke("SendUser", user, "M", "to a user");
            await to.heard("to a user");
            await from.invoke("SendAll", all, `to all and ${user}`);
            await to.heard(`to all and ${user}`);
            assert.equal(await from.invoke("Ask", id, "Ask", "what"), `${user} answers what`);
        }
        await Promise.all([near.stop(), far.stop()]);
        return "";
    } catch (e) {
        await Promise.allSettled([near.stop(), far.stop()]);
        return e.message || String(e);
    }
}

process.on("unhandledRejection", () => {}); // sends of a stopped client: what matters is in the results
const plays = JSON.parse(process.argv[2]), errors = [], left = plays.entries();
await Promise.all(Array.from({ length: sideBySide }, async () => { for (const [n, one] of left) errors[n] = await play(one, n); }));
console.log(JSON.stringify(errors));
process.exit(0);
