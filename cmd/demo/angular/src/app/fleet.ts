import { Injectable, computed, inject, signal } from "@angular/core";
import { CONFIG, type Node } from "./config";

/** The nodes, and what one asks of them by HTTP. */
@Injectable({ providedIn: "root" })
export class Fleet {
  readonly nodes = signal<readonly Node[]>(inject(CONFIG).nodes);

  /** The node that the page asks: the first one that runs. */
  readonly first = computed(() => this.nodes().find((n) => n.running) ?? this.nodes()[0]!);

  /** What a request was answered. */
  readonly said = signal("");

  /** What is happening to node 1. */
  readonly switching = signal<"" | "Starting …" | "Stopping …">("");

  /** Notes that a node runs or not. */
  changed(name: string, running: boolean): void {
    this.nodes.update((all) => all.map((n) => (n.name === name ? { ...n, running } : n)));
  }

  /** Stops node 1 by a request to node 2, or starts it again. */
  async switch(): Promise<void> {
    const [one, two] = this.nodes();
    if (!one || !two || this.switching() !== "") return;
    const running = !one.running;
    this.switching.set(running ? "Starting …" : "Stopping …");
    try {
      const answer = await fetch(`${two.url}/api/nodes/1/${running ? "start" : "stop"}`, { method: "POST" });
      if (!answer.ok) throw new Error((await answer.text()).trim());
      this.changed(one.name, running);
      this.said.set("");
    } catch (e) {
      this.said.set(reason(e));
    }
    this.switching.set("");
  }

  /** Publishes post 42 as any program would. */
  async publish(): Promise<void> {
    const { name, url } = this.first();
    const problem = await this.post(url, 42);
    this.said.set(problem === "" ? `sent by ${name}` : `${name}: ${problem}`);
  }

  /** Publishes a post in the app at url, and returns what went wrong, or "". */
  async post(url: string, id: number): Promise<string> {
    try {
      const answer = await fetch(`${url}/api/posts/${id}/publish`, { method: "POST" });
      return answer.ok ? "" : `it answers ${answer.status}`;
    } catch (e) {
      return reason(e);
    }
  }
}

/** What an error says: of those of the hub, the hub's own words. */
export function reason(e: unknown): string {
  const text = e instanceof Error ? e.message : String(e);
  return /HubException: (.*)/s.exec(text)?.[1] ?? text;
}
