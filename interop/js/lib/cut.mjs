// A dialogue over stateful reconnect, in which the network breaks after each byte in turn, in both directions. Nothing
// is lost, nothing comes twice, the order is kept.
import assert from "node:assert/strict";
import { items } from "./client.mjs";
import { modes } from "./modes.mjs";
import { Proxy } from "./proxy.mjs";

const count = 4, sideBySide = 16;

// The client's errors keep only the words "fetch failed" of what went wrong. A proxy may be given the port of one that
// has ended, to which fetch still has a connection: what could not be written there has reached nobody, and is sent again.
const plain = globalThis.fetch;
const unsent = (e) => e.cause?.code === "ECONNRESET" && e.cause.syscall === "write";
globalThis.fetch = (...request) => plain(...request).catch((e) => { if (!unsent(e)) throw e; return plain(...request); })
    .catch((e) => { if (e.cause) e.message += `: ${e.cause}`; throw e; });

/** The modes that can reconnect statefully, of the newest client. */
export const stateful = modes.filter((m) => m.generation === 10 && m.transport === "WebSockets" && !m.skipNegotiation);

/** Plays the dialogue on a connection that breaks after n bytes in a direction. Returns false if it was over before. */
async function play(mode, url, direction, n, send) {
    const proxy = await Proxy.to(url), got = [], closed = [];
    const c = new mode.signalR.HubConnectionBuilder().withUrl(`${proxy.url}/hub`, { transport: mode.signalR.HttpTransportType.WebSockets })
        .withHubProtocol(mode.codec()).configureLogging(mode.signalR.LogLevel.None).withStatefulReconnect().build();
    c.on("M", (x) => { got.push(x); });
    c.onclose((e) => closed.push(String(e?.message)));
    await c.start();
    const id = await c.invoke("ConnectionId");
    let cut = false;
    proxy.onCut = () => { cut = true; };
    proxy.cutAfter(n, direction);
    // All at once: the client may forget what it is told to send while it sends again after a cut (its MessageBuffer).
    const stream = items(c, ["Counter", count, 0]), calls = [], sends = [];
    for (let i = 0; i < count; i++) {
        calls.push(c.invoke("Echo", `echo ${i}`));
        sends.push(send(c, id, `message ${i}`));
    }
    await Promise.all(sends);
    const where = `${direction}, ${n} bytes`;
    assert.deepEqual(await Promise.all(calls), Array.from({ length: count }, (_, i) => `echo ${i}`), where);
    assert.deepEqual(await stream, Array.from({ length: count }, (_, i) => i), where);
    for (let i = 0; got.length < count && i < 500; i++) await new Promise((ok) => setTimeout(ok, 10));
    assert.equal(await c.invoke("ConnectionId"), id, where);
    assert.deepEqual(got, Array.from({ length: count }, (_, i) => `message ${i}`), where);
    assert.deepEqual(closed, [], where);
    await c.stop();
    assert.deepEqual(closed, ["undefined"], where);
    await proxy.close();
    return cut;
}

/** Plays the dialogue with a cut after each byte, several at a time, until it is over before the cut. */
export async function everywhere(mode, url, send) {
    for (const direction of ["up", "down"]) {
        let n = 0, over = false, played = 0;
        await Promise.all(Array.from({ length: sideBySide }, async () => {
            while (!over) {
                n++;
                if (!await play(mode, url, direction, n, send)) over = true; else played++;
            }
        }));
        assert.ok(played > 100, `${direction}: the dialogue has only ${played} bytes`);
    }
}
