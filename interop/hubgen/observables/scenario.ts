// Uses a generated class with observables as an application does.
import { type Observable, BehaviorSubject, Observable as NewObservable, filter, firstValueFrom, from, take, toArray } from "rxjs";
import { Color, TypesHub, type Everything } from "./types.js";

Math.random = () => -0.5; // no delays before a try

export const problems: string[] = [];

/** Notes what is not as it should be. */
export function check(what: string, got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    problems.push(`${what} is ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
}

const first = <T>(values: Observable<T>, wanted: (value: T) => boolean): Promise<T> => firstValueFrom(values.pipe(filter(wanted)));

export async function scenario(hub: TypesHub, url: string): Promise<void> {
  const states: string[] = [];
  hub.state$.subscribe((state) => states.push(state));
  const errors: string[] = [];
  hub.errors$.subscribe((error) => errors.push((error as Error).message));
  const joins = new BehaviorSubject(0);
  const leave = hub.rejoin(async () => {
    await hub.join();
    joins.next(joins.value + 1);
  });
  hub.start();
  hub.start();
  await hub.whenConnected();
  await first(joins, (n) => n === 1);
  hub.start(); // does nothing: joins are counted at the end

  const sample = await hub.sample();
  check("check", await hub.check(sample), "");
  await told(hub, sample);
  const off = hub.onAsked((value, color, none) => (color === Color.darkblue && none === null ? value : ({} as Everything)));
  check("ask", await hub.ask(), "");
  off();

  check("items", await firstValueFrom(hub.stream().pipe(toArray())), [sample, sample]);
  check("endless", await firstValueFrom(hub.endless().pipe(take(3), toArray())), [0, 1, 2]);
  await hub.endlessHasEnded();
  check("uploaded", await hub.upload(from([sample, sample, sample])), 3);
  check("passed on", await firstValueFrom(hub.passOn(from([1, 2, 3])).pipe(toArray())), [1, 2, 3]);
  let ended = false;
  const endless = new NewObservable<Everything>(() => () => { ended = true; });
  const refused = await hub.refuse(endless).catch((error: Error) => error.message);
  check("refused", refused, "An unexpected error occurred invoking 'Refuse' on the server. HubException: Enough.");
  check("a stream to a call that has ended is ended", ended, true);

  await fetch(url + "/drop", { method: "POST" });
  await first(joins, (n) => n === 2);
  await told(hub, sample);
  await hub.end().catch(() => {}); // the answer may come before the end, or not
  await first(joins, (n) => n === 3);
  await told(hub, sample);

  let late = 0;
  const failing = hub.rejoin(async () => { late++; throw new Error("a join that fails"); });
  await first(hub.errors$, (error) => (error as Error).message === "a join that fails");
  check("joins that were late", late, 1);
  failing();

  await hub.stop();
  hub.start();
  await first(joins, (n) => n === 4);
  check("joins", joins.value, 4);
  leave();
  check("states", states, ["Disconnected", "Connecting", "Connected", "Reconnecting", "Connected", "Disconnected", "Connecting",
    "Connected", "Disconnected", "Connecting", "Connected"]);
}

async function told(hub: TypesHub, sample: Everything): Promise<void> {
  const came = firstValueFrom(hub.told$);
  await hub.tellGroup();
  check("told in the group", await came, sample);
}

/** Where there is no server, it tries again until it is stopped. */
export async function nobody(hub: TypesHub): Promise<void> {
  const errors = firstValueFrom(hub.errors$.pipe(take(3), toArray()));
  hub.start();
  check("tries", (await errors).length, 3);
  await hub.stop();
  check("state", await firstValueFrom(hub.state$), "Disconnected");
}
