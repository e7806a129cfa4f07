// The library's connection without a hub carries text; the node sends it back as it comes, in pieces of any size.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { it } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";
const require = createRequire(process.cwd() + "/");

/** An open connection to the node's raw endpoint. `next` waits for so many characters more and returns them. */
async function open(mode) {
    const { HttpConnection } = require(`signalr${mode.generation}/dist/cjs/HttpConnection`);
    const { HttpTransportType, LogLevel, TransferFormat } = mode.signalR;
    const n = await node();
    const c = new HttpConnection(`${n.url}/echo`, { transport: HttpTransportType[mode.transport], skipNegotiation: mode.skipNegotiation, logger: LogLevel.None });
    let got = "", over = false, wake = () => {};
    c.onreceive = (text) => { got += text; wake(); };
    c.closed = new Promise((ok) => { c.onclose = (e) => { over = true; wake(); ok(e?.message); }; });
    c.next = async (count) => {
        while (got.length < count) {
            if (over) throw new Error(`the connection has ended after ${got.length} of ${count} characters`);
            await new Promise((ok) => { wake = ok; });
        }
        const text = got.slice(0, count);
        got = got.slice(count);
        return text;
    };
    await c.start(TransferFormat.Text);
    return c;
}

forEachMode((mode) => {
    it("text of any size", async () => {
        const c = await open(mode);
        for (const text of ["a", "grüße \"<&>' \u{1F680}", "x\ny", "x".repeat(65536), "0123456789".repeat(20000)]) {
            const sent = c.send(text);
            assert.equal(await c.next(text.length), text);
            await sent;
        }
        await c.stop();
        assert.equal(await c.closed, undefined);
    });
    it("many sends, in their order", async () => {
        const c = await open(mode), texts = Array.from({ length: 100 }, (_, i) => `${i};`);
        const all = texts.join(""), sent = texts.map((text) => c.send(text));
        assert.equal(await c.next(all.length), all);
        await Promise.all(sent);
        await c.stop();
        assert.equal(await c.closed, undefined);
    });
    it("two connections have nothing in common", async () => {
        const [a, b] = await Promise.all([open(mode), open(mode)]);
        for (let i = 0; i < 10; i++) {
            await Promise.all([a.send(`a${i}`), b.send(`b${i}`)]);
            assert.deepEqual(await Promise.all([a.next(2), b.next(2)]), [`a${i}`, `b${i}`]);
        }
        await a.stop();
        await b.send("still here");
        assert.equal(await b.next(10), "still here");
        await b.stop();
    });
}, (m) => !m.messagePack);
