package server

import (
	"errors"
	"runtime/debug"

	"github.com/hubwire/hubwire/server/internal/transport"
)

// errPanic is why a connection ends whose goroutine panicked.
var errPanic = WithErrorType("InvalidOperationException", errors.New("internal error of the server"))

// survive, when deferred, ends the connection of a goroutine that panics. User
// code and values have guards of their own, see guard.go; this is the last line,
// for mistakes of ours: they cost one connection and not the process.
func (c *HubConnection) survive() {
	if v := recover(); v != nil {
		c.crash(v)
	}
}

// crash ends the connection without a farewell. The goroutine may have had the
// loop: nobody else gets it, and what was received and not dispatched is dropped.
func (c *HubConnection) crash(v any) {
	c.logCrash(v)
	c.endedBy.CompareAndSwap(nil, &ending{cause: errPanic, allowReconnect: true})
	c.giveUp()
	in := &c.in
	in.mu.Lock()
	in.stopped = true
	in.buf, in.held = nil, 0
	in.wake()
	in.mu.Unlock()
	c.bytes.Abort(transport.ErrClosed)
	c.inputDone(false)
}

// surviveFinish is survive for the goroutine that clears up after a connection.
func (c *HubConnection) surviveFinish() {
	if v := recover(); v != nil {
		c.logCrash(v)
		c.closed.Store(true)
		c.stop()
		c.bytes.FinishError()
	}
}

func (c *HubConnection) logCrash(v any) {
	c.log.Error("panic; the connection is ended", "connection", c.ID(), "panic", v, "stack", string(debug.Stack()))
}
