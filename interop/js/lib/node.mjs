// Nodes: HUBWIRE_NODE or NODE_COMMAND, words divided by blanks; each takes --urls and prints "READY <url>".
import { spawn } from "node:child_process";
import { after } from "node:test";

const command = process.env.HUBWIRE_NODE || process.env.NODE_COMMAND;

/** A running node. */
export class Node {
    #process; #ended; #asked = false;

    /** Starts a node on a free port, or on the port of `urls`, with more arguments. */
    static async start(args = [], urls = "http://127.0.0.1:0") {
        if (!command) throw new Error("NODE_COMMAND does not say how to start a node");
        const n = new Node(), [program, ...words] = command.split(" ");
        n.#process = spawn(program, [...words, "--urls", urls, ...args], { stdio: ["ignore", "pipe", "inherit"] });
        n.#ended = new Promise((ok) => n.#process.on("exit", (code, signal) => ok(signal ?? code)));
        let out = "";
        n.url = await new Promise((ok, fail) => {
            n.#process.on("error", fail);
            n.#process.stdout.on("data", (d) => { out += d; const m = out.match(/READY (\S+)/); if (m) ok(m[1]); });
            n.#ended.then((how) => fail(new Error(`the node ended with ${how} before it was ready`)));
        });
        n.#ended.then((how) => { if (!n.#asked) { process.stderr.write(`the node ended unasked with ${how}\n`); process.exit(3); } });
        return n;
    }
    /** Ends the node as an operator does, and fails unless it ends with status 0. */
    async stop() {
        this.#asked = true;
        this.#process.kill("SIGTERM");
        const how = await this.#ended;
        if (how !== 0) throw new Error(`the node ended with ${how}`);
    }
    /** Ends the node at once: no farewell. */
    async kill() { this.#asked = true; this.#process.kill("SIGKILL"); await this.#ended; }
}

const shared = new Map();
/** A node with these arguments that all tests of the file share; it is stopped after the last one. */
export function node(...args) {
    const key = args.join(" ");
    if (!shared.has(key)) shared.set(key, Node.start(args));
    return shared.get(key);
}
after(async () => { for (const n of shared.values()) await (await n).stop(); });

/** What OnDisconnected of a connection was given: "null", or type and text of an error; waits until it has run, or nearly for a test's time. */
export async function ended(n, id) {
    for (let end = Date.now() + 50000; Date.now() < end; ) {
        const all = await (await fetch(`${n.url}/api/ended`)).json();
        if (id in all) return all[id];
        await new Promise((ok) => setTimeout(ok, 20));
    }
    return "not called";
}
