import { ChangeDetectionStrategy, Component, DestroyRef, type ElementRef, computed, inject, input, signal, viewChild } from "@angular/core";
import { type HubConnection, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { kinds } from "./connect";
import { Fleet, reason } from "./fleet";
import { rooms } from "./rooms";

/** A request that the balancer has given to a node. status is 0 while it has no answer, owner "" while no node has the connection. */
interface Request { number: number; method: string; what: string; node: string; owner: string; status: number }

/** How many requests are shown. */
const most = 40;

/** One more client, whose requests a balancer gives to one node after the other. */
@Component({
  selector: "section[appAnyNode]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { class: "any", "aria-label": "Any node" },
  templateUrl: "./any-node.html",
})
export class AnyNode {
  /** URL of the balancer. */
  readonly balancer = input.required<string>();

  readonly kinds = kinds.filter((kind) => kind.protocol === "JSON" && !kind.name.startsWith("WebSockets")).reverse();
  readonly requests = signal<readonly Request[]>([]);
  readonly state = signal("");
  readonly heard = signal("");
  readonly there = signal(false);
  readonly connected = computed(() => this.state().startsWith("connected"));

  private readonly nodes = inject(Fleet).nodes;
  private readonly by = viewChild.required<ElementRef<HTMLSelectElement>>("by");
  private connection: HubConnection | undefined;
  private watched: EventSource | undefined;

  constructor() {
    inject(DestroyRef).onDestroy(() => void this.leave());
  }

  /** What colours the name of a node. */
  colour(name: string): string {
    return ["one", "two", "three", "four", "five"][this.nodes().findIndex((n) => n.name === name)] ?? "";
  }

  async toggle(): Promise<void> {
    if (this.there()) return this.leave();
    this.there.set(true);
    try {
      await this.connect(Number(this.by().nativeElement.value));
    } catch (e) {
      if (!this.there()) return; // the user has left meanwhile
      await this.leave();
      this.state.set(reason(e));
    }
  }

  async hello(): Promise<void> {
    try {
      await this.connection?.invoke("Say", rooms[0], "hello, by way of any node");
    } catch (e) {
      this.heard.set(reason(e));
    }
  }

  private async connect(transport: number): Promise<void> {
    // The balancer shows a page the requests that have its word.
    const word = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16)).join("");
    this.requests.set([]);
    this.state.set("connecting");
    const watched = this.watched = new EventSource(`${this.balancer()}/requests?watch=${word}`);
    watched.onmessage = ({ data }) => this.show(JSON.parse(data as string) as Request);
    await new Promise<void>((open, fail) => {
      watched.onopen = () => open();
      watched.onerror = () => fail(new Error("the balancer does not answer"));
    });
    const connection = this.connection = new HubConnectionBuilder()
      .withUrl(`${this.balancer()}/hub?watch=${word}`, transport)
      .configureLogging(LogLevel.None)
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => Math.min(n * 500, 5000) })
      .build();
    connection.on("Said", (_room: string, name: string, text: string) => this.heard.set(`${name}: ${text}`));
    connection.on("ReceiveMessage", (name: string, text: string) => this.heard.set(`${name}: ${text}`));
    connection.on("PostPublished", (post: { title: string }) => this.heard.set(`published: ${post.title}`));
    for (const method of ["PeopleChanged", "NodeChanged", "receive"]) connection.on(method, () => {});
    connection.on("Question", () => "Whatever node it comes by: tea.");
    connection.onreconnecting(() => this.state.set("reconnecting"));
    connection.onreconnected(() => this.enter(connection).catch((e: unknown) => this.state.set(reason(e))));
    connection.onclose(() => this.leave());
    await connection.start();
    await this.enter(connection);
  }

  private async enter(connection: HubConnection): Promise<void> {
    for (const room of rooms) await connection.invoke("JoinGroup", room);
    const { node } = await connection.invoke<{ node: string }>("Enter", "Alan");
    this.state.set(`connected: ${node} has the connection`);
  }

  private show(request: Request): void {
    this.requests.update((all) => {
      const at = all.findIndex((r) => r.number === request.number);
      return (at < 0 ? [request, ...all] : all.with(at, request)).slice(0, most);
    });
  }

  private async leave(): Promise<void> {
    const { connection, watched } = this;
    this.connection = this.watched = undefined;
    await connection?.stop();
    watched?.close();
    this.there.set(false);
    this.state.set("");
  }
}
