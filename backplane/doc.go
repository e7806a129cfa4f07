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
// # Where to start reading
//
// redis.go has the type and what it owns, publish.go the way out, receive.go the
// way in, link.go and writer.go the subscribing connection. About 500 of the lines
// are there because of one sentence, "a send that returned nil has reached its own
// node": PUBLISH and SUBSCRIBE are on two connections, so a PING must pass between
// them (fence.go), a loss in between must be noticed (link.go, with its table of
// commands that are not answered yet, and pulse.go), go-redis must not publish
// again by itself (publishCmd), and after a loss the other nodes are awaited
// (peers.go). Without that promise each of them could go.
package backplane
