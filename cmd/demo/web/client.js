// One client of the hub: the official library, on one of several nodes.

/** How the page can connect. Server-Sent Events carry text only. */
export const kinds = [
    { name: "WebSockets, JSON", transport: 1, protocol: "JSON" },
    { name: "WebSockets, MessagePack", transport: 1, protocol: "MessagePack" },
    { name: "Server-Sent Events, JSON", transport: 2, protocol: "JSON" },
    { name: "Long polling, JSON", transport: 4, protocol: "JSON" },
    { name: "Long polling, MessagePack", transport: 4, protocol: "MessagePack" },
];

/** How long to wait before the n-th try, in milliseconds; the last is repeated for ever. */
const delays = [0, 300, 1000, 2000, 5000];
const delay = (n) => delays[Math.min(n, delays.length - 1)];

/**
 * Stays connected until the page is closed. When its node ends, it goes on with
 * the next one. Events: "state" (see state, node), "entered" after the new node
 * has let it in, and "problem" with the text as detail.
 */
export class Client extends EventTarget {
    state = "connecting";
    handlers = [];

    /** urls are those of the hub on each node, home is the index of the first one to try. */
    constructor(urls, home, kind) {
        super();
        Object.assign(this, { urls, home, node: home, kind });
    }

    /** Handles a call of the server. Call it before start. */
    on(method, handler) { this.handlers.push([method, handler]); }

    /** Connects, and tries node after node until it has. */
    async start() {
        const connection = this.connection = this.build();
        for (let n = 0; this.connection === connection; n++) {
            try {
                await connection.start();
                if (this.connection === connection) this.enter();
                return;
            } catch (e) {
                if (this.connection !== connection) return;
                this.say("problem", `Not connected: ${e.message}`);
                this.next();
                connection.baseUrl = this.url();
                await new Promise((done) => setTimeout(done, delay(n + 1)));
            }
        }
    }

    /** Connects anew: to the first node of this client, and as kind says. */
    async restart(kind = this.kind) {
        const old = this.connection;
        this.connection = undefined; // what old tells from now on does not matter
        Object.assign(this, { kind, node: this.home });
        this.change("connecting");
        await old.stop();
        await this.start();
    }

    build() {
        const protocol = this.kind.protocol === "JSON" ? new signalR.JsonHubProtocol() : new signalR.protocols.msgpack.MessagePackHubProtocol();
        const connection = new signalR.HubConnectionBuilder()
            .withUrl(this.url(), this.kind.transport)
            .withHubProtocol(protocol)
            .configureLogging(signalR.LogLevel.None) // the page shows what fails
            .withAutomaticReconnect({
                nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => {
                    if (n > 0) {
                        this.next();
                        connection.baseUrl = this.url();
                    }
                    return delay(n);
                },
            })
            .build();
        const current = (act) => (...args) => { if (this.connection === connection) act(...args); };
        for (const [method, handler] of this.handlers) connection.on(method, handler);
        connection.onreconnecting(current(() => {
            // The node is most likely gone: the first try is already for the next one.
            this.next();
            connection.baseUrl = this.url();
            this.change("reconnecting");
        }));
        connection.onreconnected(current(() => this.enter()));
        connection.onclose(current(() => { this.change("connecting"); this.start(); }));
        return connection;
    }

    enter() {
        this.change("connected");
        this.say("entered");
    }

    /** Calls a method of the hub. What fails is shown, and the result is undefined. */
    async call(method, ...args) {
        try {
            const result = await this.connection.invoke(method, ...args);
            this.say("problem", "");
            return result;
        } catch (e) {
            this.say("problem", reason(e));
            return undefined;
        }
    }

    next() { this.node = (this.node + 1) % this.urls.length; }
    url() { return new URL(this.urls[this.node], location.href).href; }
    change(state) { this.state = state; this.say("state"); }
    say(event, detail) { this.dispatchEvent(new CustomEvent(event, { detail })); }
}

/** What an error of the library says about the hub's own error. */
export function reason(e) {
    const [, text] = /HubException: (.*)/s.exec(e.message) ?? [];
    return text ?? e.message;
}
