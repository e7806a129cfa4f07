import { ChangeDetectionStrategy, Component, type ElementRef, input, viewChild } from "@angular/core";
import type { Question } from "./session";

/** The server asks, the user answers. */
@Component({
  selector: "form[appAsked]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { "(submit)": "send($event)" },
  template: `
    <p role="alert"><b class="from">{{ question().from }}</b> asks: <span class="asked">{{ question().text }}</span></p>
    <div class="row"><input #words class="answer grow" aria-label="Your answer" autocomplete="off"><button class="main">Answer</button></div>`,
})
export class Asked {
  readonly question = input.required<Question>();

  private readonly words = viewChild.required<ElementRef<HTMLInputElement>>("words");

  send(event: Event): void {
    event.preventDefault();
    const words = this.words().nativeElement.value.trim();
    if (words !== "") this.question().answer(words);
  }
}
