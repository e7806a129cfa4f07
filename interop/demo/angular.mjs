// Tests the Angular pages of cmd/demo, one on each node.
//   node angular.mjs URL1 URL2 CHROMIUM SCREENSHOTS
// Run from a folder whose node_modules has playwright-core.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [url1, url2, executablePath, shots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
    const complaints = [];
    const open = async (url, colorScheme, width = 1100, height = 800) => {
        const context = await browser.newContext({ colorScheme, viewport: { width, height } });
        context.setDefaultTimeout(15_000);
        const page = await context.newPage();
        page.on("pageerror", (e) => complaints.push(`page error: ${e.message}`));
        page.on("console", (m) => { if (["error", "warning"].includes(m.type())) complaints.push(`console: ${m.text()}`); });
        await page.goto(url);
        await page.locator(".state.connected").waitFor();
        return page;
    };
    const first = await open(url1, "light"), second = await open(url2, "dark", 360, 740);
    const pages = [first, second];
    for (const [i, url] of [url1, url2].entries())
        assert.equal(await pages[i].locator(".state .node").textContent(), new URL(url).host, `node of page ${i + 1}`);

    await first.getByRole("button", { name: "Publish post 43" }).click();
    for (const page of pages) await page.locator(".notices li", { hasText: "Post 43" }).waitFor();

    for (const page of pages) {
        await page.getByRole("button", { name: "Redis", exact: true }).click();
        await page.locator("button.room[aria-pressed=true]", { hasText: "Redis" }).waitFor();
    }
    await second.getByLabel("Message", { exact: true }).fill("hello from node 2");
    await second.getByRole("button", { name: "Send" }).click();
    for (const page of pages) await page.locator(".lines li", { hasText: "hello from node 2" }).waitFor();

    await first.getByRole("button", { name: "Start the stream" }).click();
    await first.getByText("60 of 60 items").waitFor();
    for (const [i, page] of pages.entries()) await page.screenshot({ path: join(shots, `page-${i + 1}.png`), fullPage: true });

    // The plain page names this one.
    const plain = await browser.newPage();
    await plain.goto(new URL("/", url1).href);
    await plain.getByRole("link", { name: "a page of Angular" }).click();
    await plain.locator(".state.connected").waitFor();

    assert.deepEqual(complaints, []);
    console.log("ok");
} finally {
    await browser.close();
}
