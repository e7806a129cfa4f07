import { provideZonelessChangeDetection } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";
import { App } from "./app/app";
import { CONFIG, type Config } from "./app/config";

async function start(): Promise<void> {
  const answer = await fetch("config.json");
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  const config = await answer.json() as Config;
  await bootstrapApplication(App, { providers: [provideZonelessChangeDetection(), { provide: CONFIG, useValue: config }] });
}

start().catch((error: unknown) => {
  document.body.textContent = `The page cannot start: ${error instanceof Error ? error.message : String(error)}`;
  console.error(error);
});
