// Who is silent for too long is left.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect, it, settled, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { ended, node } from "./lib/node.mjs";
import { Proxy } from "./lib/proxy.mjs";
const WebSocket = createRequire(process.cwd() + "/")("ws");

const RS = "\x1e";

forEachMode((mode) => {
    it("pings of both sides keep an idle connection", async () => {
        const n = await node("--keepalive-ms", "1000", "--client-timeout-ms", "7000");
        const c = await connect(mode, n.url, { keepAlive: 500, serverTimeout: 7000 });
        await sleep(9000);
        assert.deepEqual(c.events, []);
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    if (mode.transport === "LongPolling") return; // neither side pings: the polls are enough
    it("a server that is silent is left", async () => {
        const n = await node("--keepalive-ms", "60000");
        const c = await connect(mode, n.url, { serverTimeout: 3000 });
        assert.equal((await c.closed)?.message, "Server timeout elapsed without receiving a message from the server.");
    });
    it("a client that has pinged and is silent is closed", async () => {
        const n = await node("--keepalive-ms", "1000", "--client-timeout-ms", "2500"), proxy = await Proxy.to(n.url);
        const c = await connect(mode, proxy.url, { keepAlive: 300 }), id = await c.invoke("ConnectionId");
        await proxy.heard(); // a ping,
        await settled(); // all of it
        proxy.hold(); // what it says does not arrive any more
        assert.equal(await ended(n, id), "OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.");
        await proxy.close();
        await c.closed;
    });
}, (mode) => mode.generation === 10 && !mode.skipNegotiation);

it("who does not shake hands is told so, and closed", async () => {
    const n = await node("--handshake-timeout-ms", "1500"), ws = new WebSocket(n.url.replace("http", "ws") + "/hub"), got = [];
    ws.on("message", (data) => got.push(data.toString()));
    assert.equal(await new Promise((ok) => ws.on("close", ok)), 1000);
    assert.deepEqual(got, [`{"error":"Handshake was canceled."}${RS}`]);
});
