// An old client in a browser, on a page from elsewhere: version 1.1.4 in each transport.
//   node browser.mjs NODE-URL CHROMIUM
// Run from a folder whose node_modules has signalr1 and playwright-core. The node allows the page's origin, http://app.test.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { chromium } = require("playwright-core");

const [node, executablePath] = process.argv.slice(2);
const script = readFileSync("node_modules/signalr1/dist/browser/signalr.js");
const page = createServer((request, response) => {
    if (request.url === "/signalr.js") response.writeHead(200, { "Content-Type": "text/javascript" }).end(script);
    else response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>old</title><script src=signalr.js></script>");
});
page.listen(0, "127.0.0.1");
await once(page, "listening");

/** Runs in the browser. */
async function play([url, transport]) {
    const c = new signalR.HubConnectionBuilder().withUrl(url, signalR.HttpTransportType[transport]).configureLogging(signalR.LogLevel.None).build();
    const received = new Promise((ok) => c.on("M", ok)), closed = new Promise((ok) => c.onclose((e) => ok(e?.message)));
    await c.start();
    const items = [], over = new Promise((ok) => c.stream("Counter", 5, 0).subscribe({ next: (x) => items.push(x), complete: () => ok(), error: (e) => ok(e.message) }));
    const result = {
        sum: await c.invoke("Add", 1, 2),
        transport: await c.invoke("Transport"),
        error: await c.invoke("ThrowHubException", "for all").catch((e) => e.message),
        end: await over ?? null,
        items,
    };
    await c.invoke("Join", `old ${transport}`);
    await c.invoke("SendGroup", `old ${transport}`, "M", "hello");
    result.message = await received;
    await c.stop();
    result.closed = await closed ?? null;
    return result;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", `--host-resolver-rules=MAP app.test 127.0.0.1:${page.address().port}`] });
try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(30_000);
    await tab.goto("http://app.test/");
    assert.equal(await tab.evaluate("signalR.VERSION"), "1.1.4");
    for (const transport of ["WebSockets", "ServerSentEvents", "LongPolling"])
        assert.deepEqual(await tab.evaluate(play, [`${node}/hub-cors`, transport]), {
            sum: 3, transport, error: "An unexpected error occurred invoking 'ThrowHubException' on the server. HubException: for all",
            end: null, items: [0, 1, 2, 3, 4], message: "hello", closed: null,
        }, transport);
    console.log("ok");
} finally {
    await browser.close();
    page.close();
}
