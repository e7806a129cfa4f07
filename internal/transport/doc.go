// Package transport carries the bytes of SignalR connections over HTTP:
// negotiate, WebSockets, Server-Sent Events, long polling, POST and DELETE.
// It knows nothing of hub messages, except that what is queued in one Frame
// must never be torn apart.
//
// # The way of a byte
//
// In: the reader of a WebSocket (one goroutine a connection, the only one that
// an idle connection has) or a POST handler hands bytes to App.Receive.
//
// Out: Conn.Send (send.go) appends a Frame to the outbox and puts the connection
// on its shard's list; flusher.finish, on a goroutine that exists only while there
// is something to write, calls Conn.flush, and socket.write (wswrite.go) writes what
// is queued with one system call. While a reader hands over what it has read the
// connection is corked: Uncork writes what is sent meanwhile from that same
// goroutine. On SSE and long polling the goroutine of the GET request writes.
//
// # States
//
// A connection has two sides that begin and end on their own, the link to its
// client and its App. state.go has their states and the tables of what may
// follow what; stepLocked is the only place that changes them.
//
// # Who owns what
//
// A Conn is one logical connection: it survives the requests (polls, replaced
// sockets) that serve it. Conn.mu guards its state and its outbox. What only
// some connections need is behind a pointer: requests (SSE, long polling),
// slowWatch (clients that are behind), waits (goroutines that wait).
//
// A socket has a reader and a writer, and two goroutines may have them. One at a
// time writes: the one that has set writing. Others only queue, and it looks
// again before it stops. What the system does not take at once is left to a
// goroutine that may wait, for the send timeout at most; it is given writing.
//
// One at a time reads: the one that has set Conn.reading. When App.Receive has
// detached it, the goroutine that calls ReadOn goes on; a socket that replaces
// another is read by the goroutine that read before.
//
// The memory to join frames in is a flusher's, or borrowed from a pool. A read
// buffer is borrowed only while there are bytes; it leaves the pool for good
// when an App keeps the goroutine that uses it.
//
// # Which locks
//
// Conn.mu and Endpoint.mu are never held together. Limit.mu may be taken while
// Conn.mu is held. No lock is held while a channel, a socket or the App is waited
// for.
package transport
