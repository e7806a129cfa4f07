package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/replay"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// A connection is one client of one hub. Its exported methods are safe for
// concurrent use.
type connection struct {
	// Set before Start, then read only, but for those that say otherwise.
	hub       *Hub
	bytes     *transport.Conn
	lazyCtx   lazyContext // see connectionContext
	expires   bool        // with the authentication of its user
	refreshes bool        // the user may be replaced
	connected bool        // OnConnected has succeeded; owned by the leader, then by finish
	resumed   bool        // its session was known; set before OnConnected
	streams   int32       // open, in both directions; guarded by mu
	rates     *rates      // nil: no RateLimit

	// Set by the handshake, before anybody else knows the connection.
	codec    protocol.Codec
	userID   string
	reliable *replay.Buffer // nil without stateful reconnect

	in      inbox   // what was received and not yet dispatched
	permits permits // of ordinary calls

	state     atomic.Int32 // handshaking, opening, open, refused
	mute      atomic.Bool  // what is sent is dropped: the handshake is not answered yet, or the Close message is out
	endedBy   atomic.Pointer[ending]
	finishing atomic.Bool // finish runs, or has run

	refreshing    atomic.Int32 // calls of OnAuthenticationRefreshed that wait or run
	acceptRefresh atomic.Pointer[refreshPolicy]
	instance      atomic.Pointer[any] // the hub of this connection, if each has its own

	watch *watched // nil: nobody observes

	opened         int64 // when the handshake was accepted, in Unix nanoseconds
	handshakeTimer *time.Timer
	waiting        atomic.Int32 // calls without a permit, see Options.MaximumWaitingCallsPerClient
	pinged         atomic.Bool  // the client has pinged once: from now on it may time out
	lastHeard      atomic.Int64 // as of sinceStart: a step of the time of day ends nobody
	lastPing       int64        // of the server, in Unix nanoseconds; owned by Tick

	mu      sync.Mutex             // guards what follows; never held while writing or calling user code
	running map[string]*invocation // calls that a CancelInvocation finds, by invocation id
	rare    *rareOfConnection      // nil: never needed
}

// A rareOfConnection is what most connections never need. It is guarded by
// connection.mu.
type rareOfConnection struct {
	uploads map[string]*upload // by stream id
	items   *sync.Map          // see Items
	made    chan struct{}      // see whenMade
}

// rarelyLocked returns what is rare, to be changed.
func (c *connection) rarelyLocked() *rareOfConnection {
	if c.rare == nil {
		c.rare = &rareOfConnection{}
	}
	return c.rare
}

// A clientQueue takes what is sent to a client: a transport.Conn queues it, a
// replay.Buffer also keeps it until the client has acknowledged it.
type clientQueue interface {
	// Send queues f after what is queued and never waits. Where that makes too
	// much for the QueueLimit, the clients that are furthest behind are treated
	// as too slow before it returns.
	Send(f transport.Frame) error
	// SendWait is Send that first waits while too much is on its way, until ctx
	// is done or the connection ends.
	SendWait(ctx context.Context, f transport.Frame) error
	// WouldWait reports whether SendWait would have to wait now.
	WouldWait() bool
	// WaitForClient waits until the client has caught up, if it makes progress.
	// Its error is that of ctx.
	WaitForClient(ctx context.Context) error
}

var _, _ clientQueue = (*transport.Conn)(nil), (*replay.Buffer)(nil)

// queue is what takes messages for the client.
func (c *connection) queue() clientQueue {
	if c.reliable != nil {
		return c.reliable
	}
	return c.bytes
}

// States of a connection.
const (
	handshaking int32 = iota
	opening           // the handshake is accepted, and the manager is told before it is answered
	open
	refused
)

// An ending is why a connection ends and what the client is told.
type ending struct {
	cause          error  // given to OnDisconnected
	silent         bool   // the Close message names no error though there is a cause
	reason         string // of the Close message, unchanged, where there is no cause
	allowReconnect bool   // the client may come back by itself
	handshake      string // what the handshake is refused with; there is no Close then
	connectFailed  bool   // OnConnected failed: OnDisconnected is not called
	how            string // for the log; empty where cause says it
}

func newConnection(h *Hub, conn *transport.Conn, opts EndpointOptions) *connection {
	c := &connection{hub: h, bytes: conn}
	c.permits.set(h.opts.MaximumParallelInvocationsPerClient)
	c.mute.Store(true)
	c.rates = h.opts.RateLimit.of(func() string { return opts.clientAddress(conn.Request()) })
	c.expires = opts.CloseOnAuthenticationExpiration
	c.refreshes = opts.EnableAuthenticationRefresh || h.remote != nil // which may replace the user at any time
	return c
}

// ID is the public connection id.
func (c *connection) ID() string { return c.bytes.ID() }

// UserID names the user of the connection; see Options.UserID.
func (c *connection) UserID() string { return c.userID }

// User is who Options.Authenticate said the client is.
func (c *connection) User() User {
	user, _ := c.bytes.User().(User)
	return user
}

// Codec is the hub protocol that the client chose.
func (c *connection) Codec() protocol.Codec { return c.codec }

// Context is done when the connection ends.
func (c *connection) Context() context.Context { return (*connectionContext)(c) }

// Request is the HTTP request that opened the connection; see Call.Request.
func (c *connection) Request() *http.Request { return c.bytes.Request() }

// Transport is the transport of the connection.
func (c *connection) Transport() Transport { return Transport(c.bytes.Transport()) }

// Items holds whatever the hub wants to remember for the connection.
func (c *connection) Items() *sync.Map {
	c.mu.Lock()
	defer c.mu.Unlock()
	rare := c.rarelyLocked()
	if rare.items == nil {
		rare.items = &sync.Map{}
	}
	return rare.items
}

// closeByHub ends the connection because a method or hook says so.
func (c *connection) closeByHub(e ending) {
	if c.state.Load() == open {
		c.mute.Store(true) // what is sent from now on is dropped
	}
	c.end(e)
}

// lifetime is for how long the authentication of the user lasts, where its end
// counts; less than zero: it has ended. A refresh may have replaced it.
func (c *connection) lifetime(now time.Time) time.Duration {
	user, _ := c.bytes.Latest().(User)
	if !c.expires || user.Expires.IsZero() {
		return math.MaxInt64
	}
	return user.Expires.Sub(now)
}

var errClientTimeout = WithErrorType("OperationCanceledException",
	errors.New("Client hasn't sent a message/ping within the configured ClientTimeoutInterval."))

func (c *connection) heard() { c.lastHeard.Store(int64(sinceStart())) }

// end brings the connection to its end: at once if nothing is being
// dispatched, else when the leader notices. Only the first call counts.
func (c *connection) end(e ending) {
	if !c.endedBy.CompareAndSwap(nil, &e) {
		return
	}
	c.bytes.DisableReconnect()
	c.in.setOver()
	if c.in.stop() {
		c.inputDone(false)
	}
}

// inputDone is called once nobody leads any more. partial says that the
// input ended inside a message.
func (c *connection) inputDone(partial bool) {
	if c.finishing.Swap(true) {
		return
	}
	cause := c.in.endCause()
	e := &ending{allowReconnect: true, how: howInputEnded(cause)}
	if partial {
		e.cause = errInputEndedInside
	}
	c.endedBy.CompareAndSwap(nil, e)
	c.hub.running.Go(c.finish)
}

var errInputEndedInside = &protocol.Error{Type: "InvalidDataException", Text: "Connection terminated while reading a message."}

// finish says farewell and clears up, in ASP.NET Core's order.
// Source: docs/reference/hub-protocol.md, section 0.1.
func (c *connection) finish() {
	defer c.surviveFinish()
	defer c.rates.leave()
	e := *c.endedBy.Load()
	c.in.setOver() // what waits for its authorization
	if c.handshakeTimer != nil {
		c.handshakeTimer.Stop()
	}
	if c.state.Load() != open {
		if e.handshake != "" {
			_ = c.bytes.Send(handshakeFrame(e.handshake, false)) // best effort: the client may be gone
		}
		c.mute.Store(true)
		c.endContext()
		c.bytes.Finish()
		return
	}
	// Deferred, so that each happens though runtime.Goexit ends the one before.
	defer c.bytes.Finish()
	defer c.logClosed(e)
	defer c.forget()
	defer c.leave(e)
	c.sendClose(e)
}

// leave ends what the connection does for others and calls OnDisconnected.
func (c *connection) leave(e ending) {
	c.mute.Store(true)
	if c.reliable != nil {
		c.reliable.Drop()
	}
	c.endContext()
	if c.connected && (c.hub.chain.onDisconnected != nil || c.hub.traces()) {
		c.callOnDisconnected(e.cause)
	}
}

// forget makes the connection unknown to all.
func (c *connection) forget() {
	c.failUploads()
	if err := c.hub.manager.Disconnected(c); err != nil {
		c.logFailure("LifetimeManager.Disconnected", err)
	}
}

const closedWithError = "Connection closed with an error."

func (c *connection) sendClose(e ending) {
	m := &protocol.Close{AllowReconnect: e.allowReconnect, HasError: e.reason != "", Error: e.reason}
	if e.cause != nil && !e.silent {
		m.HasError = true
		m.Error = errorText(closedWithError, e.cause, c.hub.opts.EnableDetailedErrors)
	}
	if f := encode(c.codec, m); f.err == nil {
		_ = c.bytes.SendLast(f.frame) // best effort: the client may be gone
		c.watch.sent(f.frame)
	}
}

func (c *connection) callOnDisconnected(cause error) {
	call := c.invocationOf(nil)
	defer call.endContext()
	err := call.traced(OperationDisconnected, nil, func() error {
		if hook := c.hub.chain.onDisconnected; hook != nil {
			hook(&call.call, cause)
		}
		return nil
	})
	if err != nil {
		c.logFailure("OnDisconnected", err)
	}
}
