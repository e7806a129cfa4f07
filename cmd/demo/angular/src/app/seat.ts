import { type WritableSignal, signal } from "@angular/core";
import type { Pane } from "./config";
import { Rooms } from "./rooms";

/** What a client keeps while its connections come and go. */
export class Seat {
  readonly name: WritableSignal<string>;
  readonly rooms = new Rooms();

  constructor(readonly pane: Pane) { this.name = signal(pane.user); }
}
