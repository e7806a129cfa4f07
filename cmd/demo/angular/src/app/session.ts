import { EnvironmentInjector, Injectable, InjectionToken, computed, createEnvironmentInjector, inject, signal } from "@angular/core";
import { HttpTransportType, HubConnectionState } from "@microsoft/signalr";
import type { Observable } from "rxjs";
import { type Hub, ROUTE, type Route, connect, goOn } from "./connect";
import { Fleet, reason } from "./fleet";
import * as json from "./post-hub";
import * as packed from "./post-hub.messagepack";
import { rooms } from "./rooms";
import { Seat } from "./seat";

/** As long as the hub waits for an answer, in milliseconds. */
const answerTime = 30_000;

/** A question of the server, and what answers it. */
export interface Question { from: string; text: string; answer: (text: string) => void }

/** Where a client is. id is that of its connection. */
interface Place { id: string; node: string; transport: string }

const HUB = new InjectionToken<Hub>("the hub, on one connection");

/** An injector of its own for a session of the seat: to destroy it ends the connection. */
export function sessionOf(seat: Seat, route: Route, parent: EnvironmentInjector): EnvironmentInjector {
  const hub = route.kind.protocol === "JSON"
    ? [json.providePostHub(() => connect(route)), { provide: HUB, useExisting: json.PostHubService }]
    : [packed.providePostHub(() => connect(route)), { provide: HUB, useExisting: packed.PostHubService }];
  return createEnvironmentInjector([hub, { provide: ROUTE, useValue: route }, { provide: Seat, useValue: seat }, Session], parent);
}

/** A client of the hub: it enters each node that its connection comes to. */
@Injectable()
export class Session {
  readonly hub = inject(HUB);
  readonly route = inject(ROUTE);
  readonly problem = signal("");
  readonly question = signal<Question | undefined>(undefined);

  /** Where the server says that the client is; undefined until it has entered. */
  readonly at = signal<Place | undefined>(undefined);

  /** Whether the hub knows its clients by name, and has all that this page can show. */
  readonly named = signal(true);

  readonly connected = computed(() => this.hub.state() === HubConnectionState.Connected);
  readonly state = computed(() => this.connected() ? "connected" : this.hub.state() === HubConnectionState.Reconnecting ? "reconnecting" : "connecting");

  private readonly seat = inject(Seat);
  private readonly fleet = inject(Fleet);
  private last = ""; // the node that it was on

  constructor() {
    const { hub, seat: { rooms: lines } } = this;
    hub.said$.subscribe(({ room, name, text }) => lines.said(room, name, text));
    hub.receiveMessage$.subscribe(({ user, text }) => lines.said(rooms[0], user, text));
    hub.receive$.subscribe((text) => lines.said(lines.current(), "somebody", text));
    const posts: Observable<{ title: string; publishedAt: string | Date }> = hub.postPublished$;
    posts.subscribe((post) => lines.tell("post", `Published: ${post.title}, ${new Date(post.publishedAt).toLocaleTimeString()}`));
    // Somebody else may have stopped the node: in the terminal, or on another page.
    hub.nodeChanged$.subscribe(({ node, running }) => this.fleet.changed(node, running));
    hub.onQuestion((from, text) => this.asked(from, text));
    hub.state$.subscribe((state) => { if (state !== HubConnectionState.Connected) this.at.set(undefined); });
    hub.errors$.subscribe((e) => {
      const { connection } = hub;
      if (connection.state === HubConnectionState.Connected) this.problem.set(reason(e)); // of join
      if (connection.state !== HubConnectionState.Disconnected) return;
      this.problem.set(`Not connected: ${reason(e)}`);
      goOn(connection, this.route); // the service starts it again
    });
    hub.rejoin(() => this.join()); // a group is of a connection: a new one is in none
    hub.start();
  }

  private async join(): Promise<void> {
    if (this.seat.pane.path === "") for (const room of rooms) await this.hub.joinGroup(room);
    await this.enter();
  }

  /** Says who the client is. */
  async enter(): Promise<void> {
    let at: Place;
    try {
      at = await this.hub.enter(this.seat.name());
      this.named.set(true);
    } catch (e) {
      // While a fleet is upgraded it has nodes of an older version, too. One that knows no names has the rooms all the same.
      if (reason(e) !== "Method does not exist.") throw e;
      const { connectionId, baseUrl } = this.hub.connection;
      const node = this.fleet.nodes().find((n) => new URL(`${n.url}${this.seat.pane.path}/hub`, location.href).href === baseUrl);
      at = { id: connectionId ?? "", node: node?.name ?? baseUrl, transport: HttpTransportType[this.route.kind.transport] };
      this.named.set(false);
    }
    this.problem.set("");
    this.at.set(at);
    if (this.last !== "" && this.last !== at.node) this.seat.rooms.tell("note", `Now on ${at.node}, in the same rooms`);
    this.last = at.node;
  }

  /** Says something in the room that the client looks at. */
  say(text: string): Promise<void> {
    const room = this.seat.rooms.current();
    return this.attempt(() => this.named() ? this.hub.say(room, text) : this.hub.sendToGroup(room, text));
  }

  /** Shows what goes wrong. */
  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.problem.set("");
    } catch (e) {
      this.problem.set(reason(e));
    }
  }

  private asked(from: string, text: string): Promise<string> {
    if (this.question()) throw new Error("another question comes first");
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.question.set(undefined);
        reject(new Error("no answer"));
      }, answerTime);
      const answer = (words: string) => {
        clearTimeout(timer);
        this.question.set(undefined);
        resolve(words);
      };
      this.question.set({ from, text, answer });
    });
  }
}
