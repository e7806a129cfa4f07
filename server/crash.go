package server

import (
	"errors"
	"runtime/debug"

	"github.com/hubwire/hubwire/internal/transport"
)

// errPanic is why a connection ends whose goroutine panicked.
var errPanic = WithErrorType("InvalidOperationException", errors.New("internal error of the server"))

// survive, when deferred, ends the connection of a goroutine that panics. User
// code and values have guards of their own, see guard.go; this is the last
// line, for bugs of this package: they cost one connection and not the process.
func (c *connection) survive() {
	if v := recover(); v != nil {
		c.crash(v)
	}
}

// crash ends the connection without a farewell. The goroutine may have led: no
// other one does, and what was received and not dispatched is dropped.
func (c *connection) crash(v any) {
	c.logCrash(v)
	c.endedBy.CompareAndSwap(nil, &ending{cause: errPanic, allowReconnect: true})
	c.in.setOver()
	c.in.crash()
	c.bytes.Abort(transport.ErrClosed)
	c.inputDone(false)
}

// errGoexit is the error of user code that has ended its goroutine.
var errGoexit = errors.New("the code has called runtime.Goexit")

// exited ends the connection, with a farewell, after user code has ended the
// goroutine that led it. isReader says that it read for the transport: then
// another one must read on.
func (c *connection) exited(isReader bool) {
	e := &ending{cause: errGoexit, allowReconnect: true}
	if c.state.CompareAndSwap(handshaking, refused) {
		e.handshake = handshakeFailed
	}
	c.endedBy.CompareAndSwap(nil, e)
	c.bytes.DisableReconnect()
	c.in.setOver()
	c.in.crash()
	if isReader {
		c.hub.running.Go(c.bytes.ReadOn) // up to the client's close frame
	}
	c.inputDone(false)
	c.hub.log.Error("user code has ended its goroutine; the connection is ended", "connection", c.ID()) // last: the logger is user code, too
}

// surviveFinish is survive for the goroutine that clears up after a connection.
func (c *connection) surviveFinish() {
	if v := recover(); v != nil {
		c.logCrash(v)
		c.mute.Store(true)
		c.endContext()
		c.bytes.FinishError()
	}
}

func (c *connection) logCrash(v any) {
	c.hub.log.Error("panic; the connection is ended", "connection", c.ID(), "panic", v, "stack", string(debug.Stack()))
}
