// Streams from the client.
import assert from "node:assert/strict";
import { begun, connect, it, items, rejects, settled, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

forEachMode((mode) => {
    const start = async (...args) => connect(mode, (await node(...args)).url);
    /** A stream that gives these items, then ends; an Error among them ends it as that error. */
    const subject = (...list) => {
        const s = new mode.signalR.Subject();
        begun((async () => { // not before the library has subscribed
            await sleep(5);
            for (const x of list) { if (x instanceof Error) { s.error(x); return; } s.next(x); }
            s.complete();
        })());
        return s;
    };
    const numbers = Array.from({ length: mode.transport === "WebSockets" ? 2000 : 200 }, (_, i) => i); // elsewhere each item is a POST

    it("a method reads the items of a stream to its end", async () => {
        const c = await start();
        assert.equal(await c.invoke("Concat", subject("a", "b", "c")), "abc");
        assert.equal(await c.invoke("Sum", subject(1, 2, 3)), 6);
        assert.equal(await c.invoke("Concat", subject()), "");
        assert.equal(await c.invoke("Concat", subject("grüße ", "\u{1F680}")), "grüße \u{1F680}");
    });
    it("two streams and an argument between them", async () => {
        assert.equal(await (await start()).invoke("Zip", subject("a", "b"), "-", subject("1", "2")), "a-1,b-2");
    });
    it("many items arrive in order, none lost", async () => {
        const c = await start();
        assert.equal(await c.invoke("Sum", subject(...numbers)), numbers.reduce((a, b) => a + b));
        assert.equal(await c.invoke("Concat", subject(...numbers.map(String))), numbers.join(""));
    });
    it("uploads run side by side", async () => {
        const c = await start();
        // One call at a time, so that each upload waits its turn, and its items with it.
        assert.deepEqual(await Promise.all([c.invoke("Sum", subject(1, 2)), c.invoke("Sum", subject(3, 4)), c.invoke("Concat", subject("x"))]), [3, 7, "x"]);
    });
    it("an error of the client's stream reaches the method", async () => {
        assert.equal(await (await start()).invoke("Failure", subject(1, new Error("upload failed"))), "HubException: upload failed");
    });
    it("a method that does not catch the error of the stream fails with it", async () => {
        await rejects((await start()).invoke("Sum", subject(1, new Error("upload failed"))), "An unexpected error occurred invoking 'Sum' on the server. HubException: upload failed");
    });
    it("an item of the wrong type ends the stream, not the connection", async () => {
        const c = await start();
        assert.equal(await c.invoke("Failure", subject(1, "not a number", 2)), "HubException: Failed to bind Stream message.");
        await settled();
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    it("a method may return before the stream has ended", async () => {
        const c = await start(), s = new mode.signalR.Subject(), read = c.invoke("ReadOne", s, 0);
        await sleep(5);
        s.next(7);
        assert.equal(await read, "read 7");
        s.next(8); s.next(9); s.complete();
        await settled();
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    it("more streams than the method takes", async () => {
        await rejects((await start()).invoke("Sum", subject(1), 2, subject(3)), "Failed to invoke 'Sum' due to an error on the server.");
        await settled();
    });
    it("a send with a stream is not answered", async () => {
        const c = await start();
        await c.send("Concat", subject("x", "y"));
        await settled();
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    it("a stream in answer to a stream", async () => {
        const c = await start();
        assert.deepEqual(await items(c, ["EchoStream", subject("a", "b", "c")]), ["a", "b", "c"]);
        const s = new mode.signalR.Subject(), got = [];
        const done = new Promise((ok, fail) => c.stream("EchoStream", s).subscribe({ next(x) { got.push(x); if (got.length < 20) s.next(`${got.length}`); else s.complete(); }, complete: ok, error: fail }));
        await sleep(5);
        s.next("0");
        await done;
        assert.deepEqual(got, Array.from({ length: 20 }, (_, i) => `${i}`));
    });
    it("an error of the client's stream ends the stream in answer", async () => {
        const c = await start();
        await rejects(items(c, ["EchoStream", subject("a", new Error("upload failed"))]), "An error occurred on the server while streaming results. HubException: upload failed");
    });
}, undefined, "uploads");
