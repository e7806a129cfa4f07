import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import { check, nobody, problems, scenario } from "./scenario.js";
import { TypesHub } from "./types.js";

declare const process: { argv: string[] };

const url = process.argv[2]!;

const build = (url: string): TypesHub => new TypesHub(new HubConnectionBuilder()
  .withUrl(url)
  .withHubProtocol(new MessagePackHubProtocol())
  .withAutomaticReconnect([0, 0, 0])
  .configureLogging(LogLevel.None)
  .build());

const hub = build(url + "/types");
await scenario(hub, url);
await hub.stop();
check("the end", hub.connection.state, "Disconnected");
await nobody(build("http://127.0.0.1:1/types"));
console.log(problems.length === 0 ? "ok" : problems.join("\n"));
