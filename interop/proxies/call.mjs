// Calls through a proxy, in the transport that is named, or in the one that the client finds.
//   node call.mjs URL [TRANSPORT]
// Run from a folder whose node_modules has @microsoft/signalr. Prints the transport in which a call and a stream were answered, or "failed".
import { createRequire } from "node:module";
const { HttpTransportType, HubConnectionBuilder, LogLevel } = createRequire(process.cwd() + "/")("@microsoft/signalr");

const [url, transport] = process.argv.slice(2);
const c = new HubConnectionBuilder().withUrl(`${url}/hub`, transport ? { transport: HttpTransportType[transport] } : {}).configureLogging(LogLevel.None).build();
const started = await c.start().then(() => true, () => false);
if (!started) console.log("failed");
else {
    const items = [];
    await new Promise((ok, fail) => c.stream("Counter", 3, 1).subscribe({ next: (x) => items.push(x), complete: ok, error: fail }));
    console.log(`${await c.invoke("Transport")} ${await c.invoke("Add", 1, 2)} ${items}`);
    await c.stop();
}
