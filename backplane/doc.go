// Package backplane lets several nodes serve one hub through one Redis: Go nodes
// and ASP.NET Core nodes alike, in the scheme of
// Microsoft.AspNetCore.SignalR.StackExchangeRedis.
//
//	bp, err := backplane.New(client, &backplane.Options{
//		HubName:       "BlogApp.Hubs.PostHub",
//		ChannelPrefix: "BlogApp:SignalR:",
//	})
//	hub := server.MustHub(PostHub{}, &server.Options{LifetimeManager: bp})
//
// # What a send promises
//
// A send that returned nil has been published once, and every client of its own
// node that is a member has the message in its queue. Clients of other nodes get it
// unless their node has lost Redis at that moment. ErrUnavailable says that nothing
// was published; ErrOutcomeUnknown that it may have been, because the connection
// broke after the message was written. No message is published twice.
//
// # While Redis is away
//
// Clients stay connected and calls go on. Sends, joins and connecting clients wait for
// Options.PublishTimeout and then fail with ErrUnavailable; Health and
// OnStateChange say how it is. Once Redis is back the node subscribes again by
// itself; what other nodes sent meanwhile has not reached its clients.
package backplane
