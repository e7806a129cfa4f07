// Package server is a SignalR server: hubs whose methods are those of a Go type,
// called by unchanged @microsoft/signalr and .NET HubConnection clients over
// WebSockets, Server-Sent Events and long polling, in JSON and MessagePack.
//
//	type Chat struct{}
//
//	// Clients call the exported methods.
//	func (Chat) Say(call *server.Call, room, text string) error {
//		return call.Clients().Group(room).Send(call.Context(), "Said", text)
//	}
//
//	hub, err := server.NewHub(Chat{}, nil) // or MustHub; a nil *Options means SignalR's defaults
//	server.Mount(mux, "/chat", hub)
//
// # What to look at first
//
//   - A hub: [NewHub], [MustHub], [NewHubFunc] (a value for each connection),
//     [Options], [EndpointOptions], [MethodOptions]; [Mount] or [Route] serves it.
//   - In a method: [Call], [NewHubError]. From outside any call: [Hub.Clients],
//     [Hub.Groups].
//   - Sending: [ClientProxy]; typed, [ClientMethod1] and its like. Asking one
//     client for a result: [Invoke], [ClientFunction1].
//   - Who may do what: Options.Authenticate and [User], [RequireUser],
//     [RequireRole], [RequireClaim], package jwtbearer; [CORS].
//   - Around each call: [Filter].
//   - The main of a program, its end, health checks: [Node], [DrainOptions].
//     Who is connected: [Hub.Connections].
//   - Several nodes: package backplane. Tests: package hubtest.
//   - Without a hub, only bytes: [NewConnectionHandler].
//   - For authors of a backplane: [LifetimeManager], [ResultRouter], [Audience],
//     [Message], [Receiver]; package lifetimetest is their contract.
//
// The examples are programs to copy from; the repository's docs folder is a book.
//
// # Which bytes are bounded by what
//
//	client                                      server
//	  | one message ---------------------------> its decoder
//	  |      Options.MaximumReceiveMessageSize
//	  |
//	  | <--- queue of one connection <---------- sends, answers, stream items
//	  |      beyond EndpointOptions.TransportMaxBufferSize the caller's own method
//	  |        waits, and senders that are Waiting; nobody else
//	  |      beyond Options.DropOldestLimit sends are dropped, under DropOldest only
//	  |      all queues together: Options.QueueLimit
//	  |      in time: Options.SlowClientTimeout, EndpointOptions.TransportSendTimeout
//	  |
//	  | <--- kept until acknowledged, with stateful reconnect
//	         Options.StatefulReconnectBufferSize
//
// # What is guaranteed
//
//   - Messages that one goroutine sends to one target reach each client in the
//     order of the sends. What a hub method sends to its caller arrives before
//     the method's result.
//   - Ordinary calls of one client run one after the other, in the order of
//     their arrival, unless Options.MaximumParallelInvocationsPerClient is more
//     than 1; results come in that order. Calls that stream, in either
//     direction, run beside them.
//   - OnConnected returns before the first call of a client begins;
//     OnDisconnected is called once, after the last message was dispatched,
//     though methods that were running may still run.
//   - What a client receives is a prefix of what was sent to it. One that
//     falls behind in time is disconnected (Options.SlowClientTimeout), or gets
//     the latest only (DropOldest). Nobody else waits for it, except a method
//     that sends or streams to its own caller, and a send that is Waiting.
//   - A panic in a hub method, hook or filter is logged and answered like an
//     error; it ends neither the connection nor the server.
//
// # What is not guaranteed
//
//   - Delivery. A send returns when the message is on its way; a client that
//     loses its connection loses what was on its way, unless stateful reconnect
//     was negotiated.
//   - Order between different senders, or between messages to different targets
//     (a group, a user, all) when a backplane carries them.
//   - Group membership across reconnects: a new connection is in no group.
package server
