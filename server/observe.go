package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// An observed is a call, or a hook of the hub, that is being observed. The zero
// value is one that is not.
type observed struct {
	told  func(CallEnd) // nil: nobody wants to know
	end   func(error)   // nil: there is no trace
	began time.Duration // as of sinceStart
}

var start = time.Now()

// sinceStart is a clock for differences. It costs less than time.Now, which asks for
// the time of day as well.
func sinceStart() time.Duration { return time.Since(start) }

// observe begins to observe the call, right before its method is called.
func (inv *invocation) observe() (w observed) {
	o := inv.conn.hub.observer
	if o == nil {
		return w
	}
	if w.told = inv.method.told; w.told != nil {
		w.began = inv.leader.now()
	}
	if o.StreamStarted != nil && inv.method.streamsResult() {
		o.StreamStarted(inv.conn.hub.fullName, inv.method.name)
	}
	w.end = inv.trace(OperationMethod, nil)
	return w
}

// ended ends the observation of the call. It is called before the call is
// answered, so that who has the answer finds it observed.
func (w observed) ended(inv *invocation, outcome CallOutcome, err error) {
	if w.told != nil {
		w.told(CallEnd{Outcome: outcome, Stream: inv.method.streamsResult(), Duration: inv.leader.ended() - w.began})
	}
	if w.end != nil {
		w.end(err)
	}
}

// trace asks Observer.Trace, and gives user code the context that it returns.
// request is that of the operation; nil: the one that opened the connection.
func (inv *invocation) trace(kind OperationKind, request context.Context) (end func(error)) {
	c := inv.conn
	if !c.hub.traces() {
		return nil
	}
	if request == nil {
		request = c.bytes.RequestContext()
	}
	if request == nil {
		request = context.Background()
	}
	ctx, end := c.hub.observer.Trace(inv.context(), Operation{Hub: c.hub, Kind: kind, Call: &inv.call, Request: request})
	inv.ctxMu.Lock()
	inv.ctx = ctx
	inv.ctxMu.Unlock()
	return end
}

// traces reports whether operations are traced.
func (h *Hub) traces() bool { return h.observer != nil && h.observer.Trace != nil }

// traced runs hook, a hook of the hub, as an operation.
func (inv *invocation) traced(kind OperationKind, request context.Context, hook func() error) error {
	end := inv.trace(kind, request)
	if end == nil {
		return guard(hook)
	}
	err := error(errGoexit) // unless hook returns
	defer func() { end(err) }()
	err = guard(hook)
	return err
}

// refusedCall tells the observer of a call that does not begin; method is nil if
// there is none.
func (c *connection) refusedCall(m *method, outcome CallOutcome) {
	told := c.hub.unknownTold
	if m != nil {
		told = m.told
	}
	if told != nil {
		told(CallEnd{Outcome: outcome, Stream: m != nil && m.streamsResult()})
	}
}

// observeMethods asks for what is told of the calls of each method.
func (h *Hub) observeMethods() {
	if h.observer == nil || h.observer.Calls == nil {
		return
	}
	h.unknownTold = h.observer.Calls(h.fullName, "")
	for name, m := range h.methods.exact {
		m.told = h.observer.Calls(h.fullName, name)
	}
}

// A watched is what a connection has in addition where there is an observer. A
// nil one does nothing.
type watched struct {
	started  time.Time    // its transport
	traffic  *trafficCell // set by the handshake
	shutdown atomic.Bool  // Shutdown has asked it to end
	told     atomic.Bool  // the observer knows that it has ended
}

// sent counts a message to the client.
func (w *watched) sent(f transport.Frame) {
	if w != nil {
		w.traffic.sent(f)
	}
}

// received counts a message of the client's, of so many bytes.
func (w *watched) received(bytes int) {
	if w != nil {
		w.traffic.received(bytes)
	}
}

func (w *watched) shutDown() {
	if w != nil {
		w.shutdown.Store(true)
	}
}

// observeStart tells the observer that the connection has begun.
func (c *connection) observeStart() {
	o := c.hub.observer
	if o == nil {
		return
	}
	c.watch = &watched{started: time.Now()}
	if o.ConnectionStarted != nil {
		o.ConnectionStarted(c.hub.fullName, c.Transport())
	}
}

// Gone implements transport.Goner.
func (a *hubApp) Gone() {
	c := (*connection)(a)
	o := c.hub.observer
	if c.watch == nil || o.ConnectionEnded == nil || c.watch.told.Swap(true) {
		return
	}
	status := endStatus(c.in.endCause())
	if c.watch.shutdown.Load() {
		status = AppShutdown
	}
	o.ConnectionEnded(ConnectionEnd{c.hub.fullName, c.Transport(), status, time.Since(c.watch.started)})
}

// endStatus is the status of a connection whose transport has ended with cause,
// and which was not asked to end by Shutdown.
func endStatus(cause error) ConnectionStatus {
	switch {
	case isError(cause, transport.ErrTimeout):
		return ClientGone
	case isError(cause, transport.ErrShutdown):
		return AppShutdown
	}
	return NormalClosure
}

func (c *connection) observeTooSlow() {
	if o := c.hub.observer; o != nil && o.ClientTooSlow != nil {
		o.ClientTooSlow(c.hub.fullName, c.Transport())
	}
}

func (c *connection) observeRefusal(why HandshakeRefusal) {
	if o := c.hub.observer; o != nil && o.HandshakeRefused != nil {
		o.HandshakeRefused(c.hub.fullName, c.Transport(), why)
	}
}
