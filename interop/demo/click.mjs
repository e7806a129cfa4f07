// Plays the whole story on a page of cmd/demo, the plain one or that of Angular, and checks what its clients show.
//   node click.mjs URL CHROMIUM on|off SCREENSHOTS
// Run from a folder whose node_modules has playwright-core. The third argument says whether the demo has a backplane.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

const [url, executablePath, mode, shots] = process.argv.slice(2);
const backplane = mode === "on";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
    const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, colorScheme: "light" });
    context.setDefaultTimeout(90_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (e) => complaints.push(`page error: ${e.message}`));
    page.on("console", (m) => {
        if (!["error", "warning"].includes(m.type())) return;
        // The official client tells the hub that it stops, and then deletes the long-polling connection, which is
        // gone by then: it takes the 404 as a success, but Chromium writes it down.
        if (m.text().includes("404") && new URL(m.location().url).searchParams.has("id")) return;
        complaints.push(`console: ${m.text()} ${m.location().url}`);
    });
    page.on("request", (r) => { if (!["127.0.0.1", "localhost"].includes(new URL(r.url()).hostname) && !r.url().startsWith("data:")) complaints.push(`request: ${r.url()}`); });
    await page.goto(url);

    const [a, b, other] = ["A", "B", "C"].map((key) => page.locator(`#client-${key}`));
    const on = (pane, node) => pane.locator(".at", { hasText: node }).waitFor();
    const lines = (pane, text = /./) => pane.locator(".lines li", { hasText: text });
    const sees = (pane, text) => lines(pane, text).waitFor();
    const say = async (pane, text) => { await pane.getByRole("textbox", { name: "Message" }).fill(text); await pane.getByRole("button", { name: "Send", exact: true }).click(); };
    const room = (pane, name) => pane.locator(".rooms button", { hasText: name });
    const shoot = (name) => page.screenshot({ path: join(shots, `${mode}-${name}.png`), fullPage: true });

    await on(a, "node 1");
    await on(b, "node 2");
    await on(other, "node 2");
    assert.equal(await a.locator(".transport").textContent(), "WebSockets");
    assert.deepEqual([await a.locator(".protocol").textContent(), await b.locator(".protocol").textContent()], ["JSON", "MessagePack"]);

    // A post, published by HTTP on node 1. What a client has not seen when a later message is there, it will never see.
    await page.getByRole("button", { name: "Publish post 42" }).click();
    await sees(a, "Published: Post 42");
    if (backplane) await sees(b, "Published: Post 42");

    // Chat, in two rooms: one keeps what is said while its user looks at the other.
    await a.locator(".name").fill("Zoë");
    await a.locator(".name").press("Tab");
    await a.locator(".people", { hasText: "Zoë (this client)" }).waitFor();
    await say(a, "hello");
    await sees(a, "Zoë hello");
    if (backplane) await sees(b, "Zoë hello");
    await room(b, "Go").click();
    await say(b, "hello, gophers");
    await sees(b, "Grace hello, gophers");
    if (backplane) {
        await room(a, "1 unread").click();
        await sees(a, "Grace hello, gophers");
        assert.equal(await lines(a, "Zoë hello").count(), 0, "the lobby's line in room Go");
        await room(a, "Lobby").click();
        await sees(a, "Zoë hello");
    }
    await b.getByRole("button", { name: "Lobby", pressed: false }).click();
    await b.getByRole("button", { name: "Lobby", pressed: true }).waitFor(); // Angular draws later
    assert.equal(await lines(b, "Zoë hello").count(), backplane ? 1 : 0, "what B has heard from A");
    assert.equal(await lines(b, "Published").count(), backplane ? 1 : 0, "posts that B has seen");

    // Presence, and a question that the server asks for another client.
    assert.equal(await a.locator(".people li").count(), backplane ? 2 : 1, "who is here, for A");
    if (backplane) {
        await b.getByRole("button", { name: "Ask Zoë" }).click();
        await a.locator(".question", { hasText: "Grace asks: Tea or coffee?" }).waitFor();
        await shoot("asked");
        await a.getByLabel("Your answer").fill("Tea");
        await a.getByLabel("Your answer").press("Enter");
        await b.locator(".reply", { hasText: "Zoë answers: Tea" }).waitFor();
        await a.locator(".question").waitFor({ state: "hidden" });
    }

    // An upload in each protocol. The node's hash is compared with that of the bytes here.
    for (const pane of [a, b]) {
        await pane.getByRole("button", { name: "Send 2 MB" }).click();
        await pane.locator(".uploaded", { hasText: "the same here" }).waitFor();
        assert.equal(await pane.locator("progress").evaluate((bar) => bar.value), 2_000_000, "progress");
    }
    await a.locator("input[type=file]").setInputFiles({ name: "small.txt", mimeType: "text/plain", buffer: Buffer.from("small") });
    await a.locator(".uploaded", { hasText: "small.txt has arrived" }).waitFor();

    // A chart, stopped and started.
    const items = async () => Number(await a.locator("svg").getAttribute("data-items"));
    const grows = async () => { const before = await items(); await page.waitForFunction((n) => Number(document.querySelector("#client-A svg").dataset.items) > n, before); };
    await a.getByRole("button", { name: "Start the chart" }).click();
    await a.locator(".now", { hasText: /^[\d.]+ MB$/ }).waitFor();
    await grows();

    // The other app hears its own only.
    await other.getByRole("button", { name: "Publish post 7" }).click();
    await sees(other, "Published: Post 7");
    assert.equal(await lines(other).count(), 1, "what the other app's client has seen");
    assert.equal(await lines(a, "Post 7").count(), 0, "the other app's post at A");

    // Every way to connect.
    for (const [kind, transport, protocol] of [["Server-Sent Events, JSON", "ServerSentEvents", "JSON"], ["Long polling, MessagePack", "LongPolling", "MessagePack"], ["WebSockets, JSON", "WebSockets", "JSON"]]) {
        await a.getByLabel("Connects by").selectOption(kind);
        await a.locator(".transport", { hasText: transport }).waitFor();
        assert.equal(await a.locator(".protocol").textContent(), protocol);
        await say(a, `by ${kind}`);
        await sees(a, `by ${kind}`);
    }

    // Node 1 stops, by the key. Its client goes on with node 2, in its rooms, and so does its chart.
    await page.keyboard.press("Alt+KeyS");
    await on(a, "node 2");
    await page.locator(".node[data-node='1']", { hasText: "stopped" }).waitFor();
    await sees(a, "Now on node 2, in the same rooms");
    await grows();
    await say(b, "are you back?");
    await sees(a, "Grace are you back?"); // on one node both are, with and without a backplane
    await page.getByRole("button", { name: "Publish post 42" }).click();
    await page.getByText("sent by node 2").waitFor();
    await a.getByRole("button", { name: "Stop the chart" }).click();
    await shoot("stopped");

    // It starts again, by the button, and its client goes home.
    await page.getByRole("button", { name: "Start node 1" }).click();
    await a.getByRole("button", { name: "Go back to node 1" }).click();
    await on(a, "node 1");
    await say(a, "home again");
    await sees(a, "Zoë home again");
    if (backplane) await sees(b, "Zoë home again");
    assert.equal(await a.locator(".problem").isVisible(), false, "a problem at A");

    if (backplane) await anyNode(page, await page.locator(".node").count(), shoot);
    else assert.equal(await page.locator(".any").count(), 0, "a button that needs the backplane");

    await looks(page, shoot);
    assert.deepEqual(complaints, []);
    console.log("ok");
} finally {
    await browser.close();
}

/** Width on a phone, the dark page, and the keyboard: each control shows where the focus is. */
async function looks(page, shoot) {
    await shoot("light");
    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await back();
    await page.emulateMedia({ colorScheme: "dark" });
    assert.notEqual(await back(), light, "background of the dark page");
    await shoot("dark");
    await page.setViewportSize({ width: 360, height: 740 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, "width on a phone");
    await shoot("phone");

    const wanted = await page.evaluate(() => {
        document.activeElement.blur();
        const all = [...document.querySelectorAll("button, input, select, a, [tabindex]")].filter((e) => e.checkVisibility());
        all.forEach((e, i) => { e.dataset.control = i; });
        return all.length;
    });
    const reached = new Set();
    for (let i = 0; i < wanted + 1; i++) {
        await page.keyboard.press("Tab");
        const [control, seen] = await page.evaluate(() => {
            const e = document.activeElement, shown = e.closest(".file") ?? e;
            return [e.dataset.control, getComputedStyle(shown).outlineStyle];
        });
        if (control === undefined) continue; // the browser's own
        assert.equal(seen, "solid", `focus of control ${control}`);
        reached.add(control);
    }
    assert.equal(reached.size, wanted, "controls that the keyboard reaches");
}

/** One more client, by way of a balancer: its requests go to every node, and one has the connection. */
async function anyNode(page, nodes, shoot) {
    const any = page.locator(".any");
    for (const by of ["Long polling", "Server-Sent Events"]) {
        const option = await any.locator("option", { hasText: by }).textContent();
        await any.locator("select").selectOption({ label: option });
        await any.getByRole("button", { name: "Any node" }).click();
        await any.locator(".state", { hasText: /^connected: node \d has the connection$/ }).waitFor();
        const owner = /node \d/.exec(await any.locator(".state").textContent())[0];
        for (let n = 0; n < nodes; n++) {
            await any.getByRole("button", { name: "Say hello" }).click();
            await page.locator("#client-A .lines li", { hasText: "Alan hello, by way of any node" }).nth(n + (by === "Long polling" ? 0 : nodes)).waitFor();
        }
        await any.locator(".heard", { hasText: "Alan: hello, by way of any node" }).waitFor();
        for (let n = 1; n <= nodes; n++) {
            const on = owner === `node ${n}` ? `${owner} itself` : `${owner}: passed on`;
            await any.locator(`tr[data-node="node ${n}"]`, { hasText: on }).first().waitFor();
        }
        await shoot(by === "Long polling" ? "any-node-polls" : "any-node-events");
        await any.getByRole("button", { name: "Leave" }).click();
        await any.getByRole("button", { name: "Any node" }).waitFor();
    }
}
