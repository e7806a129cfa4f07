// Official JavaScript clients at the disposal of a Go test: commands on standard input, answers on standard output, one
// JSON object per line. dotnet-driver/ is the same with .NET clients; driver_test.go says what the commands are.
// Run from a folder whose node_modules has @microsoft/signalr and @microsoft/signalr-protocol-msgpack.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
const require = createRequire(process.cwd() + "/");
const signalR = require("@microsoft/signalr");
const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");

const clients = new Map();

const commands = {
    async connect({ client, url, protocol, user }) {
        const b = new signalR.HubConnectionBuilder().withUrl(`${url}/hub?user=${encodeURIComponent(user)}`).configureLogging(signalR.LogLevel.None);
        if (protocol === "messagepack") b.withHubProtocol(new MessagePackHubProtocol());
        const c = b.build();
        c.received = [];
        c.on("M", (text) => { c.received.push(text); });
        c.on("PostPublished", (post) => { c.received.push(`post ${post.id ?? post.Id}`); });
        c.on("Ask", (question) => `${client} answers ${question}`);
        c.on("AskInt", () => 42);
        c.on("AskNull", () => null);
        c.on("AskFails", () => { throw new Error(`${client} says no`); });
        await c.start();
        clients.set(client, c);
        return c.invoke("ConnectionId");
    },
    invoke: ({ client, method, args }) => clients.get(client).invoke(method, ...args),
    received: async ({ client }) => clients.get(client).received,
    stop: ({ client }) => clients.get(client).stop(),
};

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
    const { id, command, ...rest } = JSON.parse(line);
    commands[command](rest).then((result) => say({ id, result: result ?? null }), (e) => say({ id, error: e.message }));
}
process.exit(0);
