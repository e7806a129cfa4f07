import { InjectionToken } from "@angular/core";
import { HttpTransportType, type HubConnection, HubConnectionBuilder, JsonHubProtocol, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import type * as json from "./post-hub";
import type * as packed from "./post-hub.messagepack";

/** The generated service, for either protocol: they differ in dates and bytes only. */
export type Hub = json.PostHubService | packed.PostHubService;

/** A way to connect. */
export interface Kind { name: string; transport: HttpTransportType; protocol: "JSON" | "MessagePack" }

/** Server-Sent Events carry text only. */
export const kinds: readonly Kind[] = [
  { name: "WebSockets, JSON", transport: HttpTransportType.WebSockets, protocol: "JSON" },
  { name: "WebSockets, MessagePack", transport: HttpTransportType.WebSockets, protocol: "MessagePack" },
  { name: "Server-Sent Events, JSON", transport: HttpTransportType.ServerSentEvents, protocol: "JSON" },
  { name: "Long polling, JSON", transport: HttpTransportType.LongPolling, protocol: "JSON" },
  { name: "Long polling, MessagePack", transport: HttpTransportType.LongPolling, protocol: "MessagePack" },
];

/** Where and how a client connects: the URLs of the hub on each node, the first one to try first. */
export interface Route { urls: readonly string[]; kind: Kind }

export const ROUTE = new InjectionToken<Route>("where and how to connect");

/** How long to wait before the n-th try, in milliseconds; the last is repeated for ever. */
const delays = [0, 300, 1000, 2000, 5000];

/** A connection that reconnects for ever, to one node after the other. */
export function connect(route: Route): HubConnection {
  const connection = new HubConnectionBuilder()
    .withUrl(route.urls[0]!, route.kind.transport)
    .withHubProtocol(route.kind.protocol === "JSON" ? new JsonHubProtocol() : new MessagePackHubProtocol())
    .configureLogging(LogLevel.None) // the page shows what fails
    .withAutomaticReconnect({
      nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => {
        if (n > 0) goOn(connection, route);
        return delays[Math.min(n, delays.length - 1)]!;
      },
    })
    .build();
  connection.onreconnecting(() => goOn(connection, route)); // the node is most likely gone
  return connection;
}

/** Makes the next try one for the next node. */
export function goOn(connection: HubConnection, { urls }: Route): void {
  connection.baseUrl = urls[(urls.indexOf(connection.baseUrl) + 1) % urls.length]!;
}
