import { ChangeDetectionStrategy, Component, type ElementRef, afterRenderEffect, input, viewChild } from "@angular/core";
import { type Rooms, rooms } from "./rooms";
import type { Session } from "./session";

/** The rooms of a client, and what was said and published there. A silent client has no rooms. */
@Component({
  selector: "section[appChat]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (!silent()) {
      <div class="rooms" role="group" aria-label="Rooms">
        @for (name of names; track name) {
          <button type="button" [attr.aria-pressed]="name === rooms().current()" (click)="rooms().look(name)">{{ name
            }}@if (rooms().unread(name); as n) {<span class="unread">{{ n }}<span class="only-read"> unread</span></span>}</button>
        }
      </div>
    }
    <ol #list class="lines" role="log" aria-live="polite" aria-label="What was said and published" tabindex="0">
      @for (line of rooms().lines(); track line.id) {
        <li [class]="line.kind">@if (line.kind === "said") { <b>{{ line.who }}</b> {{ line.text }} } @else { {{ line.text }} }</li>
      }
    </ol>
    @if (!silent()) {
      <form class="row say" (submit)="say($event, text)">
        <input #text class="text grow" aria-label="Message" placeholder="Say something" autocomplete="off"><button>Send</button>
      </form>
    }`,
})
export class Chat {
  readonly session = input.required<Session>();
  readonly rooms = input.required<Rooms>();
  readonly silent = input(false);
  readonly names = rooms;
  private readonly list = viewChild.required<ElementRef<HTMLElement>>("list");

  constructor() {
    afterRenderEffect(() => {
      this.rooms().lines(); // the latest is seen
      const list = this.list().nativeElement;
      list.scrollTop = list.scrollHeight;
    });
  }

  say(event: Event, input: HTMLInputElement): void {
    event.preventDefault();
    const text = input.value.trim();
    if (text === "") return;
    input.value = "";
    void this.session().say(text);
  }
}
