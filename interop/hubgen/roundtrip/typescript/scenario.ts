// Calls every method of Types with one protocol, and checks what comes back.
import { HubConnectionBuilder, JsonHubProtocol, LogLevel, Subject } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import { look, row } from "./look.js";
import { Color, TypesHub, type Everything } from "./types.js";

declare const process: { argv: string[]; exit(status: number): never };

const [, , url, protocol] = process.argv;
const problems: string[] = [];

/** Notes what is not as it should be. */
export function check(what: string, got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    problems.push(`${protocol}: ${what} is ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
}

/** A promise, and what ends it. */
function event<T>(): { came: Promise<T>; come: (value: T) => void } {
  let come!: (value: T) => void;
  return { came: new Promise<T>((resolve) => (come = resolve)), come };
}

async function main(): Promise<void> {
  const connection = new HubConnectionBuilder()
    .withUrl(url + "/types")
    .withHubProtocol(protocol === "messagepack" ? new MessagePackHubProtocol() : new JsonHubProtocol())
    .withAutomaticReconnect([0, 0, 0])
    .configureLogging(LogLevel.None)
    .build();
  const hub = new TypesHub(connection);
  let joins = 0;
  let joined = event<void>();
  await hub.startAndRejoin(async () => {
    await hub.join();
    joins++;
    joined.come();
  });

  const sample = await hub.sample();
  look(sample, check);
  check("check", await hub.check(sample), "");

  check("row", await hub.turn(row), protocol === "messagepack" ? [2, "a"] : { number: 2, text: "a" });

  let told = event<Everything>();
  const off = hub.onTold((value) => told.come(value));
  let once = 0;
  hub.onceTold(() => { once++; });
  const never = hub.onceTold(() => { once += 100; });
  never();
  hub.onAsked((value, color, none) => {
    check("color", color, Color.darkblue);
    check("none", none, null);
    return value;
  });
  check("ask", await hub.ask(), "");
  check("told", await told.came, sample);
  check("ask", await hub.ask(), "");
  check("handlers that are called once", once, 1);

  let items = 0;
  await new Promise<void>((complete, error) => hub.stream().subscribe({
    next: (item) => { items++; check("item", item, sample); }, complete, error,
  }));
  check("items", items, 2);

  const values = new Subject<Everything>();
  const uploaded = hub.upload(values);
  for (let i = 0; i < 3; i++) {
    values.next(sample);
  }
  values.complete();
  check("uploaded", await uploaded, 3);

  // A new connection is in no group until the client has joined again.
  joined = event<void>();
  await fetch(url + "/drop", { method: "POST" });
  await joined.came;
  check("joins", joins, 2);
  told = event<Everything>();
  await hub.tellGroup();
  check("told in the group", await told.came, sample);
  off();

  // Closed for good, it may be started again: the function joins once.
  await connection.stop();
  await hub.startAndRejoin(async () => { joins++; });
  joined = event<void>();
  check("joins", joins, 3);
  await connection.stop();

  console.log(problems.length === 0 ? "ok" : problems.join("\n"));
}

main().catch((error: unknown) => {
  console.log(problems.join("\n"), error);
  process.exit(1);
});
