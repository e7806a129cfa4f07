// The matrix: both generations of the official client, each transport, each protocol.
import { createRequire } from "node:module";
import { describe } from "node:test";
const require = createRequire(process.cwd() + "/");

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
    /** Bytes as the client's user gives and gets them in this protocol. */
    bytes(list) { return this.messagePack ? new Uint8Array(list) : Buffer.from(list).toString("base64"); }
}

export const modes = [10, 8].flatMap((generation) => [
    new Mode(generation, "WebSockets", "json"),
    new Mode(generation, "WebSockets", "messagepack"),
    new Mode(generation, "WebSockets", "json", true),
    new Mode(generation, "WebSockets", "messagepack", true),
    new Mode(generation, "ServerSentEvents", "json"), // MessagePack is binary, events are text
    new Mode(generation, "LongPolling", "json"),
    new Mode(generation, "LongPolling", "messagepack"),
]);

/** Calls f for each mode, or for those that `which` chooses, inside a suite with the mode's name. */
export function forEachMode(f, which = () => true) { for (const mode of modes.filter(which)) describe(mode.name, () => f(mode)); }
