// Messages each way through a proxy that gives each request to another node.
//   node anynode.mjs URL TRANSPORT
// Run from a folder whose node_modules has @microsoft/signalr. Prints what has come, or "failed" and why the client does not start.
import { createRequire } from "node:module";
const { HttpTransportType, HubConnectionBuilder, LogLevel, Subject } = createRequire(process.cwd() + "/")("@microsoft/signalr");

const [url, transport] = process.argv.slice(2);
const c = new HubConnectionBuilder().withUrl(`${url}/hub`, { transport: HttpTransportType[transport] }).configureLogging(LogLevel.None).build();
const pushed = [], streamed = [], echoes = [];
c.on("Pushed", (n) => pushed.push(n));
const refused = await c.start().then(() => null, (e) => e.message);
if (refused !== null) console.log("failed", refused);
else {
    const used = await c.invoke("Transport");
    for (let i = 0; i < 10; i++) echoes.push(await c.invoke("Echo", i));
    await c.send("Push", 5);
    await c.invoke("Push", 5); // calls of a connection run one after the other
    await new Promise((ok, fail) => c.stream("Count", 10).subscribe({ next: (x) => streamed.push(x), complete: ok, error: fail }));
    const items = new Subject(), sum = c.invoke("Sum", items);
    for (let i = 0; i < 10; i++) items.next(i);
    items.complete();
    console.log(used, `${echoes}`, `${pushed}`, `${streamed}`, await sum);
    await c.stop();
}
