import { DatePipe } from "@angular/common";
import { ChangeDetectionStrategy, Component, computed, inject, signal } from "@angular/core";
import { Chart } from "./chart";
import { Live } from "./live";

/** The page: posts, what was published, a chat room and a chart. */
@Component({
  selector: "app-root",
  changeDetection: ChangeDetectionStrategy.OnPush,
  imports: [Chart, DatePipe],
  templateUrl: "./app.html",
})
export class App {
  readonly live = inject(Live);
  readonly count = 60;
  readonly rooms = ["Go", "Angular", "Redis"];
  readonly posts = [
    { id: 42, title: "What a hub is" },
    { id: 43, title: "Two nodes, one Redis" },
    { id: 44, title: "When a node goes away" },
  ];
  readonly draft = signal("");
  readonly online = computed(() => this.live.state() === "connected");
  readonly published = computed(() => new Set(this.live.notices().map((n) => n.post.id)));

  constructor() { void this.live.start(); }

  text(event: Event): void { this.draft.set((event.target as HTMLInputElement).value); }

  send(event: Event): void {
    event.preventDefault();
    const line = this.draft().trim();
    if (line === "") return;
    this.draft.set("");
    void this.live.say(line);
  }
}
