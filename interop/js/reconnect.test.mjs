// What clients do when the network or the server goes away, and that the server lets them come back.
import assert from "node:assert/strict";
import { connect, it, items, received, sleep } from "./lib/client.mjs";
import { forEachMode, modes } from "./lib/modes.mjs";
import { ended, Node, node } from "./lib/node.mjs";
import { Proxy } from "./lib/proxy.mjs";

/** What a client over WebSockets says of a connection that broke. */
const broken = "WebSocket closed with status code: 1006 (no reason given).";
const socketOnly = (mode) => mode.transport === "WebSockets";

forEachMode((mode) => {
    it("an automatic reconnect after a cut gives a new connection that works", async () => {
        const n = await node("--client-timeout-ms", "3000", "--disconnect-timeout-ms", "3000"), proxy = await Proxy.to(n.url);
        const c = await connect(mode, proxy.url, { reconnect: [0, 50, 200, 1000, 2000, 2000] }), id = await c.invoke("ConnectionId");
        await c.invoke("Join", `before ${id}`);
        proxy.cut();
        const fresh = await c.reconnected, now = await c.invoke("ConnectionId");
        assert.notEqual(now, id);
        assert.equal(fresh, mode.skipNegotiation ? undefined : now);
        assert.deepEqual(c.events.map(([name]) => name), ["onreconnecting", "onreconnected"]);
        if (socketOnly(mode)) assert.equal(c.events[0][1], broken);
        await c.invoke("SendGroup", `before ${id}`, "M", "x"); // groups are of a connection
        assert.deepEqual(await received(c), [[]]);
        await c.stop();
        await proxy.close();
    });
    it("without automatic reconnect a cut closes the client with an error", async () => {
        const n = await node("--client-timeout-ms", "3000", "--disconnect-timeout-ms", "3000"), proxy = await Proxy.to(n.url);
        const c = await connect(mode, proxy.url);
        proxy.cut();
        if (mode.transport === "LongPolling") await c.invoke("Echo", "x").catch(() => {}); // a cut POST is what it sees
        const why = await c.closed;
        if (mode.transport !== "ServerSentEvents") assert.ok(why instanceof Error); // the end of a response is no error there
        if (socketOnly(mode)) assert.equal(why.message, broken);
        assert.equal(c.events.length, 1);
        await proxy.close();
    });
    it("the server tells of its end, and another node at its address takes the clients", async () => {
        // A proxy keeps the address: the port of a node that has ended is anybody's. The client tries until there is a node.
        const [first, second] = [await Node.start(), await Node.start()], proxy = await Proxy.to(first.url);
        const c = await connect(mode, proxy.url, { reconnect: { nextRetryDelayInMilliseconds: () => 100 } });
        await c.invoke("Echo", "x");
        await first.stop();
        proxy.lead(second.url);
        await c.reconnected;
        assert.equal(await c.invoke("Echo", "again"), "again");
        await c.stop();
        await proxy.close();
        await second.stop();
    });
}, (mode) => mode.generation === 10 || socketOnly(mode));

// Stateful reconnect is for WebSockets and for clients of version 8 and later.
for (const mode of modes.filter((m) => socketOnly(m) && !m.skipNegotiation)) {
    it(`${mode.name}: a stateful reconnect goes on with the same connection, without a loss`, async () => {
        const n = await node(), proxy = await Proxy.to(n.url), count = 300;
        const b = new mode.signalR.HubConnectionBuilder().withUrl(`${proxy.url}/hub`, { transport: mode.signalR.HttpTransportType.WebSockets })
            .withHubProtocol(mode.codec()).configureLogging(mode.signalR.LogLevel.None).withStatefulReconnect();
        const c = b.build(), got = [], closed = [];
        c.on("M", (x) => { got.push(x); });
        c.onclose((e) => closed.push(e?.message));
        await c.start();
        const id = await c.invoke("ConnectionId"), results = [], stream = items(c, ["Counter", 200, 5]);
        for (let i = 0; i < count; i++) {
            results.push(c.invoke("Echo", `echo ${i}`));
            await c.send("SendCaller", "M", `message ${i}`);
            if (i % 100 !== 50) continue;
            await results[i - 20]; // the reconnect after the previous cut is done: the client gives up if the reconnect itself is cut
            proxy.cut();
            await sleep(30);
        }
        assert.deepEqual(await Promise.all(results), Array.from({ length: count }, (_, i) => `echo ${i}`));
        assert.deepEqual(await stream, Array.from({ length: 200 }, (_, i) => i));
        assert.equal(await c.invoke("ConnectionId"), id);
        assert.deepEqual(got, Array.from({ length: count }, (_, i) => `message ${i}`));
        await c.stop();
        assert.deepEqual(closed, [undefined]);
        assert.equal(await ended(n, id), "null");
        await proxy.close();
    });
}
