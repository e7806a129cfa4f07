// Client results: the server asks a client and waits for its answer.
import assert from "node:assert/strict";
import { connect, it, rejects, sleep } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

const handlers = {
    Ask: (q) => `answer to ${q}`,
    AskLater: async (q) => { await sleep(30); return `late answer to ${q}`; },
    AskInt: () => 42,
    AskFails: () => { throw new Error("client says no"); },
    AskFailsLater: async () => { await sleep(5); throw new Error("client says no, later"); },
    AskNull: () => null,
    AskText: () => "not a number",
    AskNothing: () => {},
};
const failed = (method) => `An unexpected error occurred invoking '${method}' on the server.`;

forEachMode((mode) => {
    const start = async (options) => connect(mode, (await node()).url, { on: handlers, ...options });
    const ids = (...clients) => Promise.all(clients.map((c) => c.invoke("ConnectionId")));

    it("a client answers its own question", async () => {
        const c = await start(), [id] = await ids(c);
        assert.equal(await c.invoke("Ask", id, "Ask", "q"), "answer to q");
        assert.equal(await c.invoke("Ask", id, "AskLater", "q"), "late answer to q");
        assert.equal(await c.invoke("AskInt", id, "AskInt"), 42);
        assert.equal(await c.invoke("Ask", id, "AskNull", "q"), null);
    });
    it("a client answers another client's question", async () => {
        const [a, b] = [await start(), await start({ on: { Ask: (q) => `b says ${q}` } })], [, id] = await ids(a, b);
        assert.equal(await a.invoke("Ask", id, "Ask", "q"), "b says q");
    });
    it("an error of the handler reaches the one who asks", async () => {
        const c = await start(), [id] = await ids(c);
        await rejects(c.invoke("Ask", id, "AskFails", "q"), `${failed("Ask")} HubException: Error: client says no`);
        await rejects(c.invoke("Ask", id, "AskFailsLater", "q"), `${failed("Ask")} HubException: Error: client says no, later`);
    });
    it("a client without a handler, or whose handler returns nothing, gives no result", async () => {
        const c = await start(), [id] = await ids(c);
        await rejects(c.invoke("Ask", id, "NoHandler", "q"), `${failed("Ask")} HubException: Client didn't provide a result.`);
        await rejects(c.invoke("Ask", id, "AskNothing", "q"), `${failed("Ask")} HubException: Client didn't provide a result.`);
    });
    it("an answer of the wrong type", async () => {
        const c = await start(), [id] = await ids(c);
        for (const method of ["AskText", "AskNull"]) {
            const e = await c.invoke("AskInt", id, method).catch((e) => e);
            assert.ok(e.message.startsWith(`${failed("AskInt")} HubException: Error trying to deserialize result to Int32. `), e.message); // what follows are the parser's words
        }
        assert.equal(await c.invoke("AskInt", id, "AskInt"), 42);
    });
    it("fifty questions at once, each gets its own answer", async () => {
        const [a, b] = [await start(), await start()], [, id] = await ids(a, b), n = Array.from({ length: 50 }, (_, i) => i);
        assert.deepEqual(await Promise.all(n.map((i) => a.invoke("Ask", id, i % 2 ? "Ask" : "AskLater", `q${i}`))), n.map((i) => `${i % 2 ? "" : "late "}answer to q${i}`));
    });
    it("the asked client goes away", async () => {
        let heard;
        const waiting = new Promise((ok) => { heard = ok; });
        const [a, b] = [await start(), await start({ on: { Ask: () => { heard(); return new Promise(() => {}); } } })], [, id] = await ids(a, b);
        const asked = a.invoke("Ask", id, "Ask", "q").catch((e) => e);
        await waiting;
        await b.stop();
        assert.equal((await asked).message, failed("Ask"));
    });
    it("asked from outside of any call", async () => {
        const c = await start(), [id] = await ids(c), { url } = await node();
        const ask = async (id, method, timeout = 60000) => { const r = await fetch(`${url}/api/ask/${id}/${method}?timeout=${timeout}`, { method: "POST" }); return [r.status, await r.text()]; };
        assert.deepEqual(await ask(id, "Ask"), [200, "answer to question"]);
        assert.deepEqual(await ask(id, "AskFails"), [409, "HubException: Error: client says no"]);
        assert.deepEqual(await ask("nobody", "Ask"), [409, "IOException: Connection 'nobody' does not exist."]);
        assert.deepEqual(await ask(id, "NoHandler"), [409, "HubException: Client didn't provide a result."]);
    });
    it("asked from outside, given up, answered late", async () => {
        let answer;
        const late = new Promise((ok) => { answer = ok; });
        const c = await start({ on: { Ask: () => late } }), [id] = await ids(c), { url } = await node();
        const r = await fetch(`${url}/api/ask/${id}/Ask?timeout=50`, { method: "POST" });
        assert.equal(r.status, 409);
        answer("late");
        await sleep(50); // the client sends it
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
}, undefined, "client results");
