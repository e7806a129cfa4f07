package transport

import (
	"errors"
	"runtime/debug"
)

// errPanic is why a connection ends whose goroutine panicked.
var errPanic = errors.New("transport: internal error")

// Every goroutine that handles a connection's bytes ends in survive, and every
// callback of an App but Receive runs inside tell: a bug, of this package or of
// an App, costs one connection and not the process. Receive panics through the
// goroutine that reads, to survive. c.mu is never held there, as the App is not
// called with it.

// survive, when deferred, ends the connection of a goroutine that panics.
func (c *Conn) survive() {
	if v := recover(); v != nil {
		c.crash(v)
	}
}

// tell calls the App.
func (c *Conn) tell(f func()) {
	defer c.survive()
	f()
}

// crash ends the connection for good, whatever state the panic has left: the
// transport is cut, the App is told once, if it can be, and nothing waits for it
// to finish.
func (c *Conn) crash(v any) {
	c.endpoint.log.Error("panic; the connection is ended", "connection", c.ID(), "panic", v, "stack", string(debug.Stack()))
	c.giveUp(errPanic)
	c.finish(appFailed)
}
