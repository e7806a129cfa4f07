// A client may stop at any moment: what waits ends, the server notices, and nothing is left.
import assert from "node:assert/strict";
import { client, connect, it, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { ended, node } from "./lib/node.mjs";

forEachMode((mode) => {
    const start = async (options) => { const n = await node(), c = await connect(mode, n.url, options); return { n, c, id: await c.invoke("ConnectionId") }; };

    // What was sent before is with the server then: without WebSockets each is a request, and one that comes after the stop fails.
    const sent = (c) => c.send("Add", 1, 2);

    it("stop during start", async () => {
        const n = await node();
        for (const after of [0, 1, 3, 10]) {
            const c = client(mode, n.url), started = c.start().then(() => "started", (e) => e.message);
            await sleep(after);
            await c.stop();
            assert.equal(typeof await started, "string");
            // A race of the client's own: its start may win, and then thinks of a connection that has ended already.
            if (c.state !== "Disconnected") await c.stop();
            if (c.state !== "Disconnected") assert.equal(c.connection._connectionState, "Disconnected", `beneath a client that is ${c.state}`);
        }
    });
    it("stop during a call", async () => {
        const { n, c, id } = await start(), call = c.invoke("Slow", "x", 2000).catch((e) => e.message);
        await sent(c);
        await sleep(50);
        await c.stop();
        assert.equal(await call, mode.closedText);
        assert.equal(await ended(n, id), "null");
        assert.deepEqual(c.events, [["onclose", undefined]]);
    });
    it("stop during a stream", async () => {
        const { n, c, id } = await start(), got = [];
        const over = new Promise((ok) => { c.stream("Counter", 100000, 1).subscribe({ next: (x) => got.push(x), complete: () => ok("complete"), error: (e) => ok(e.message) }); });
        await sent(c);
        await sleep(100);
        await c.stop();
        assert.equal(await over, mode.closedText);
        assert.deepEqual(got, got.map((_, i) => i));
        assert.equal(await ended(n, id), "null");
    });
    it("stop during an upload", async () => {
        const { n, c, id } = await start(), s = new mode.signalR.Subject(), call = c.invoke("Concat", s).catch((e) => e.message);
        await sent(c); // items wait in the client until the call has been sent
        s.next("a");
        await sleep(20); // and are sent a moment later
        await sent(c);
        await c.stop();
        assert.equal(await call, mode.closedText);
        assert.equal(await ended(n, id), "null");
    });
    it("stop while the server waits for this client's answer", async () => {
        let asked;
        const waiting = new Promise((ok) => { asked = ok; });
        const { n, c, id } = await start({ on: { Never: () => { asked(); return new Promise(() => {}); } } });
        const other = await connect(mode, n.url), answer = other.invoke("Ask", id, "Never", "q").catch((e) => e.message);
        await waiting;
        await c.stop();
        assert.equal(await answer, "An unexpected error occurred invoking 'Ask' on the server.");
        assert.equal(await ended(n, id), "null");
    });
    it("stop twice, and stop what was never started", async () => {
        const { c } = await start();
        await Promise.all([c.stop(), c.stop()]);
        await c.stop();
        await client(mode, "http://127.0.0.1:1").stop();
        assert.equal(c.events.length, 1);
    });
});
