package server

import (
	"errors"
	"math"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// A hubApp is a connection as its transport sees it. Nobody else gets one: a
// LifetimeManager, which is given the connection as a Receiver, must not be able
// to call what the transport calls.
type hubApp connection

var _ interface {
	transport.App
	transport.Reconnector
	transport.SlowApp
	transport.Refresher
	transport.Goner
} = (*hubApp)(nil)

// Start implements transport.App.
func (a *hubApp) Start() {
	c := (*connection)(a)
	c.lastPing = time.Now().UnixNano()
	c.observeStart()
	if d := c.hub.opts.HandshakeTimeout; d != math.MaxInt64 {
		c.handshakeTimer = time.AfterFunc(d, func() { c.refuse(HandshakeTimedOut, handshakeCanceled) })
	}
}

// Ended implements transport.App.
func (a *hubApp) Ended(cause error) {
	c := (*connection)(a)
	c.endContext()
	if c.reliable != nil {
		c.reliable.Drop()
	}
	if errors.Is(cause, transport.ErrSendTimeout) && c.endedBy.Load() == nil {
		c.observeTooSlow()
	}
	// A client that leaves, does not come back or is refused later is no error,
	// as in ASP.NET Core.
	if cause != nil && !errors.Is(cause, transport.ErrTimeout) && !errors.Is(cause, transport.ErrLost) && !errors.Is(cause, transport.ErrForbidden) {
		c.endedBy.CompareAndSwap(nil, &ending{cause: cause, silent: true})
	}
	if cause != nil {
		c.in.setOver()
	}
	led, done, partial := c.in.end(cause)
	if led && cause == nil {
		time.AfterFunc(lastCalls, c.in.setOver)
	}
	if done {
		c.inputDone(partial)
	}
}

// Shutdown implements transport.App.
func (a *hubApp) Shutdown() {
	c := (*connection)(a)
	c.watch.shutDown()
	if c.refuse(HandshakeShutdown, handshakeCanceled) {
		return
	}
	c.end(ending{allowReconnect: true, how: endedByShutdown})
}

// Tick implements transport.App: pings, and the time-out of silent clients.
func (a *hubApp) Tick(now time.Time) (rest time.Duration) {
	c := (*connection)(a)
	switch {
	case c.state.Load() == handshaking && c.lifetime(now) < 0:
		c.refuse(HandshakeExpired, handshakeCanceled)
		return 0
	case c.state.Load() != open || c.mute.Load():
		return 0
	}
	rest = c.keepAlive(now)
	lifetime := c.lifetime(now)
	if lifetime < 0 {
		c.end(ending{allowReconnect: true, how: endedByExpiry})
		return 0
	}
	if c.reliable != nil && c.reliable.Tick(now, c.hub.opts.SlowClientTimeout) {
		c.bytes.TooSlow()
		return 0
	}
	if rest = min(rest, lifetime, c.listen(now)); c.reliable != nil {
		return 0
	}
	return rest
}

// keepAlive pings the client when it is time, and returns for how long it is not.
func (c *connection) keepAlive(now time.Time) (rest time.Duration) {
	rest = c.hub.opts.KeepAliveInterval - time.Duration(now.UnixNano()-c.lastPing)
	if rest >= 0 || c.Transport() == LongPolling {
		return max(rest, 0)
	}
	c.lastPing = now.UnixNano()
	if frame, err := c.hub.ping.frame(c.codec); err == nil {
		_ = c.bytes.SendNow(frame) // without a number; a connection that takes no ping is ending already
		c.watch.sent(frame)
	}
	return c.hub.opts.KeepAliveInterval
}

// listen ends the connection of a client that was not heard for too long, and
// returns for how long it is not yet.
func (c *connection) listen(now time.Time) (rest time.Duration) {
	limit := c.hub.opts.ClientTimeoutInterval
	if !c.pinged.Load() {
		return limit // it may do so meanwhile
	}
	if c.in.isLed() { // a client that is not being read cannot be heard
		c.lastHeard.Store(int64(now.Sub(start)))
		return limit
	}
	rest = limit - (now.Sub(start) - time.Duration(c.lastHeard.Load()))
	if rest < 0 {
		c.end(ending{cause: errClientTimeout, allowReconnect: true})
	}
	return max(rest, 0)
}
