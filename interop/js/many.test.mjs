// Big messages and many of them, in order.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect, it, items } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";
const WebSocket = createRequire(process.cwd() + "/")("ws");

const RS = "\x1e", numbers = (n) => Array.from({ length: n }, (_, i) => i);

forEachMode((mode) => {
    const start = async (options) => connect(mode, (await node()).url, options);
    const often = mode.transport === "WebSockets" ? 1000 : 200; // elsewhere each call is a POST

    it("a thousand calls that nobody awaits are answered, each its own answer", async () => {
        const c = await start();
        const results = await Promise.all(numbers(often).map((i) => c.invoke("Echo", `call ${i}`)));
        assert.deepEqual(results, numbers(often).map((i) => `call ${i}`));
    });
    it("ten thousand messages come in order", async () => {
        const c = await start();
        let next = 0, wrong;
        c.on("Numbered", (text) => { if (text !== `n ${next}`) wrong ??= [text, next]; next++; });
        await Promise.all(numbers(10000).map((i) => c.send("SendCaller", "Numbered", `n ${i}`)));
        await c.invoke("Echo", "all are here");
        assert.deepEqual([next, wrong], [10000, undefined]);
    });
    it("ten thousand items of a stream come in order", async () => {
        const c = await start();
        assert.deepEqual(await items(c, ["Counter", 10000, 0]), numbers(10000));
    });
    it("a big result and a message of just the limit", async () => {
        const c = await start();
        assert.equal((await c.invoke("Text", 1_000_000)).length, 1_000_000);
        const most = 32768 - 200;
        assert.equal((await c.invoke("Echo", "x".repeat(most))).length, most);
    });
    it("a message over the limit closes the connection", async () => {
        const c = await start();
        await assert.rejects(c.invoke("Echo", "x".repeat(33000)));
        await c.closed;
        assert.deepEqual(c.events.length, 1);
    });
});

it("a thousand calls in one WebSocket frame are answered in order", async () => {
    const { url } = await node("--max-message", "10000000"), ws = new WebSocket(url.replace("http", "ws") + "/hub"), records = [];
    await new Promise((ok, fail) => { ws.on("open", ok); ws.on("error", fail); });
    const all = new Promise((ok) => ws.on("message", (data) => {
        for (const r of data.toString().split(RS)) if (r && r !== "{}") records.push(JSON.parse(r));
        if (records.filter((r) => r.type === 3).length === 1000) ok();
    }));
    ws.send(`{"protocol":"json","version":1}${RS}` + numbers(1000).map((i) => `{"type":1,"invocationId":"${i}","target":"Add","arguments":[${i},1]}${RS}`).join(""));
    await all;
    assert.deepEqual(records.filter((r) => r.type === 3), numbers(1000).map((i) => ({ type: 3, invocationId: String(i), result: i + 1 })));
    ws.close();
});
