import { Injectable, signal } from "@angular/core";
import { HubConnection, HubConnectionBuilder, HubConnectionState, ISubscription, LogLevel } from "@microsoft/signalr";
import { Post, PostHub } from "./post-hub";

/** A post as it arrived here. */
export interface Notice { post: Post; arrived: Date }

/** How long to wait before the n-th try to reconnect, in milliseconds; the last is repeated for ever. */
const delays = [0, 300, 1000, 2000, 5000];

/** How many notices and chat lines are kept. */
const kept = 50;

/**
 * The connection to the hub, on one of several nodes. When a node ends, the
 * same connection goes on with the next, and joins its group again: a group is
 * of a connection, and the new node knows a new connection.
 *
 * The query says where: ?nodes=/n1,/n2&hub=/hub, or whole URLs. Without it, the
 * node is the one that serves the page.
 */
@Injectable({ providedIn: "root" })
export class Live {
  readonly state = signal<"connecting" | "connected" | "reconnecting">("connecting");
  readonly node = signal("");
  readonly tries = signal(0);
  readonly notices = signal<readonly Notice[]>([]);
  readonly chat = signal<readonly string[]>([]);
  readonly room = signal("");
  readonly points = signal<readonly number[]>([]);
  readonly streaming = signal(false);
  readonly problem = signal("");

  private readonly nodes: string[];
  private readonly hub: string;
  private readonly connection: HubConnection;
  private readonly server: PostHub;
  private current = 0;
  private stream?: ISubscription<number>;

  constructor() {
    const query = new URLSearchParams(location.search);
    this.nodes = (query.get("nodes") ?? "").split(",").map((n) => n.replace(/\/$/, ""));
    this.hub = query.get("hub") ?? "/hub";
    this.node.set(this.name());
    this.connection = new HubConnectionBuilder()
      .withUrl(this.url())
      .configureLogging(LogLevel.None)
      .withAutomaticReconnect({
        nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => {
          // Before the first try the connection does not yet take another URL; that try is for the same node.
          if (n > 0) this.next(n);
          return delays[Math.min(n, delays.length - 1)];
        },
      })
      .build();
    this.server = new PostHub(this.connection);
    this.server.onPostPublished((post) =>
      this.notices.update((all) => [{ post, arrived: new Date() }, ...all].slice(0, kept)));
    this.server.onReceive((line) => this.chat.update((all) => [...all, line].slice(-kept)));
    this.connection.onreconnecting(() => {
      this.state.set("reconnecting");
      this.tries.set(1);
      this.streaming.set(false);
    });
    this.connection.onreconnected(() => void this.connected());
    // A server may close for good; this page would rather be connected.
    this.connection.onclose(() => void this.start());
  }

  /** Connects, and tries until it has: automatic reconnects begin after a first success. */
  async start(): Promise<void> {
    for (let n = 0; this.connection.state === HubConnectionState.Disconnected; n++) {
      try {
        await this.connection.start();
        await this.connected();
      } catch {
        this.state.set("reconnecting");
        await new Promise((done) => setTimeout(done, delays[Math.min(n + 1, delays.length - 1)]));
        this.next(n + 1);
      }
    }
  }

  /** Publishes a post by HTTP, on the node of this client. */
  async publish(id: number): Promise<void> {
    await this.attempt("The post was not published", async () => {
      const answer = await fetch(`${this.nodes[this.current]}/api/posts/${id}/publish`, { method: "POST" });
      if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
    });
  }

  async enter(room: string): Promise<void> {
    await this.attempt("The room was not entered", async () => {
      if (this.room() !== "") await this.server.leave(this.room());
      await this.server.joinGroup(room);
      this.room.set(room);
      this.chat.set([]);
    });
  }

  async say(line: string): Promise<void> {
    await this.attempt("The message was not sent", () => this.server.sendToGroup(this.room(), line));
  }

  /** Draws a stream of the hub, from its first item. */
  startStream(count: number, milliseconds: number): void {
    this.points.set([]);
    this.streaming.set(true);
    this.stream = this.server.counter(count, milliseconds).subscribe({
      next: (n) => this.points.update((all) => [...all, n]),
      complete: () => this.streaming.set(false),
      error: (e: Error) => { this.streaming.set(false); this.problem.set(`The stream has ended: ${e.message}`); },
    });
  }

  stopStream(): void {
    this.stream?.dispose();
    this.streaming.set(false);
  }

  private async connected(): Promise<void> {
    this.state.set("connected");
    this.tries.set(0);
    this.problem.set("");
    this.node.set(this.name());
    const room = this.room();
    if (room !== "") await this.attempt("The room was not entered again", () => this.server.joinGroup(room));
  }

  private next(tries: number): void {
    this.current = (this.current + 1) % this.nodes.length;
    this.connection.baseUrl = this.url();
    this.tries.set(tries + 1);
  }

  /** Absolute: what replaces the URL of a connection is taken as it is. */
  private url(): string { return new URL(this.nodes[this.current] + this.hub, location.href).href; }

  private name(): string { return this.nodes[this.current].replace(/^https?:\/\//, "") || location.host; }

  private async attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.problem.set("");
    } catch (e) {
      this.problem.set(`${what}: ${e instanceof Error ? e.message : String(e)}`);
    }
  }
}
