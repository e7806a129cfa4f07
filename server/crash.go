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
func (c *connection) survive() {
	if v := recover(); v != nil {
		c.crash(v)
	}
}

// crash ends the connection without a farewell. The goroutine may have had the
// loop: nobody else gets it, and what was received and not dispatched is dropped.
func (c *connection) crash(v any) {
	c.logCrash(v)
	c.endedBy.CompareAndSwap(nil, &ending{cause: errPanic, allowReconnect: true})
	c.giveUp()
	c.dropInput()
	c.bytes.Abort(transport.ErrClosed)
	c.inputDone(false)
}

// dropInput ends the loop for good, whoever had it.
func (c *connection) dropInput() {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = true
	in.buf, in.held = nil, 0
	in.wake()
}

// errGoexit is the error of user code that has ended its goroutine.
var errGoexit = errors.New("the code has called runtime.Goexit")

// onLoop runs f on a goroutine that has the loop in the role as. User code may
// panic there in spite of its guards, or end the goroutine by runtime.Goexit,
// which no guard can stop: nobody has the loop then, and the connection ends.
func (c *connection) onLoop(as role, f func()) {
	finished := false
	defer func() {
		switch v := recover(); {
		case v != nil:
			c.crash(v)
		case !finished:
			c.exited(as)
		}
	}()
	f()
	finished = true
}

// exited ends the connection, with a farewell, after the goroutine that had its
// loop in the role as. One that runInline has given another goroutine goes on.
func (c *connection) exited(as role) {
	if c.handedOn.Add(-1) >= 0 {
		return
	}
	c.handedOn.Add(1)
	e := &ending{cause: errGoexit, allowReconnect: true}
	if c.state.CompareAndSwap(handshaking, refused) {
		e.handshake = handshakeFailed
	}
	c.endedBy.CompareAndSwap(nil, e)
	c.bytes.DisableReconnect()
	c.giveUp()
	c.dropInput()
	if as == reader {
		c.hub.running.Go(c.bytes.ReadOn) // up to the client's close frame
	}
	c.inputDone(false)
	c.log.Error("user code has ended its goroutine; the connection is ended", "connection", c.ID()) // last: it is user code, too
}

// surviveFinish is survive for the goroutine that clears up after a connection.
func (c *connection) surviveFinish() {
	if v := recover(); v != nil {
		c.logCrash(v)
		c.closed.Store(true)
		c.stop()
		c.bytes.FinishError()
	}
}

func (c *connection) logCrash(v any) {
	c.log.Error("panic; the connection is ended", "connection", c.ID(), "panic", v, "stack", string(debug.Stack()))
}
