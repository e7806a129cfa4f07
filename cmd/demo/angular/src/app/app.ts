import { ChangeDetectionStrategy, Component, computed, inject } from "@angular/core";
import { VERSION } from "@microsoft/signalr";
import { AnyNode } from "./any-node";
import { CONFIG } from "./config";
import { Fleet } from "./fleet";
import { ClientPane } from "./pane";

/** The page: nodes, and clients on them. */
@Component({
  selector: "app-root",
  changeDetection: ChangeDetectionStrategy.OnPush,
  imports: [AnyNode, ClientPane],
  host: { "(document:keydown)": "key($event)" },
  templateUrl: "./app.html",
})
export class App {
  readonly config = inject(CONFIG);
  readonly fleet = inject(Fleet);
  readonly version = VERSION;
  readonly several = this.config.nodes.length > 1;
  readonly number = ["no Go node", "a Go node", "two Go nodes", "three Go nodes", "four Go nodes", "five Go nodes"][this.config.nodes.length];
  readonly cards = computed(() => this.fleet.nodes().map((node, i) => ({ ...node, number: i + 1, address: node.url.replace("http://", "") })));

  key(event: KeyboardEvent): void {
    if (!this.several || !event.altKey || event.ctrlKey || event.metaKey || event.code !== "KeyS") return;
    event.preventDefault();
    void this.fleet.switch();
  }
}
