import { ChangeDetectionStrategy, Component, computed, input } from "@angular/core";

const width = 320, height = 120, margin = 6;

/** A line of the numbers so far. The numbers of the hub's stream grow, so what is drawn is what a wave makes of them. */
@Component({
  selector: "app-chart",
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <svg viewBox="0 0 320 120" role="img" [attr.aria-label]="points().length + ' items of the stream'">
      @for (y of [6, 33, 60, 87, 114]; track y) { <line class="grid" x1="0" x2="320" [attr.y1]="y" [attr.y2]="y" /> }
      <polyline class="line" [attr.points]="line()" />
      @if (last(); as p) { <circle class="dot" r="4" [attr.cx]="p[0]" [attr.cy]="p[1]" /> }
    </svg>`,
  styles: `
    svg { display: block; width: 100%; height: auto; }
    .grid { stroke: var(--edge); stroke-width: 1; }
    .line { fill: none; stroke: var(--accent); stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
    .dot { fill: var(--accent); }`,
})
export class Chart {
  readonly points = input.required<readonly number[]>();
  /** How many items the whole width holds. */
  readonly count = input.required<number>();

  private readonly places = computed(() => this.points().map((n, i): [number, number] => {
    const wave = Math.sin(n / 4) * 0.6 + Math.sin(n / 1.7) * 0.4; // from -1 to 1
    return [margin + (i / Math.max(1, this.count() - 1)) * (width - 2 * margin), height / 2 - wave * (height / 2 - margin)];
  }));
  readonly line = computed(() => this.places().map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
  readonly last = computed(() => this.places().at(-1));
}
