import { ChangeDetectionStrategy, Component, input, signal } from "@angular/core";
import { reason } from "./fleet";
import type { Person } from "./post-hub";
import type { Session } from "./session";

/** Who is here, on all nodes, and a question to each of them. */
@Component({
  selector: "section[appPeople]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <h3>Who is here</h3>
    <ul class="people">
      @for (person of session().hub.lastPeopleChanged(); track person.id) {
        <li>
          <span class="who">{{ person.name }}<small>{{ person.id === session().at()?.id ? " (this client)" : "" }} {{ person.node }}, {{ person.transport }}</small></span>
          @if (person.id !== session().at()?.id) { <button type="button" (click)="ask(person)">Ask {{ person.name }}</button> }
        </li>
      }
    </ul>
    <p class="reply" role="status">{{ reply() }}</p>`,
})
export class People {
  readonly session = input.required<Session>();
  readonly reply = signal("");

  async ask({ id, name }: Person): Promise<void> {
    this.reply.set(`${name} is asked …`);
    try {
      this.reply.set(`${name} answers: ${await this.session().hub.ask(id, "Tea or coffee?")}`);
    } catch (e) {
      this.reply.set(`${name}: ${reason(e)}`);
    }
  }
}
