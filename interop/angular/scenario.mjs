// Plays the story of two nodes in a browser, one of which is killed.
//   node scenario.mjs SITE CHROMIUM on|off SCREENSHOTS
// Run from a folder whose node_modules has playwright-core. on: the nodes have a backplane. Their hub is that of the
// interop tests: it has the rooms and the posts, and knows no names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [site, executablePath, mode, shots] = process.argv.slice(2);
const backplane = mode === "on";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const complaints = [];
let killed = false, step = 0;

try {
    const context = await browser.newContext({ colorScheme: "light", viewport: { width: 1100, height: 900 } });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    page.on("pageerror", (e) => complaints.push(`page error: ${e.message}`));
    // Once node 1 has ended, the browser itself reports each try that fails.
    page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !killed) complaints.push(`console: ${m.text()}`); });
    await page.goto(site);

    const [a, b, other] = ["A", "B", "C"].map((key) => page.locator(`#client-${key}`));
    const on = (pane, node) => pane.locator(".at", { hasText: node }).waitFor();
    const lines = (pane, text = /./) => pane.locator(".lines li", { hasText: text });
    const sees = (pane, text) => lines(pane, text).waitFor();
    const say = async (pane, text) => { await pane.getByRole("textbox", { name: "Message" }).fill(text); await pane.getByRole("button", { name: "Send", exact: true }).click(); };
    const shoot = (name) => page.screenshot({ path: join(shots, `${++step}-${name}.png`), fullPage: true });

    await on(a, "node 1");
    await on(b, "node 2");
    await on(other, "node 2");
    await b.getByLabel("Connects by").selectOption("WebSockets, JSON"); // in MessagePack that hub's posts have other names
    await b.locator(".protocol", { hasText: "JSON" }).waitFor();
    await on(b, "node 2");
    for (const pane of [a, b, other]) {
        assert.equal(await pane.locator(".problem").count(), 0, "a problem with a hub that knows no names");
        assert.equal(await pane.locator(".people, .upload, .name").count(), 0, "what such a hub has not");
    }
    await shoot("connected");

    // Published by HTTP on node 1, as any program would.
    assert.equal((await fetch(`${site}/n1/api/posts/42/publish`, { method: "POST" })).status, 202);
    await sees(a, "Post 42");
    if (backplane) await sees(b, "Post 42");

    // A room, on both nodes.
    for (const pane of [a, b]) await pane.getByRole("button", { name: "Go", exact: true }).click();
    await say(a, "hello from node 1");
    await sees(a, "somebody hello from node 1");
    if (backplane) await sees(b, "somebody hello from node 1");
    await say(b, "hello from node 2");
    await sees(b, "somebody hello from node 2");
    if (backplane) await sees(a, "somebody hello from node 2");

    // What a client has not shown when it shows a later post of its own node, it has missed.
    assert.equal((await fetch(`${site}/n2/api/posts/43/publish`, { method: "POST" })).status, 202);
    await sees(b, "Post 43");
    if (backplane) await sees(a, "Post 43");
    await other.getByRole("button", { name: "Publish post 7" }).click();
    await sees(other, "Post 7");
    assert.equal(await lines(other).count(), 1, "what the other app's client shows");
    assert.equal(await lines(b, "Published").count(), backplane ? 2 : 1, "posts that B shows");
    assert.equal(await lines(a, "Published").count(), backplane ? 2 : 1, "posts that A shows");
    assert.equal(await lines(b, "hello").count(), backplane ? 2 : 1, "what room Go hears on node 2");

    // Node 1 dies. Its client says so, and goes on with node 2, in its rooms.
    await page.evaluate(() => {
        const state = document.querySelector("#client-A .state");
        window.states = [];
        new MutationObserver(() => window.states.push(state.textContent)).observe(state, { childList: true, characterData: true, subtree: true });
    });
    killed = true;
    await page.getByRole("button", { name: "Stop node 1" }).click();
    await on(a, "node 2");
    await page.locator(".node[data-node='1']", { hasText: "stopped" }).waitFor();
    assert.ok((await page.evaluate(() => window.states)).includes("reconnecting"), "the client did not say that it reconnects");
    await sees(a, "Now on node 2, in the same rooms");
    await say(b, "are you back?");
    await sees(a, "somebody are you back?");
    assert.equal((await fetch(`${site}/n2/api/posts/44/publish`, { method: "POST" })).status, 202);
    await sees(a, "Post 44");
    await sees(b, "Post 44");
    assert.equal(await lines(other).count(), 1, "what the other app's client shows");
    for (const pane of [a, b, other]) assert.equal(await pane.locator(".problem").count(), 0, "a problem at the end");
    await shoot("moved");

    assert.deepEqual(complaints, []);
    console.log("ok");
} finally {
    await browser.close();
}
