// Official JavaScript clients that live through a rolling restart.
//   node clients.mjs URL COUNT PAUSE [sessions]
// Run from a folder whose node_modules has @microsoft/signalr and its MessagePack protocol. COUNT clients connect, in each
// way in turn, join the group again after each reconnect, and call the hub all the time, PAUSE milliseconds after each answer.
// With "sessions" each has a session in its URL, and joins once. Prints READY when all are in, and, once standard input has
// ended, one line of JSON for each client: what it has seen. See rolling_test.go for the fields.
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { HttpTransportType, HubConnectionBuilder, HubConnectionState, LogLevel } = require("@microsoft/signalr");
const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");

const [url, count, pause, sessions] = process.argv.slice(2);
const patience = 60_000; // for a tick after the last restart
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const ways = [
    ["WebSockets"], ["ServerSentEvents"], ["LongPolling"], ["WebSockets", true], ["LongPolling", true],
];

class Client {
    constructor([transport, binary]) {
        this.seen = { kind: `JS ${transport} ${binary ? "messagepack" : "json"}`, received: 0, last: 0, lost: 0, gaps: 0, longest: 0, calls: 0, failed: 0, cuts: [], wrong: [] };
        const b = new HubConnectionBuilder().withUrl(sessions ? `${url}?session=${randomUUID()}` : url, { transport: HttpTransportType[transport] }).withAutomaticReconnect().configureLogging(LogLevel.None);
        if (binary) b.withHubProtocol(new MessagePackHubProtocol());
        this.hub = b.build();
        this.hub.on("Tick", (n) => this.tick(n));
        this.hub.onreconnecting((e) => { if (e) this.seen.cuts.push(`${e}`); this.up = false; this.gap = true; this.since = Date.now(); this.seen.gaps++; });
        this.hub.onreconnected(() => (sessions ? this.isUp() : this.join()));
        this.hub.onclose((e) => { if (!this.stopping) this.seen.wrong.push(`closed for good: ${e}`); });
    }
    tick(n) {
        const s = this.seen;
        if (n < 0) { this.over = true; n = -n; }
        if (s.received++ > 0 && n !== s.last + 1) {
            // Behind a gap an old tick may come again: the new node may be late with what Redis has sent.
            if (this.gap) s.lost += Math.max(n - s.last - 1, 0);
            else s.wrong.push(`${n} after ${s.last}`);
        }
        if (n <= s.last) return;
        this.gap = false;
        s.last = n;
    }
    async join() {
        this.gap = true; // again: a tick of the old connection may have come late
        try {
            await this.hub.invoke("Join");
        } catch (e) {
            if (this.hub.state === HubConnectionState.Connected) this.seen.wrong.push(`Join: ${e}`);
            return; // the next reconnect joins
        }
        this.isUp();
    }
    isUp() {
        if (this.since) this.seen.longest = Math.max(this.seen.longest, Date.now() - this.since);
        this.since = 0;
        this.up = true;
    }
    async work() {
        for (let n = 0; !this.stopping; await sleep(Number(pause))) {
            if (!this.up) continue;
            const gaps = this.seen.gaps;
            try {
                const got = await this.hub.invoke("Work", ++n);
                if (got !== n) this.seen.wrong.push(`Work(${n}) = ${got}`);
                this.seen.calls++;
            } catch (e) {
                this.seen.failed++;
                for (const end = Date.now() + patience; Date.now() < end && this.seen.gaps === gaps && !this.stopping; ) await sleep(50);
                if (this.seen.gaps === gaps && !this.stopping) this.seen.wrong.push(`a call failed outside any gap: ${e}`);
            }
        }
    }
}

const clients = Array.from({ length: Number(count) }, (_, i) => new Client(ways[i % ways.length]));
for (const c of clients) {
    await c.hub.start();
    await c.join();
}
const working = clients.map((c) => c.work());
console.log("READY");
for await (const _ of process.stdin);
for (const end = Date.now() + patience; Date.now() < end && clients.some((c) => !c.over); ) await sleep(50);
for (const c of clients) c.stopping = true;
await Promise.all(working);
for (const c of clients) {
    c.seen.over = !!c.over;
    console.log(JSON.stringify(c.seen));
    await c.hub.stop();
}
