// Which clients a send reaches: all, some, groups, users, and all but some; from a call and from outside.
import assert from "node:assert/strict";
import { connect, it, received } from "./lib/client.mjs";
import { forEachMode, modes } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

/** Each suite has groups and users of its own: the node is shared. */
let serial = 0;

forEachMode((mode) => {
    /** Four clients: a, b and c have the mode, d has another one. alice has two connections; there is no user "nobody". */
    async function four() {
        const { url } = await node("--parallel", "1"), n = ++serial, users = { alice: `alice ${n}`, bob: `bob ${n}` }, other = modes[(modes.indexOf(mode) + 8) % modes.length];
        const all = await Promise.all([connect(mode, url, { user: users.alice }), connect(mode, url, { user: users.bob }), connect(mode, url, { user: users.alice }), connect(other, url)]);
        const ids = await Promise.all(all.map((x) => x.invoke("ConnectionId")));
        const [a, b, c, d] = all, [A, B, C, D] = ids;
        /** Says who has received "hi" as often as `want` has its letter, and that no client has received anything else. */
        const reached = async (want) => {
            const got = (await received(...all)).map((calls, i) => calls.map((args) => { assert.deepEqual(args, ["hi"]); return "abcd"[i]; }).join("")).join("");
            assert.equal(got, want);
        };
        return { a, b, c, d, A, B, C, D, users, reached, g: `g ${n}`, h: `h ${n}`, url };
    }

    it("All, Others and Caller", async () => {
        const { a, reached } = await four();
        await a.invoke("SendAll", "M", "hi");
        await reached("abcd");
        await a.invoke("SendOthers", "M", "hi");
        await reached("bcd");
        await a.invoke("SendCaller", "M", "hi");
        await reached("a");
    });
    it("AllExcept", async () => {
        const { a, A, B, C, D, reached } = await four();
        for (const [except, want] of [[[], "abcd"], [[B], "acd"], [[A, D], "bc"], [[B, B, "nobody"], "acd"], [[A, B, C, D], ""]]) {
            await a.invoke("SendAllExcept", except, "M", "hi");
            await reached(want);
        }
    });
    it("Client and Clients", async () => {
        const { a, A, B, C, D, reached } = await four();
        for (const [id, want] of [[A, "a"], [D, "d"], ["nobody", ""], ["", ""]]) {
            await a.invoke("SendClient", id, "M", "hi");
            await reached(want);
        }
        for (const [ids, want] of [[[B, D], "bd"], [[], ""], [["nobody", C], "c"]]) {
            await a.invoke("SendClients", ids, "M", "hi");
            await reached(want);
        }
    });
    it("a group reaches its members, each once however often it joined", async () => {
        const { a, b, d, g, h, D, reached } = await four();
        await a.invoke("SendGroup", g, "M", "hi");
        await reached("");
        await a.invoke("Join", g);
        await b.invoke("Join", g);
        await b.invoke("Join", g);
        await a.invoke("AddToGroup", D, g);
        await d.invoke("Join", h);
        await a.invoke("SendGroup", g, "M", "hi");
        await reached("abd");
        await a.invoke("SendGroup", h, "M", "hi"); // by one who is no member
        await reached("d");
        await a.invoke("SendGroup", g.toUpperCase(), "M", "hi");
        await reached("");
    });
    it("who has left a group is not reached", async () => {
        const { a, b, c, g, B, C, reached } = await four();
        for (const x of [a, b, c]) await x.invoke("Join", g);
        await a.invoke("Leave", g);
        await a.invoke("RemoveFromGroup", B, g);
        await b.invoke("SendGroup", g, "M", "hi");
        await reached("c");
        await a.invoke("Leave", g); // again
        await a.invoke("RemoveFromGroup", C, g);
        await a.invoke("SendGroup", g, "M", "hi");
        await reached("");
        await a.invoke("Join", g);
        await b.invoke("SendGroup", g, "M", "hi");
        await reached("a");
    });
    it("who has gone is in no group, and may be put into one in vain", async () => {
        const { a, b, A, g, reached } = await four();
        for (const x of [a, b]) await x.invoke("Join", g);
        await a.stop();
        await a.start();
        await b.invoke("AddToGroup", A, g); // its old id
        await b.invoke("SendGroup", g, "M", "hi");
        await reached("b");
    });
    it("Groups, GroupExcept and OthersInGroup", async () => {
        const { a, b, c, d, A, B, D, g, h, reached } = await four();
        for (const x of [a, b]) await x.invoke("Join", g);
        for (const x of [b, c]) await x.invoke("Join", h);
        await a.invoke("SendGroups", [g, h], "M", "hi");
        await reached("abbc"); // b is in both
        await a.invoke("SendGroups", [], "M", "hi");
        await reached("");
        for (const [except, want] of [[[], "ab"], [[A], "b"], [[A, B, D], ""], [["nobody"], "ab"]]) {
            await a.invoke("SendGroupExcept", g, except, "M", "hi");
            await reached(want);
        }
        await a.invoke("SendOthersInGroup", g, "M", "hi");
        await reached("b");
        await d.invoke("SendOthersInGroup", g, "M", "hi");
        await reached("ab");
    });
    it("a group's name may be any text", async () => {
        const { a, b, g, reached } = await four();
        for (const name of [`${g} a:b *?`, `${g} \u{1F680}`, `${g} \u0000"'`, g + "x".repeat(1000)]) {
            await b.invoke("Join", name);
            await a.invoke("SendGroup", name, "M", "hi");
            await reached("b");
        }
    });
    it("User and Users reach all connections of the users", async () => {
        const { a, d, users: { alice, bob }, reached } = await four();
        for (const [user, want] of [[alice, "ac"], [bob, "b"], ["nobody", ""], [alice.toUpperCase(), ""]]) {
            await d.invoke("SendUser", user, "M", "hi");
            await reached(want);
        }
        for (const [list, want] of [[[alice, bob], "abc"], [[], ""], [["nobody", bob], "b"]]) {
            await d.invoke("SendUsers", list, "M", "hi");
            await reached(want);
        }
        assert.equal(await a.invoke("UserIdentifier"), alice);
        assert.equal(await d.invoke("UserIdentifier"), null);
    });
    it("all forms from outside of any call", async () => {
        const { a, b, c, A, B, C, D, users: { alice, bob }, g, h, url, reached } = await four();
        const send = async (to, body) => assert.equal((await post("/api/send", { to, method: "M", args: ["hi"], ...body })).status, 200);
        const post = (path, body) => fetch(url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
        for (const x of [a, b]) await x.invoke("Join", g);
        for (const x of [b, c]) await x.invoke("Join", h);
        for (const [to, body, want] of [
            ["all", {}, "abcd"], ["allExcept", { except: [B, D] }, "ac"], ["client", { names: [C] }, "c"], ["clients", { names: [A, D] }, "ad"],
            ["group", { names: [g] }, "ab"], ["groups", { names: [g, h] }, "abbc"], ["groupExcept", { names: [h], except: [C] }, "b"],
            ["user", { names: [alice] }, "ac"], ["users", { names: [alice, bob] }, "abc"], ["client", { names: ["nobody"] }, ""], ["group", { names: ["nobody"] }, ""],
        ]) {
            await send(to, body);
            await reached(want);
        }
    });
    it("groups are filled and emptied from outside", async () => {
        const { A, D, g, url, reached } = await four();
        const change = async (method, id) => assert.equal((await fetch(`${url}/api/groups/${encodeURIComponent(g)}/${id}`, { method })).status, 200);
        const send = () => fetch(`${url}/api/send`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ to: "group", names: [g], method: "M", args: ["hi"] }) });
        await change("POST", A);
        await change("POST", D);
        await change("POST", "nobody");
        await send();
        await reached("ad");
        await change("DELETE", D);
        await send();
        await reached("a");
    });
    it("values of every kind from outside", async () => {
        const { a, A, url } = await four(), args = [null, true, 1, -1.5, "grüße \u{1F680}", [1, "a"], { Key: { inner: [] } }];
        await fetch(`${url}/api/send`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ to: "client", names: [A], method: "M", args }) });
        assert.deepEqual(await received(a), [[args]]);
    });
    it("a published post reaches everybody", async () => {
        const { url } = await node("--parallel", "1"), id = 1000 + ++serial;
        const heard = [0, 1].map(() => { let tell; const post = new Promise((ok) => { tell = ok; }); return { post, on: { PostPublished: (p) => { if (p.id === id || p.Id === id) tell(p); } } }; });
        for (const { on } of heard) await connect(mode, url, { on });
        assert.equal((await fetch(`${url}/api/posts/${id}/publish`, { method: "POST" })).status, 202);
        for (const { post } of heard) assert.ok((await post).title ?? (await post).Title);
    });
});
