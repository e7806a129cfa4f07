// Makes docs/images/demo-light.png and demo-dark.png or, of three nodes, any-node-light.png
// and any-node-dark.png. Start the demo, and then, in a folder whose node_modules has
// playwright-core:
//   go run ./cmd/demo -angular=off [-nodes 3]
//   node shots.mjs http://127.0.0.1:5000 CHROMIUM FOLDER
import { createRequire } from "node:module";
import { join } from "node:path";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [url, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 1000 }, colorScheme: "light" });
    page.setDefaultTimeout(90_000);
    await page.goto(url);
    if (await page.locator(".node").count() > 2) await anyNode(page);
    else await two(page);
} finally {
    await browser.close();
}

/** A client whose requests go to three nodes. */
async function anyNode(page) {
    const any = page.locator(".any");
    await page.setViewportSize({ width: 1100, height: 880 });
    await page.locator("#client-A .at", { hasText: "node 1" }).waitFor();
    await any.getByRole("button", { name: "Any node" }).click();
    await any.locator(".state.connected").waitFor();
    await any.getByRole("button", { name: "Say hello" }).click();
    await any.locator(".heard", { hasText: "Alan: hello" }).waitFor();
    await page.mouse.move(0, 0);
    for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(folder, `any-node-${colorScheme}.png`) });
    }
}

/** Two clients on two nodes, of which one stops. */
async function two(page) {
    const [a, b] = ["A", "B"].map((key) => page.locator(`#client-${key}`));
    const say = async (pane, text) => {
        await pane.getByRole("textbox", { name: "Message" }).fill(text);
        await pane.getByRole("button", { name: "Send", exact: true }).click();
        await a.locator(".lines li", { hasText: text }).waitFor();
    };
    await a.locator(".at", { hasText: "node 1" }).waitFor();
    await b.locator(".at", { hasText: "node 2" }).waitFor();
    await a.getByRole("button", { name: "Start the chart" }).click();
    await say(a, "Hello from node 1.");
    await say(b, "Hello from node 2, in MessagePack.");
    await page.getByRole("button", { name: "Publish post 42" }).click();
    await b.locator(".lines .post").waitFor();
    for (const pane of [a, b]) {
        await pane.getByRole("button", { name: "Send 2 MB" }).click();
        await pane.locator(".uploaded", { hasText: "has arrived" }).waitFor();
    }
    await page.waitForFunction(() => Number(document.querySelector("#client-A svg").dataset.items) > 20);
    await a.getByRole("button", { name: "Ask Grace" }).click();
    await b.locator(".question").waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, "demo-light.png") });
    await b.locator(".answer").fill("Tea");
    await b.getByRole("button", { name: "Answer" }).click();
    await page.getByRole("button", { name: "Stop node 1" }).click();
    await a.locator(".at", { hasText: "node 2" }).waitFor();
    await page.getByRole("button", { name: "Start node 1" }).waitFor();
    await a.locator(".people", { hasText: "Ada (this client)" }).waitFor();
    await say(a, "Still here, on node 2 now.");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, "demo-dark.png") });
}
