// Streams from the server: items, ends, cancellation.
import assert from "node:assert/strict";
import { connect, it, items, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

forEachMode((mode) => {
    const start = async () => connect(mode, (await node()).url);
    const numbers = (n) => Array.from({ length: n }, (_, i) => i);

    it("a stream has its items in order, then an end", async () => {
        const c = await start();
        assert.deepEqual(await items(c, ["Counter", 5, 0]), [0, 1, 2, 3, 4]);
        assert.deepEqual(await items(c, ["Letters", 3]), ["a", "b", "c"]);
        assert.deepEqual(await items(c, ["counter", 2, 10]), [0, 1]);
    });
    it("an empty stream only ends", async () => {
        assert.deepEqual(await items(await start(), ["Counter", 0, 0]), []);
    });
    it("a stream of 5,000 items loses none", async () => {
        assert.deepEqual(await items(await start(), ["Counter", 5000, 0]), numbers(5000));
    });
    it("the items before an error arrive", async () => {
        const c = await start(), got = [];
        const error = await new Promise((ok) => c.stream("CounterThenThrow", 3, "x").subscribe({ next: (x) => got.push(x), error: ok, complete: () => ok(null) }));
        assert.equal(error.message, "An error occurred on the server while streaming results.");
        assert.deepEqual(got, [0, 1, 2]);
    });
    it("streams run side by side, each in its order", async () => {
        const c = await start();
        const all = await Promise.all(numbers(20).map((i) => items(c, ["Counter", 10 + i, i % 3])));
        assert.deepEqual(all, numbers(20).map((i) => numbers(10 + i)));
    });
    it("calls do not wait for a stream", async () => {
        const c = await start();
        let item, over;
        const next = () => new Promise((ok) => { item = ok; });
        // Of 8 hours: a call that waits for its end is not answered.
        const runs = next(), s = c.stream("Counter", 1e6, 30).subscribe({ next: () => item(), error: (e) => { over = e; }, complete: () => { over = "complete"; } });
        await runs;
        assert.equal(await c.invoke("Echo", "x"), "x");
        await next(); // it still runs
        assert.equal(over, undefined);
        if (!mode.messagePack || !mode.lacks("MessagePack streams that can be cancelled")) s.dispose();
    });
    it("a cancelled stream sends no more, and others go on", async () => {
        const c = await start(), seen = [];
        const other = items(c, ["Counter", 12, 20]);
        const s = c.stream("Counter", 1000, 10).subscribe({ next: (x) => seen.push(x), error: assert.fail, complete: assert.fail });
        while (seen.length < 3) await sleep(5);
        s.dispose();
        const then = seen.length;
        assert.deepEqual(await other, numbers(12));
        assert.deepEqual(seen, numbers(then));
    }, { skip: mode.messagePack && mode.lacks("MessagePack streams that can be cancelled") });
    it("a stream that is cancelled at once, a hundred times", async () => {
        const c = await start();
        for (let i = 0; i < 100; i++) c.stream("Counter", 100000, 1).subscribe({ next() {}, error() {}, complete() {} }).dispose();
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    }, { skip: mode.messagePack && mode.lacks("MessagePack streams that can be cancelled") });
    it("two subscribers of one stream get the same items", async () => {
        const c = await start(), [a, b] = [[], []], s = c.stream("Counter", 20, 5);
        await Promise.all([a, b].map((got) => new Promise((ok, fail) => s.subscribe({ next: (x) => got.push(x), complete: ok, error: fail }))));
        assert.deepEqual(a, numbers(20));
        assert.deepEqual(b, numbers(20));
    });
    it("big items arrive whole", async () => {
        const c = await start(), text = "ü".repeat(10000), s = new mode.signalR.Subject();
        const echoed = items(c, ["EchoStream", s]);
        for (let i = 0; i < 5; i++) s.next(text + i);
        s.complete();
        assert.deepEqual(await echoed, numbers(5).map((i) => text + i));
    }, { skip: mode.lacks("uploads") });
});
