// The matrix: generations of the official client, each transport, each protocol.
import { createRequire } from "node:module";
import { describe, test } from "node:test";
const require = createRequire(process.cwd() + "/");

/** The generation in which the library got a feature, or lost a defect. */
const since = {
    "automatic reconnect": 3,
    "the connection's id": 3,
    "uploads": 3,
    "POSTs in the order of the calls": 3,
    "MessagePack streams that can be cancelled": 3,
    "handlers that may throw": 3,
    "client results": 7,
};

/** What a test plays with: a client library, a transport and a protocol. */
export class Mode {
    constructor(generation, transport, protocol, skipNegotiation = false) {
        this.signalR = require(`signalr${generation}`);
        this.name = `${this.signalR.VERSION} ${transport} ${protocol}${skipNegotiation ? " without negotiation" : ""}`;
        this.messagePack = protocol === "messagepack";
        Object.assign(this, { generation, transport, protocol, skipNegotiation });
    }
    /** The library's own codec of the protocol. */
    codec() { return this.messagePack ? new (require(`msgpack${this.generation}`).MessagePackHubProtocol)() : new this.signalR.JsonHubProtocol(); }
    /** Why the library cannot play a test that needs these features, or undefined. */
    lacks(...features) {
        const missing = features.filter((f) => { if (!(f in since)) throw new Error(`${f} is not in the list`); return this.generation < since[f]; });
        return missing.length > 0 ? `the client lacks it: ${missing.join(", ")}` : undefined;
    }
    /** Bytes as the client's user gives and gets them in this protocol. */
    bytes(list) { return !this.messagePack ? Buffer.from(list).toString("base64") : this.generation < 5 ? Buffer.from(list) : new Uint8Array(list); }
    /** What a call ends with whose connection is closed. */
    get closedText() { return `Invocation canceled due to ${this.generation < 3 ? "" : "the underlying "}connection being closed.`; }
}

const current = [10, 8].flatMap((generation) => [
    new Mode(generation, "WebSockets", "json"),
    new Mode(generation, "WebSockets", "messagepack"),
    new Mode(generation, "WebSockets", "json", true),
    new Mode(generation, "WebSockets", "messagepack", true),
    new Mode(generation, "ServerSentEvents", "json"), // MessagePack is binary, events are text
    new Mode(generation, "LongPolling", "json"),
    new Mode(generation, "LongPolling", "messagepack"),
]);

/** Clients of pages that have not been built anew for years. */
const old = [7, 6, 3, 1].flatMap((generation) => [
    new Mode(generation, "WebSockets", "json"),
    new Mode(generation, "WebSockets", "messagepack"),
    new Mode(generation, "ServerSentEvents", "json"),
    new Mode(generation, "LongPolling", "json"),
]);

/** The modes of this run: CLIENTS=old are the old ones, CLIENTS=negotiating those that can be sent to another server, CLIENTS=redirected the newest of these. */
const negotiating = current.filter((m) => !m.skipNegotiation);
export const modes = { old, negotiating, redirected: negotiating.filter((m) => m.generation === 10) }[process.env.CLIENTS] ?? current;

/** Calls f for each mode, or for those that `which` chooses, inside a suite with the mode's name. All its tests need these features. */
export function forEachMode(f, which = () => true, ...features) {
    for (const mode of modes.filter(which)) {
        const skip = mode.lacks(...features);
        if (skip) test(mode.name, { skip }); else describe(mode.name, () => f(mode));
    }
}
