// Clicks through the page of cmd/demo and checks what its clients show.
//   node click.mjs URL CHROMIUM on|off
// Run from a folder whose node_modules has playwright-core. The last argument says whether the demo has a backplane.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [url, executablePath, backplane] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
    const context = await browser.newContext();
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (e) => complaints.push(`page error: ${e.message}`));
    page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") complaints.push(`console: ${m.text()}`); });
    await page.goto(url);

    const [a, b, other] = [0, 1, 2].map((i) => page.locator(".pane").nth(i));
    for (const pane of [a, b, other]) await pane.locator(".state.connected").waitFor();
    const say = async (pane, text) => { await pane.locator("input").fill(text); await pane.getByRole("button", { name: "Send" }).click(); };
    const sees = (pane, text) => pane.locator("li", { hasText: text }).waitFor();
    const count = (pane, text) => pane.locator("li", { hasText: text }).count();

    // Chat. What a client has not seen when a later message of the same sender is there, it will never see.
    await say(a, "hello from A");
    await sees(a, "Client A on node 1: hello from A");
    await say(b, "hello from B");
    await sees(b, "Client B on node 2: hello from B");
    if (backplane === "on") {
        await sees(b, "Client A on node 1: hello from A");
        await sees(a, "Client B on node 2: hello from B");
    }

    // A stream: started, then stopped.
    await a.getByRole("button", { name: "Start the clock" }).click();
    const time = a.locator(".time");
    await page.waitForFunction((e) => /^\d\d:\d\d:\d\d$/.test(e.textContent), await time.elementHandle());
    const first = await time.textContent();
    await page.waitForFunction(([e, first]) => e.textContent !== first, [await time.elementHandle(), first]);
    await a.getByRole("button", { name: "Stop the clock" }).click();

    // A post, published by HTTP on node 1.
    await page.getByRole("button", { name: "Publish post 42 on node 1" }).click();
    await sees(a, "Published: Post 42 (number 42)");
    if (backplane === "on") await sees(b, "Published: Post 42 (number 42)");

    // The clock has stopped: its calls of the same connection are answered in order, so a last word is the end.
    await say(a, "last word of A");
    await sees(a, "last word of A");
    const stopped = await time.textContent();
    await say(other, "alone");
    await sees(other, "Client of another app: alone");
    await page.waitForTimeout(1500);
    assert.equal(await time.textContent(), stopped, "the clock goes on after Stop");

    assert.equal(await count(a, /./), backplane === "on" ? 4 : 3, "what client A has received");
    assert.equal(await count(b, /./), backplane === "on" ? 4 : 1, "what client B has received");
    assert.equal(await count(other, /./), 1, "what the other app's client has received");

    // Narrow and dark.
    await page.setViewportSize({ width: 360, height: 700 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, "width on a phone");
    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: "light" });
    const light = await back();
    await page.emulateMedia({ colorScheme: "dark" });
    assert.notEqual(await back(), light, "background of the dark page");

    assert.deepEqual(complaints, []);
    console.log("ok");
} finally {
    await browser.close();
}
