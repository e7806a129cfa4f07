// Clients of the official library that remember what they received, and end with their test.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

const open = new Set();
/** What has been begun, and what has been given to a transport and not yet been taken by the server. */
const pending = new Set();
afterEach(async () => { await settled(); const all = [...open]; open.clear(); await Promise.all(all.map((c) => c.stop())); });

/** The promise, for which `settled` waits. */
export function begun(promise) {
    const over = promise.catch(() => {}).then(() => pending.delete(over));
    pending.add(over);
    return promise;
}

/**
 * Waits until nothing is on the way to the server. A client that is stopped earlier fails the sends of which it does
 * not know yet that they have arrived, and those of streams have nobody who catches that.
 */
export async function settled() {
    do {
        await Promise.all(pending);
        await new Promise(setImmediate); // the next item of a stream is sent when the one before has been
    } while (pending.size > 0);
}

/** A test with a limit in time, that of TEST_MS where the test does not say; `skip` may say why it is not played. */
export const it = (name, f, { timeout = Number(process.env.TEST_MS ?? 60000), skip } = {}) => test(name, { timeout, skip }, f);
export const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));

/**
 * A client that has not been started. Options: `user` and `query` for the URL, `path` of the hub, `on` handlers by name,
 * `reconnect` delays, `keepAlive` and `serverTimeout` in milliseconds; all others are those of withUrl.
 * `received` has the arguments of each call of its method M, `events` what the callbacks were given.
 */
export function client(mode, url, { path = "/hub", user, query = {}, on = {}, reconnect, keepAlive, serverTimeout, ...options } = {}) {
    const { HubConnectionBuilder, HttpTransportType, LogLevel } = mode.signalR;
    const asked = new URLSearchParams({ ...(user !== undefined && { user }), ...query }).toString();
    const b = new HubConnectionBuilder()
        .withUrl(url + path + (asked && `?${asked}`), { transport: HttpTransportType[mode.transport], skipNegotiation: mode.skipNegotiation, ...options })
        .withHubProtocol(mode.codec())
        .configureLogging(LogLevel.None);
    if (reconnect) b.withAutomaticReconnect(reconnect);
    const c = b.build();
    if (keepAlive) c.keepAliveIntervalInMilliseconds = keepAlive;
    if (serverTimeout) c.serverTimeoutInMilliseconds = serverTimeout;
    const send = c.connection.send.bind(c.connection);
    c.connection.send = (data) => begun(send(data));
    c.received = [];
    c.events = [];
    c.on("M", (...args) => { c.received.push(args); });
    for (const [name, f] of Object.entries(on)) c.on(name, f);
    c.closed = new Promise((ok) => c.onclose((e) => { c.events.push(["onclose", e?.message]); ok(e); }));
    if (!mode.lacks("automatic reconnect")) {
        c.onreconnecting((e) => c.events.push(["onreconnecting", e?.message]));
        c.reconnected = new Promise((ok) => c.onreconnected((id) => { c.events.push(["onreconnected", id]); ok(id); }));
    }
    open.add(c);
    return c;
}

/** A client that has been started. */
export async function connect(mode, url, options) {
    const c = client(mode, url, options);
    await c.start();
    return c;
}

/** What each client has received, once everything that was sent before the call has arrived: a client gets messages in order. */
export async function received(...clients) {
    await Promise.all(clients.map((c) => c.invoke("Echo", "barrier")));
    return clients.map((c) => c.received.splice(0));
}

/** Takes all items of a stream, or those before `takes`, after which it is cancelled. */
export function items(c, [method, ...args], takes = Infinity) {
    return new Promise((ok, fail) => {
        const got = [];
        const s = c.stream(method, ...args).subscribe({ next(x) { got.push(x); if (got.length === takes) { s.dispose(); ok(got); } }, complete: () => ok(got), error: fail });
    });
}

/** Fails unless the promise is rejected with exactly this text. */
export async function rejects(promise, text) {
    await assert.rejects(promise, (e) => { assert.equal(e.message, text); return true; });
}
