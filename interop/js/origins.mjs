// Who may use a hub that lists no origins: in Chromium, from each page that is named, in every way to connect.
//   node origins.mjs HUB CHROMIUM PAGE...
// Run from a folder whose node_modules has @microsoft/signalr and playwright-core. Prints one line for each page: its URL, and the ways that work.
import { createRequire } from "node:module";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [hub, executablePath, ...pages] = process.argv.slice(2);

/** Runs in the browser. */
async function play(hub) {
    const works = [];
    for (const [name, options] of Object.entries({
        WebSockets: { transport: 1 }, "WebSockets at once": { transport: 1, skipNegotiation: true }, ServerSentEvents: { transport: 2 }, LongPolling: { transport: 4 },
    })) {
        const c = new signalR.HubConnectionBuilder().withUrl(hub, options).configureLogging(signalR.LogLevel.None).build();
        const answer = await c.start().then(() => c.invoke("Echo", "hello")).catch(() => "refused");
        if (answer === "hello") works.push(name);
        await c.stop();
    }
    return works;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(60_000);
    for (const page of pages) {
        await tab.goto(page);
        console.log(`${page} ${(await tab.evaluate(play, hub)).join(", ") || "none"}`);
    }
} finally {
    await browser.close();
}
