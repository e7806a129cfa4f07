// Calls and their results.
import assert from "node:assert/strict";
import { client, connect, it, received, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

const texts = ["", "hello", "grüße \"<&>' \\ / \u{1F680}", "\u0000\u0001\t\r\n\u001f\u007f", "\u2028\u2029\ufeff", "שלום", "e\u0301 é", "漢字".repeat(500), "\u{10ffff}"];

forEachMode((mode) => {
    const start = async (options) => connect(mode, (await node()).url, options);

    it("a call returns what the method returns", async () => {
        const c = await start();
        assert.equal(await c.invoke("Add", 1, 2), 3);
        assert.equal(await c.invoke("AddLong", -1, 4294967296), 4294967295);
        assert.equal(await c.invoke("EchoByte", 255), 255);
        assert.equal(await c.invoke("EchoDouble", 0.1), 0.1);
        assert.equal(await c.invoke("EchoDouble", 2), 2);
        assert.deepEqual(await c.invoke("EchoBytes", mode.bytes([0, 1, 127, 128, 255])), mode.bytes([0, 1, 127, 128, 255]));
        assert.equal(await c.invoke("Transport"), mode.transport);
        assert.equal(await c.invoke("Text", 10), "xxxxxxxxxx");
    });
    it("an enum is a number in JSON, a name in MessagePack", async () => {
        const c = await start(), blue = mode.messagePack ? "Blue" : 2;
        assert.equal(await c.invoke("EchoColor", blue), blue);
    });
    it("a call of a method without a result returns null, and so does null", async () => {
        const c = await start();
        assert.equal(await c.invoke("Nothing"), null);
        assert.equal(await c.invoke("NullResult"), null);
    });
    it("names of methods match without regard to case", async () => {
        const c = await start();
        for (const name of ["Echo", "echo", "ECHO"]) assert.equal(await c.invoke(name, name), name);
        for (const name of ["renamed", "RENAMED"]) assert.equal(await c.invoke(name), "renamed");
    });
    it("text comes back as it went", async () => {
        const c = await start();
        for (const text of texts) assert.equal(await c.invoke("Echo", text), text);
    });
    it("a send is not answered, and its errors are nobody's", async () => {
        const c = await start();
        await c.send("SendCaller", "M", "sent");
        await c.send("NoSuchMethod");
        await c.send("Throw", "unseen");
        await c.send("Add", "one", "two");
        assert.deepEqual(await received(c), [[["sent"]]]);
    });
    it("the calls of one client run one after the other", async () => {
        const c = await start(), order = [];
        const call = async (method, ...args) => { const r = await c.invoke(method, ...args); order.push(r); };
        await Promise.all([call("Slow", "first", 100), call("Slow", "second", 10), call("Echo", "third")]);
        assert.deepEqual(order, ["first", "second", "third"]);
    }, { skip: mode.transport !== "WebSockets" && mode.lacks("POSTs in the order of the calls") });
    it("the calls of two clients do not wait for each other", async () => {
        const [a, b] = [await start(), await start()];
        const slow = a.invoke("Slow", "slow", 600000).catch((e) => e.message);
        assert.equal(await b.invoke("Echo", "quick"), "quick");
        await a.stop();
        assert.equal(await slow, mode.closedText);
    });
    it("the client knows its connection's id, unless it did not negotiate", async () => {
        const c = await start(), id = await c.invoke("ConnectionId");
        assert.match(id, /^[\w-]{22}$/);
        assert.equal(c.connectionId, mode.skipNegotiation ? null : id);
    }, { skip: mode.lacks("the connection's id") });
    it("two connections have two ids", async () => {
        const [a, b] = await Promise.all([start(), start()]);
        assert.notEqual(await a.invoke("ConnectionId"), await b.invoke("ConnectionId"));
    });
    it("a client can be stopped and started again, as another connection", async () => {
        const c = client(mode, (await node()).url), ids = new Set();
        for (let i = 0; i < 3; i++) { await c.start(); ids.add(await c.invoke("ConnectionId")); await c.stop(); }
        assert.equal(ids.size, 3);
    });
    it("a handler that throws does not disturb the connection", async () => {
        const c = await start({ on: { Throws() { throw new Error("in the handler"); } } });
        await c.invoke("SendCaller", "Throws", "x");
        await c.invoke("SendCaller", "NoHandler", "x");
        await sleep(50);
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    }, { skip: mode.lacks("handlers that may throw") });
});
