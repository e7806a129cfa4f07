// Uses every shape that chat.ts has; the compiler checks it.
import { HubConnectionBuilder, Subject } from "@microsoft/signalr";
import { ChatHub, Color, type Line } from "./chat.js";

const chat = new ChatHub(new HubConnectionBuilder().withUrl("/chat").build());

export async function use(): Promise<void> {
  const sent: void = await chat.sendMessage("user", "text");
  const history: Line[] = await chat.history(1, "class");
  const red: boolean = history[0]?.color === Color.Red;
  chat.counter(3).subscribe({ next: (n: number) => n, error: () => {}, complete: () => {} });
  const lines = new Subject<string>();
  const count: number = await chat.upload(lines);
  chat.onReceiveMessage((user: string, line: Line) => `${user} ${line.at} ${sent} ${red} ${count}`);
  chat.onAsk(async (question) => question === "");
  const off: () => void = chat.onBye(() => {});
  off();
  chat.onceReceiveMessage((user, line) => `${user} ${line.at}`);
  await chat.startAndRejoin(() => chat.sendMessage("user", "text"), (error) => console.error(error));
  // @ts-expect-error: a number is no text
  await chat.sendMessage("user", 1);
}
