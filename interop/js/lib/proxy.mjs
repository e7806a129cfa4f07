// A TCP proxy in front of a node, which can break what a network breaks. If SERVICE is the URL of a service that the node
// sends clients to, it is in front of that, too.
import net from "node:net";
import { afterEach } from "node:test";

// Node 20 may wait for ever in its own clean-up for a socket that was reset while something waited to be written: leave without it.
process.on("exit", () => process.exit());

const service = process.env.SERVICE;
const open = new Set();
afterEach(async () => { for (const p of open) await p.close(); });

export class Proxy {
    #pairs = new Set();
    /** While true, what clients say is kept back. */
    #held = false;
    /** Called when cutAfter cuts. */
    onCut;
    /** What may still pass before the cut. */
    #left;
    /** Where the node is. */
    #node;
    /** Those who wait for a word of a client. */
    #listeners = [];

    static async to(url) {
        const p = new Proxy();
        open.add(p);
        p.servers = [];
        p.lead(url);
        p.url = await p.#listen(() => p.#node);
        if (service) { const target = new URL(service); p.#service = await p.#listen(() => target); }
        return p;
    }
    /** New connections are to the node at url. */
    lead(url) { this.#node = new URL(url); }
    /** Where it is in front of the service. */
    #service;
    /** Listens on a port of its own, and returns its URL. */
    async #listen(target) {
        const server = net.createServer((client) => this.#join(client, target()));
        this.servers.push(server);
        await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
        return `http://127.0.0.1:${server.address().port}`;
    }
    /** What the node answers, with this proxy in place of the service: ports have five digits, so that lengths stay. */
    #redirected(data) {
        if (!service || !data.includes(service)) return data;
        if (this.#service.length !== service.length) throw new Error(`${this.#service} is not as long as ${service}`);
        return Buffer.from(data.toString("latin1").replaceAll(service, this.#service), "latin1");
    }
    #join(client, target) {
        const server = net.connect(Number(target.port), target.hostname), pair = { client, server };
        this.#pairs.add(pair);
        if (this.#held) client.pause();
        client.on("data", (d) => this.#pass(server, d, "up"));
        server.on("data", (d) => this.#pass(client, this.#redirected(d), "down"));
        for (const [a, b] of [[client, server], [server, client]]) {
            a.on("error", () => b.destroy());
            a.on("end", () => b.end());
            a.on("close", () => { this.#pairs.delete(pair); b.destroySoon(); });
        }
    }
    /** Resets every connection, both ways. */
    cut() { for (const { client, server } of this.#pairs) { client.resetAndDestroy(); server.resetAndDestroy(); } }
    /** Once n more bytes have passed in a direction ("up" to the server, "down" to the client), no more do: every connection is reset. */
    cutAfter(n, direction) { this.#left = { direction, n }; }
    /** Writes data, or the part of it that may still pass. */
    #pass(to, data, direction) {
        if (direction === "up") for (const heard of this.#listeners.splice(0)) heard();
        if (this.#left?.direction !== direction) { to.write(data); return; }
        const part = data.subarray(0, this.#left.n);
        this.#left.n -= part.length;
        if (this.#left.n > 0) { to.write(part); return; }
        this.#left = undefined;
        const broken = [...this.#pairs];
        for (const { client, server } of broken) { client.pause(); server.pause(); }
        // What was written before may still arrive; a reset at once would take it back.
        to.write(part, () => setTimeout(() => { this.onCut?.(); for (const { client, server } of broken) { client.resetAndDestroy(); server.resetAndDestroy(); } }, 3));
    }
    /** Waits until a client says something more, which the node gets. */
    heard() { return new Promise((ok) => this.#listeners.push(ok)); }
    /** Keeps back what clients say, also on new connections. */
    hold() { this.#held = true; for (const { client } of this.#pairs) client.pause(); }
    /** Resets every connection and takes no new ones. */
    async close() { if (!open.delete(this)) return; const closed = this.servers.map((s) => new Promise((ok) => s.close(ok))); this.cut(); await Promise.all(closed); }
}
