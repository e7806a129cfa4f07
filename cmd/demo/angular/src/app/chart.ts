import { ChangeDetectionStrategy, Component, computed, input, signal } from "@angular/core";
import { toObservable, toSignal } from "@angular/core/rxjs-interop";
import { HubConnectionState } from "@microsoft/signalr";
import { EMPTY, type Observable, catchError, combineLatest, scan, switchMap } from "rxjs";
import type { Session } from "./session";

/** How many values the whole width holds. */
const points = 120;

/** A stream of the hub, begun again on each node that the client comes to. */
@Component({
  selector: "div[appChart]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <h3>Memory of the node</h3>
    <div class="row">
      <button type="button" class="chart" (click)="wanted.set(!wanted())">{{ wanted() ? "Stop the chart" : "Start the chart" }}</button>
      <output class="now">{{ now() }}</output>
    </div>
    <svg viewBox="0 0 240 60" preserveAspectRatio="none" role="img" aria-label="Memory of the node" [attr.data-items]="drawn().items">
      <polyline [attr.points]="line()" />
    </svg>`,
})
export class Chart {
  readonly session = input.required<Session>();
  readonly wanted = signal(false);

  private readonly values: Observable<number> = combineLatest([toObservable(this.wanted), toObservable(this.session)]).pipe(
    switchMap(([wanted, session]) => (wanted ? megabytes(session) : EMPTY)),
  );

  /** The latest values, and how many there were. */
  readonly drawn = toSignal(
    this.values.pipe(scan(({ items, latest }, value) => ({ items: items + 1, latest: [...latest, value].slice(-points) }), { items: 0, latest: [] as number[] })),
    { initialValue: { items: 0, latest: [] } },
  );

  readonly now = computed(() => {
    const value = this.drawn().latest.at(-1);
    return value === undefined ? "" : `${value.toFixed(1)} MB`;
  });

  readonly line = computed(() => {
    const { latest } = this.drawn();
    const low = Math.min(...latest), height = Math.max(...latest) - low || 1;
    return latest.map((v, i) => `${((i * 240) / (points - 1)).toFixed(1)},${(54 - ((v - low) / height) * 48).toFixed(1)}`).join(" ");
  });
}

/** The memory of each node that the session comes to. A stream that fails has ended with its connection. */
function megabytes({ hub }: Session): Observable<number> {
  return hub.state$.pipe(switchMap((state) => (state === HubConnectionState.Connected ? hub.memory().pipe(catchError(() => EMPTY)) : EMPTY)));
}
