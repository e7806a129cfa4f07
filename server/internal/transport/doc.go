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
// On SSE and long polling the goroutine of the GET request writes.
//
// # Who owns what
//
// A Conn is one logical connection: it survives the requests (polls, replaced
// sockets) that serve it. Its queue is guarded by Conn.mu, which is never held
// while writing or calling the App. The room to join frames in is owned by the
// shard's flusher. A read buffer is borrowed from a pool only while there are
// bytes; it leaves the pool for good when an App keeps the goroutine that uses
// it.
//
// One goroutine at a time writes a socket: who has set socket.writing. Others
// only queue, and it looks again before it stops. What the system does not take
// at once is written by a goroutine that waits, for the send timeout at most,
// and has socket.writing for so long.
//
// One goroutine at a time reads: who has Conn.reading. It passes that on to
// whoever calls ReadOn, and from a lost socket to the one that replaces it.
//
// # Which locks
//
// Conn.mu and Endpoint.mu are never held together. No lock is held while a
// channel, a socket or the App is waited for.
package transport
