import { ChangeDetectionStrategy, Component, DestroyRef, EnvironmentInjector, type OnInit, computed, inject, input, signal } from "@angular/core";
import { Chat } from "./chat";
import { Chart } from "./chart";
import { type Pane } from "./config";
import { kinds } from "./connect";
import { Fleet } from "./fleet";
import { People } from "./people";
import { Asked } from "./asked";
import { Seat } from "./seat";
import { Session, sessionOf } from "./session";
import { Upload } from "./upload";

/** One client. */
@Component({
  selector: "section[appPane]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  imports: [Asked, Chart, Chat, People, Upload],
  host: { class: "pane", "[class.other]": "other()", "[id]": "'client-' + pane().key" },
  templateUrl: "./pane.html",
})
export class ClientPane implements OnInit {
  readonly pane = input.required<Pane>();
  readonly kinds = kinds;
  readonly kind = signal(kinds[0]!);
  readonly session = signal<Session | undefined>(undefined);

  /** A client of another app, which is on one node only. */
  readonly other = computed(() => this.pane().path !== "");

  readonly heading = computed(() => this.other() ? "A client of another app"
    : this.fleet.nodes().length > 1 ? `Client ${this.pane().key}, at home on ${this.home().name}` : `Client ${this.pane().key}`);

  /** The node that the client was at first. */
  readonly home = computed(() => this.fleet.nodes()[this.pane().home]!);

  /** A client goes home when its user wants it to: nothing makes it leave a node that works. */
  readonly away = computed(() => {
    const at = this.session()?.at();
    return at !== undefined && at.node !== this.home().name && this.home().running;
  });

  /** What colours the name of the client's node. */
  readonly colour = computed(() => ["one", "two", "three", "four", "five"][this.fleet.nodes().findIndex((n) => n.name === this.session()?.at()?.node)] ?? "");

  private readonly fleet = inject(Fleet);
  private readonly parent = inject(EnvironmentInjector);
  private injector: EnvironmentInjector | undefined; // of the session
  private starts = 0;
  protected seat!: Seat;

  constructor() {
    inject(DestroyRef).onDestroy(() => this.injector?.destroy());
  }

  ngOnInit(): void {
    this.seat = new Seat(this.pane());
    void this.start(kinds[this.pane().key === "B" ? 1 : 0]!);
  }

  /** Connects, or connects anew: to the first node of this client, and as kind says. */
  async start(kind = this.kind()): Promise<void> {
    const turn = ++this.starts;
    this.kind.set(kind);
    await this.session()?.hub.stop();
    if (turn !== this.starts) return; // the user has chosen again
    this.injector?.destroy();
    const nodes = this.fleet.nodes(), { home, path } = this.pane();
    const own = this.other() ? [nodes[home]!] : [...nodes.slice(home), ...nodes.slice(0, home)];
    const urls = own.map((n) => new URL(`${n.url}${path}/hub`, location.href).href);
    this.injector = sessionOf(this.seat, { urls, kind }, this.parent);
    this.session.set(this.injector.get(Session));
  }

  choose(event: Event): void { void this.start(kinds[(event.target as HTMLSelectElement).selectedIndex]); }

  rename(event: Event, session: Session): void {
    this.seat.name.set((event.target as HTMLInputElement).value);
    void session.attempt(() => session.enter());
  }

  /** Publishes a post in the other app. */
  publish(session: Session): void {
    void session.attempt(async () => {
      const problem = await this.fleet.post(this.home().url + this.pane().path, 7);
      if (problem !== "") throw new Error(`${this.home().name}: ${problem}`);
    });
  }
}
