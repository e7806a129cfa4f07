// Measures what is lost when Redis is lost: two nodes, a client of each in one group, a group send every 10 ms on the
// first node, and something that happens to Redis. Prints a line of a Markdown table for each fault.
//   NODE_COMMAND="path/to/node" node faults.mjs [WORD]        # only faults whose name holds WORD
// Run from a folder whose node_modules has @microsoft/signalr (that of ../conformance does). It needs redis-server, and
// takes about 30 s for each fault. The node is any that knows the flags and the hub of ../node.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import net from "node:net";
const signalR = createRequire(process.cwd() + "/")("@microsoft/signalr");
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

const faults = {
    "`CLIENT KILL TYPE pubsub`": (redis) => redis.command("CLIENT", "KILL", "TYPE", "pubsub"),
    "`CLIENT KILL TYPE normal`": (redis) => redis.command("CLIENT", "KILL", "TYPE", "normal"),
    "Redis killed, back after 0.1 s": async (redis) => { await redis.kill(); await sleep(100); await redis.start(); },
    "Redis killed, back after 2 s": async (redis) => { await redis.kill(); await sleep(2000); await redis.start(); },
    "Redis killed, back after 12 s": async (redis) => { await redis.kill(); await sleep(12000); await redis.start(); },
    "`CLIENT PAUSE 3000 ALL`": (redis) => redis.command("CLIENT", "PAUSE", "3000", "ALL"),
    "`CLIENT PAUSE 8000 ALL`": async (redis) => { await redis.command("CLIENT", "PAUSE", "8000", "ALL"); await sleep(8000); },
    "Redis frozen for 12 s": async (redis) => { redis.process.kill("SIGSTOP"); await sleep(12000); redis.process.kill("SIGCONT"); },
};

/** A redis-server of our own. */
class Redis {
    constructor(port) { this.port = port; }
    async start() {
        this.process = spawn("redis-server", ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], { stdio: "ignore" });
        for (let i = 0; i < 500; i++) {
            try { return await this.command("PING"); } catch { await sleep(10); }
        }
        throw new Error("redis-server does not start");
    }
    async kill() { const gone = once(this.process, "exit"); this.process.kill("SIGKILL"); await gone; }
    command(...words) {
        return new Promise((ok, fail) => {
            const socket = net.connect(this.port, "127.0.0.1", () => socket.write(words.join(" ") + "\r\n"));
            socket.once("data", (d) => { socket.destroy(); ok(String(d)); });
            socket.once("error", fail);
            socket.once("close", () => ok("")); // it has killed itself
        });
    }
}

async function freePort() {
    const s = net.createServer().listen(0, "127.0.0.1");
    await once(s, "listening");
    const { port } = s.address();
    s.close();
    return port;
}

async function node(port) {
    const [program, ...words] = process.env.NODE_COMMAND.split(" ");
    // Calls of one client run side by side: a send that waits for Redis holds up no other.
    const p = spawn(program, [...words, "--urls", "http://127.0.0.1:0", "--redis", `127.0.0.1:${port}`, "--parallel", "10000"], { stdio: ["ignore", "pipe", "inherit"] });
    const url = await new Promise((ok, fail) => {
        let out = "";
        p.stdout.on("data", (d) => { const m = (out += d).match(/READY (\S+)/); if (m) ok(m[1]); });
        p.on("exit", (code) => fail(new Error(`the node ended: ${code}`)));
    });
    return { url, stop: async () => { const gone = once(p, "exit"); p.kill("SIGTERM"); await gone; } };
}

async function client(url) {
    const c = new signalR.HubConnectionBuilder().withUrl(url + "/hub", { transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true }).configureLogging(signalR.LogLevel.None).build();
    c.received = [];
    c.closed = false;
    c.on("M", (n) => c.received.push(Number(n)));
    c.onclose(() => { c.closed = true; });
    await c.start();
    await c.invoke("Join", "g");
    return c;
}

async function measure(name, fault) {
    const redis = new Redis(await freePort());
    await redis.start();
    const a = await node(redis.port), b = await node(redis.port);
    const own = await client(a.url), other = await client(b.url), sender = await client(a.url);
    await sender.invoke("Leave", "g");
    const sends = [];
    let going = true;
    const sending = (async () => {
        for (let n = 0; going; n++) {
            const send = { n, began: Date.now() };
            sends.push(send);
            sender.invoke("SendGroup", "g", "M", String(n)).then(() => { send.ok = true; }, () => { send.ok = false; }).then(() => { send.took = Date.now() - send.began; });
            await sleep(10);
        }
    })();
    await sleep(1000);
    await fault(redis);
    const back = Date.now();
    await sleep(4000);
    going = false;
    await sending;
    for (let i = 0; i < 300 && sends.some((s) => s.took === undefined); i++) await sleep(100);
    await sleep(3000);
    const lost = (c) => { const got = new Set(c.received); return sends.filter((s) => s.ok && !got.has(s.n)).length; };
    const late = sends.filter((s) => s.ok === false && (own.received.includes(s.n) || other.received.includes(s.n))).length;
    const twice = [own, other].reduce((sum, c) => sum + c.received.length - new Set(c.received).size, 0);
    const failed = sends.filter((s) => !s.ok).length;
    const slowest = Math.max(...sends.map((s) => s.took ?? Infinity)) / 1000;
    const backwards = [own, other].reduce((sum, c) => sum + c.received.filter((n, i) => i > 0 && n < c.received[i - 1]).length, 0);
    // The first send after which none failed or was lost at either client.
    const bad = sends.findLast((s) => !s.ok || [own, other].some((c) => !c.received.includes(s.n)));
    const whole = bad ? Math.max(0, bad.began - back) / 1000 : 0;
    const closed = [own, other, sender].filter((c) => c.closed).length;
    console.log(`| ${name} | ${lost(own)} | ${lost(other)} | ${failed} | ${late} | ${slowest.toFixed(1)} s | ${whole.toFixed(1)} s |${closed || twice || backwards ? ` ${closed} clients closed, ${twice} twice, ${backwards} out of order` : ""}`);
    for (const c of [own, other, sender]) await c.stop();
    await a.stop(); await b.stop();
    await redis.kill();
}

if (!process.env.NODE_COMMAND) throw new Error("NODE_COMMAND does not say what to measure");
console.log("| fault | done, but lost at the sender's node | done, but lost at the other node | failed | failed, but delivered | slowest send | whole again after |\n|---|---|---|---|---|---|---|");
for (const [name, fault] of Object.entries(faults).filter(([name]) => name.includes(process.argv[2] ?? ""))) await measure(name, fault);
process.exit(0);
