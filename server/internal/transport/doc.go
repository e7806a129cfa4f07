// Package transport carries the bytes of SignalR connections over HTTP:
// negotiate, WebSockets, Server-Sent Events, long polling, POST and DELETE.
// It knows nothing of hub messages, except that what is queued in one Frame
// must never be torn apart.
//
// # The way of a byte
//
// In: the reader of a WebSocket (one goroutine a connection, the only one that
// an idle connection has) or a POST handler hands bytes to App.Receive.
// Out: anybody calls Conn.Send, which appends a Frame to the queue and puts
// the connection on its shard's dirty list; the shard's flusher writes what is
// queued with one system call. While a reader hands over what it has read the
// connection is corked: what is sent meanwhile is written at once by that same
// goroutine when it has handed over everything.
//
// # Who owns what
//
// A Conn is one logical connection: it survives the requests (polls, replaced
// sockets) that serve it. Its queue is guarded by Conn.mu, which is never held
// while writing or calling the App. A shard's scratch buffer is owned by its
// flusher. A read buffer is borrowed from a pool only while there are bytes.
package transport
