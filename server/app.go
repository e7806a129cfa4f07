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
		c.reliable.drop()
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
	if c.state.Load() == handshaking {
		c.refuse(HandshakeShutdown, handshakeCanceled)
		return
	}
	c.end(ending{allowReconnect: true, how: endedByShutdown})
}

// Tick implements transport.App: pings, and the time-out of silent clients.
func (a *hubApp) Tick(now time.Time) {
	c := (*connection)(a)
	switch {
	case c.state.Load() == handshaking && c.expires && c.expired(now):
		c.refuse(HandshakeExpired, handshakeCanceled)
		return
	case c.state.Load() != open || c.mute.Load():
		return
	}
	if now.Sub(time.Unix(0, c.lastPing)) > c.hub.opts.KeepAliveInterval && c.Transport() != LongPolling {
		c.lastPing = now.UnixNano()
		if frame, err := c.hub.ping.frame(c.codec); err == nil {
			_ = c.bytes.Send(frame) // without a number; a connection that takes no ping is ending already
			c.watch.sent(frame)
		}
	}
	if c.expires && c.expired(now) {
		c.end(ending{allowReconnect: true, how: endedByExpiry})
		return
	}
	if c.reliable != nil && c.reliable.tick(now, c.hub.opts.SlowClientTimeout) {
		c.bytes.TooSlow()
		return
	}
	if !c.pinged.Load() {
		return
	}
	if c.in.isLed() { // a client that is not being read cannot be heard
		c.lastHeard.Store(now.UnixNano())
		return
	}
	if now.Sub(time.Unix(0, c.lastHeard.Load())) > c.hub.opts.ClientTimeoutInterval {
		c.end(ending{cause: errClientTimeout, allowReconnect: true})
	}
}
