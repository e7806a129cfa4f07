// Package goclient tests that a client of another implementation,
// philippseith/signalr v0.11.0 in Go, calls our hubs and is called by them,
// over WebSockets, in JSON and in MessagePack, on one node and on three of which
// each request gets a random one; there also over Server-Sent Events.
//
// # Limits of that client
//
// It takes no message from the server over 32 KiB, knows no stateful reconnect
// and no long polling, and cannot cancel a stream that it pulls. Its Send waits
// for the server's completion. Two calls that begin at the same moment may get
// the same invocation id, so the tests wait for one before the next. An empty
// result may come before the result of a call, and the error that ends a
// stream may overtake the items before it. Its Stop leaves the WebSocket
// open. In MessagePack it writes the fields of a struct under their json names,
// and it reads a message of fewer than 5 bytes, as a ping is, only together
// with the one after it. Over Server-Sent Events it loses what comes in two pieces,
// and does not notice the end.
package goclient
