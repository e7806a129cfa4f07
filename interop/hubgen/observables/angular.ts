import "@angular/compiler"; // no program of Angular's links its packages here
import { type EnvironmentInjector, Injector, createEnvironmentInjector, inject, InjectionToken } from "@angular/core";
import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { filter, firstValueFrom } from "rxjs";
import { check, nobody, problems, scenario } from "./scenario.js";
import { TypesHubService, provideTypesHub } from "./types.js";

declare const process: { argv: string[] };

const url = process.argv[2]!;
console.info = console.warn = console.error = () => {}; // the client logs that its connection was cut

const none = Injector.NULL as unknown as EnvironmentInjector;
const injector = createEnvironmentInjector([provideTypesHub(url + "/types")], none);
const hub = injector.get(TypesHubService);
check("one service", hub === injector.get(TypesHubService), true);
check("state", hub.state(), "Disconnected");
check("nothing was told", hub.lastTold(), undefined);
await scenario(hub, url);
check("state", hub.state(), "Connected");
check("told last", hub.lastTold()?.name, "Zoë");
injector.destroy();
await firstValueFrom(hub.state$.pipe(filter((state) => state === "Disconnected")));

// A function may inject.
const address = new InjectionToken<string>("address");
const other = createEnvironmentInjector([
  { provide: address, useValue: "http://127.0.0.1:1/types" },
  provideTypesHub(() => new HubConnectionBuilder().withUrl(inject(address)).configureLogging(LogLevel.None).build()),
], none);
await nobody(other.get(TypesHubService));
other.destroy();
console.log(problems.length === 0 ? "ok" : problems.join("\n"));
