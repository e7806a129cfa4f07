// Plays the story of two nodes in a browser.
//   node scenario.mjs SITE CHROMIUM on|off SCREENSHOTS
// Run from a folder whose node_modules has playwright-core. on: the nodes have a backplane. POST /test/kill kills node 1.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [site, executablePath, mode, shots] = process.argv.slice(2);
const backplane = mode === "on";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const complaints = [];
let killed = false, step = 0;

// A page of its own, as another person has it.
async function open(query, colorScheme, width = 1100, height = 800) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height } });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on("pageerror", (e) => complaints.push(`page error: ${e.message}`));
    // Once node 1 has ended, the browser itself reports each try that fails.
    page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !killed) complaints.push(`console: ${m.text()}`); });
    await page.goto(site + query);
    await connected(page);
    return page;
}
const connected = (page) => page.locator(".state.connected").waitFor();
const node = (page) => page.locator(".state .node").textContent();
const publish = (page, id) => page.getByRole("button", { name: `Publish post ${id}` }).click();
const notices = (page) => page.locator(".notices li:not(.empty)");
const shows = (page, id) => notices(page).filter({ hasText: `Post ${id}` }).waitFor();
const enter = async (page, room) => {
    await page.getByRole("button", { name: room, exact: true }).click();
    await page.locator(`button.room[aria-pressed=true]`, { hasText: room }).waitFor();
};
const say = async (page, line) => { await page.getByLabel("Message", { exact: true }).fill(line); await page.getByRole("button", { name: "Send" }).click(); };
const hears = (page, line) => page.locator(".lines li", { hasText: line }).waitFor();
async function shoot(name, pages) {
    step++;
    for (const [who, page] of Object.entries(pages)) await page.screenshot({ path: join(shots, `${step}-${name}-${who}.png`), fullPage: true });
}

try {
    const a = await open("/?nodes=/n1,/n2", "light");
    const b = await open("/?nodes=/n2,/n1", "dark");
    const other = await open("/?nodes=/other", "light");
    const phone = await open("/?nodes=/n2,/n1", "dark", 360, 740);
    const lightPhone = await open("/?nodes=/n2,/n1", "light", 360, 740);
    const all = { node1: a, node2: b, other, "phone-dark": phone, "phone-light": lightPhone };
    assert.equal(await node(a), "/n1");
    assert.equal(await node(b), "/n2");
    for (const p of [phone, lightPhone]) assert.equal(await p.evaluate(() => document.documentElement.scrollWidth), 360, "width on a phone");
    const back = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.notEqual(await back(a), await back(b), "background of the dark page");
    await shoot("connected", all);

    // Published by HTTP on node 1, as any program would.
    assert.equal((await fetch(`${site}/n1/api/posts/42/publish`, { method: "POST" })).status, 202);
    await shows(a, 42);
    if (backplane) await shows(b, 42);

    // Rooms: two people in one, one in another.
    await enter(a, "Go");
    await enter(b, "Go");
    await enter(phone, "Redis");
    await say(a, "hello from node 1");
    await hears(a, "hello from node 1");
    if (backplane) await hears(b, "hello from node 1");
    await say(b, "hello from node 2");
    await hears(b, "hello from node 2");
    if (backplane) await hears(a, "hello from node 2");
    await say(phone, "only in this room");
    await hears(phone, "only in this room");

    // A stream to its end, and one that is stopped.
    for (const page of [a, phone]) await page.getByRole("button", { name: "Start the stream" }).click();
    await phone.waitForFunction(() => document.querySelector("polyline").getAttribute("points").split(" ").length > 5);
    await phone.getByRole("button", { name: "Stop the stream" }).click();
    await a.getByText("60 of 60 items").waitFor();
    await a.getByRole("button", { name: "Start the stream" }).waitFor();
    assert.equal(await a.evaluate(() => document.querySelector("polyline").getAttribute("points").split(" ").length), 60);
    assert.ok(!(await phone.locator(".chart h2 small").textContent()).startsWith("60 "), "the stream goes on after Stop");
    await shoot("published", all);

    // What a page has not shown when it shows a later post of its own node, it has missed.
    await publish(b, 43);
    await shows(b, 43);
    await publish(other, 44);
    await shows(other, 44);
    assert.equal(await notices(other).count(), 1, "what the other app shows");
    if (backplane) await shows(a, 43);
    assert.equal(await notices(b).count(), backplane ? 2 : 1, "what the page on node 2 shows");
    assert.equal(await notices(a).count(), backplane ? 2 : 1, "what the page on node 1 shows");
    assert.equal(await b.locator(".lines li").count(), backplane ? 2 : 1, "what room Go hears on node 2");

    // Node 1 dies. Its page says so, and goes on with node 2, in its room.
    await a.evaluate(() => {
        window.sawBanner = false;
        new MutationObserver(() => { window.sawBanner ||= document.querySelector(".banner") !== null; }).observe(document.body, { childList: true, subtree: true });
    });
    killed = true;
    assert.equal((await fetch(`${site}/test/kill`, { method: "POST" })).status, 204);
    await a.locator(".state.reconnecting").waitFor();
    await shoot("node 1 is gone".replaceAll(" ", "-"), { node1: a });
    await connected(a);
    assert.equal(await node(a), "/n2");
    assert.ok(await a.evaluate(() => window.sawBanner), "no banner while the page reconnects");
    await publish(b, 44);
    await shows(a, 44);
    await shows(b, 44);
    await say(b, "are you back?");
    await hears(a, "are you back?");
    await shoot("moved", all);
    assert.equal(await notices(a).count(), backplane ? 3 : 2, "what the page that moved shows");
    assert.equal(await notices(other).count(), 1, "what the other app shows");
    assert.equal(await a.locator(".banner").count(), 0, "banners at the end");

    assert.deepEqual(complaints, []);
    console.log("ok");
} finally {
    await browser.close();
}
