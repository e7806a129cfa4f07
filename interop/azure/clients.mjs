// Official clients that do what they are told, one JSON object a line on standard input:
//   {"n": 1, "client": "a", "do": "start", "url": ..., "transport": ..., "protocol": ...}, "call" with "method" and "args", "stop"
// Each is answered by {"n": 1, "result": ...} or {"n": 1, "error": text}. What happens otherwise is said when it happens:
//   {"client": "a", "event": "M", "args": [...]}, "reconnecting", "reconnected", "close"
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
const require = createRequire(process.cwd() + "/");
const signalR = require("signalr10"), { MessagePackHubProtocol } = require("msgpack10");

const clients = new Map();
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");
const text = (error) => (error ? error.message : "");

async function start(name, { url, transport, protocol }) {
    const c = new signalR.HubConnectionBuilder()
        .withUrl(url, { transport: signalR.HttpTransportType[transport] })
        .withHubProtocol(protocol === "messagepack" ? new MessagePackHubProtocol() : new signalR.JsonHubProtocol())
        .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ elapsedMilliseconds }) => (elapsedMilliseconds < 60000 ? 100 : null) })
        .configureLogging(signalR.LogLevel.None)
        .build();
    c.on("M", (...args) => say({ client: name, event: "M", args }));
    c.on("Ask", (question) => `${name} answers ${question}`);
    c.onreconnecting((e) => say({ client: name, event: "reconnecting", error: text(e) }));
    c.onreconnected(() => say({ client: name, event: "reconnected" }));
    c.onclose((e) => say({ client: name, event: "close", error: text(e) }));
    clients.set(name, c);
    await c.start();
}

async function obey(command) {
    const c = clients.get(command.client);
    switch (command.do) {
        case "start": return start(command.client, command);
        case "call": return c.invoke(command.method, ...command.args);
        case "stop": return c.stop();
        default: throw new Error(`unknown: ${command.do}`);
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    obey(command).then((result) => say({ n: command.n, result: result ?? null }), (e) => say({ n: command.n, error: e.message }));
}
process.exit(0);
