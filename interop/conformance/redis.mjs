// Records what two real ASP.NET Core nodes put on Redis for every operation.
//   REFERENCE_DLL=.../reference.dll node redis.mjs REDIS_PORT [TIMES] > redis.json     (redis-server running on that port)
// It waits fixed times for what Redis and clients see, TIMES as long on a slow machine.
// NODE_COMMAND records another program in place of the reference node, NODE_COMMAND_B another one as node B: a mixed cluster.
// Run from a folder whose node_modules has @microsoft/signalr and @microsoft/signalr-protocol-msgpack.
import { node, client, watchRedis, sleep, finish } from "./lib.mjs";
const port = Number(process.argv[2]), times = Number(process.argv[3] ?? 1);
const settle = (ms) => sleep(ms * times);

/** Plays every operation with a watcher w of Redis. What was done is in `run`, the nodes that were started in `nodes`. */
async function play({ prefix, ids, steps }, w, nodes) {
    const args = ["--redis", `127.0.0.1:${port}`, ...(prefix ? ["--prefix", prefix] : [])];
    let m0 = 0, c0 = 0;
    const step = async (name, f) => {
        process.stderr.write(name + "\n");
        m0 = w.messages.length; c0 = w.commands.length;
        let result, error;
        try { result = await f(); } catch (e) { error = e.message; }
        await settle(150);
        steps.push({ step: name, ...(result !== undefined && { result }), ...(error && { error }), commands: w.commands.slice(c0), messages: w.messages.slice(m0) });
    };
    let a, b, c1, c2, c3, received;
    await step("node A starts", async () => { nodes.push(a = await node(args)); });
    await step("node B starts", async () => { nodes.push(b = await node(args, process.env.NODE_COMMAND_B)); });
    const answers = { Ask: (q) => `answer to ${q}`, AskInt: () => 42, AskFails: () => { throw new Error("client says no"); }, AskNull: () => null, AskLate: () => sleep(600).then(() => "late") };
    await step("c1 (json, user alice) connects to A", async () => { c1 = await client(a.url, { user: "alice", on: answers }); return c1.connectionId; });
    await step("c2 (messagepack, user bob) connects to B", async () => { c2 = await client(b.url, { protocol: "messagepack", user: "bob", on: answers }); return c2.connectionId; });
    await step("c3 (json, user alice) connects to B", async () => { c3 = await client(b.url, { user: "alice", on: answers }); return c3.connectionId; });
    const id = Object.assign(ids, { c1: c1.connectionId, c2: c2.connectionId, c3: c3.connectionId });
    const call = (name, c, method, ...args) => step(name, async () => {
        for (const x of [c1, c2, c3]) x.received.length = 0;
        const r = await c.invoke(method, ...args); await settle(100);
        return { returned: r, received: { c1: [...c1.received], c2: [...c2.received], c3: [...c3.received] } };
    });
    await call("c1: All", c1, "SendAll", "M", "hello");
    await call("c2 (messagepack): All", c2, "SendAll", "M", "hello");
    await call("c1: All with an object, 42 and null", c1, "SendSampleToAll", "M");
    await call("c1: All with non-ASCII text", c1, "SendAll", "M", "grüße \"<&>' 🚀");
    await call("c1: AllExcept [c2]", c1, "SendAllExcept", [id.c2], "M", "hello");
    await call("c1: AllExcept []", c1, "SendAllExcept", [], "M", "hello");
    await call("c1: Others", c1, "SendOthers", "M", "hello");
    await call("c1: Caller", c1, "SendCaller", "M", "hello");
    await call("c1: Client c1 (own node)", c1, "SendClient", id.c1, "M", "hello");
    await call("c1: Client c2 (other node)", c1, "SendClient", id.c2, "M", "hello");
    await call("c1: Client nobody", c1, "SendClient", "nobody", "M", "hello");
    await call("c1: Clients [c1, c2]", c1, "SendClients", [id.c1, id.c2], "M", "hello");
    await call("c1: User alice", c1, "SendUser", "alice", "M", "hello");
    await call("c1: Users [alice, bob]", c1, "SendUsers", ["alice", "bob"], "M", "hello");
    await call("c1 joins g (own node)", c1, "Join", "g");
    await call("c1 adds c2 to g (other node)", c1, "AddToGroup", id.c2, "g");
    await call("c1 adds c3 to g (other node, node already subscribed)", c1, "AddToGroup", id.c3, "g");
    await call("c1: Group g", c1, "SendGroup", "g", "M", "hello");
    await call("c1: GroupExcept g [c1]", c1, "SendGroupExcept", "g", [id.c1], "M", "hello");
    await call("c1: OthersInGroup g", c1, "SendOthersInGroup", "g", "M", "hello");
    await call("c1: Groups [g, h]", c1, "SendGroups", ["g", "h"], "M", "hello");
    await call("c1 joins 'a:b *?' ", c1, "Join", "a:b *?");
    await call("c1: Group 'a:b *?'", c1, "SendGroup", "a:b *?", "M", "hello");
    await call("c1 removes c2 from g (other node)", c1, "RemoveFromGroup", id.c2, "g");
    await call("c1 removes c3 from g (other node, last member there)", c1, "RemoveFromGroup", id.c3, "g");
    await call("c1 leaves g", c1, "Leave", "g");
    await call("c1 leaves g again", c1, "Leave", "g");
    await call("c1 adds nobody to g", c1, "AddToGroup", "nobody", "g");
    await call("c1 asks c1 (own node)", c1, "Ask", id.c1, "Ask", "q");
    await call("c1 asks c2 (other node, messagepack)", c1, "Ask", id.c2, "Ask", "q");
    await call("c1 asks c3 (other node, json)", c1, "Ask", id.c3, "Ask", "q");
    await call("c1 asks c2 for an int", c1, "AskInt", id.c2, "AskInt");
    await call("c1 asks c3 for an int", c1, "AskInt", id.c3, "AskInt");
    await call("c1 asks c3, client throws", c1, "Ask", id.c3, "AskFails", "q");
    await call("c1 asks c2, client throws", c1, "Ask", id.c2, "AskFails", "q");
    await call("c1 asks c2, client answers null", c1, "Ask", id.c2, "AskNull", "q");
    await call("c1 asks c3, client answers null", c1, "Ask", id.c3, "AskNull", "q");
    await call("c1 asks c2, no handler", c1, "Ask", id.c2, "NoSuchHandler", "q");
    await step("A asks nobody, gives up after 1 s", async () => (await fetch(a.url + "/api/ask/nobody/Ask?timeout=1000", { method: "POST" })).text());
    await step("A asks c3, which answers after A gave up", async () => { const r = await (await fetch(a.url + `/api/ask/${id.c3}/AskLate?timeout=300`, { method: "POST" })).text(); await settle(700); return r; });
    await step("POST /api/posts/42/publish on A", async () => { await fetch(a.url + "/api/posts/42/publish", { method: "POST" }); });
    await step("c3 stops", async () => { await c3.stop(); });
    await step("c1 stops", async () => { await c1.stop(); });
    await step("c2 stops", async () => { await c2.stop(); });
    await step("node B stops", async () => { await b.stop(); });
    await step("node A stops", async () => { await a.stop(); });
}

const runs = [];
for (const prefix of ["", "BlogApp:SignalR:"]) {
    const run = { prefix, ids: {}, steps: [] }, nodes = [], w = await watchRedis(port);
    runs.push(run);
    try { await play(run, w, nodes); } catch (e) { // a client has not come: the recording ends here, and so it differs
        process.stderr.write(`${e.stack}\n`);
        await Promise.all(nodes.map((n) => n.stop()));
    }
    w.close();
}
finish(JSON.stringify(runs, null, 1));
