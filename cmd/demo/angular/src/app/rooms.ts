import { computed, signal } from "@angular/core";

/** Every client is in all rooms, and looks at one. */
export const rooms = ["Lobby", "Go", "Angular"] as const;

/** How many lines a room keeps. */
const kept = 100;

/** What somebody has said, a post, or a note of the page. */
export interface Line { id: number; kind: "said" | "post" | "note"; who: string; text: string }

interface Room { lines: readonly Line[]; unread: number }

/** The rooms of one client. A room keeps what is said while one looks at another. */
export class Rooms {
  private readonly looked = signal<string>(rooms[0]);
  private readonly all = signal<ReadonlyMap<string, Room>>(new Map(rooms.map((name) => [name, { lines: [], unread: 0 }])));
  private last = 0; // id of a line

  /** The room that one looks at. */
  readonly current = this.looked.asReadonly();

  /** Its lines. */
  readonly lines = computed(() => this.all().get(this.looked())!.lines);

  unread(name: string): number { return this.all().get(name)!.unread; }

  look(name: string): void {
    this.looked.set(name);
    this.change(name, (room) => ({ ...room, unread: 0 }));
  }

  /** Adds what somebody says in a room. A room that this page does not know is none of its business. */
  said(name: string, who: string, text: string): void {
    if (!this.all().has(name)) return;
    this.add(name, "said", who, text);
    if (name !== this.looked()) this.change(name, (room) => ({ ...room, unread: room.unread + 1 }));
  }

  /** Adds a line to every room. */
  tell(kind: "post" | "note", text: string): void {
    for (const name of rooms) this.add(name, kind, "", text);
  }

  private add(name: string, kind: Line["kind"], who: string, text: string): void {
    const line = { id: ++this.last, kind, who, text };
    this.change(name, (room) => ({ ...room, lines: [...room.lines, line].slice(-kept) }));
  }

  private change(name: string, to: (room: Room) => Room): void {
    this.all.update((all) => new Map(all).set(name, to(all.get(name)!)));
  }
}
