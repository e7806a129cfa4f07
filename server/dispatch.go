package server

import (
	"fmt"
	"log/slog"

	"github.com/hubwire/hubwire/protocol"
)

// isNew reports whether m is new, and was not received before on a socket that
// was lost.
func (c *connection) isNew(m protocol.Message) bool {
	if c.reliable == nil {
		return true
	}
	fresh, err := c.reliable.Receive(m)
	if err != nil {
		c.end(ending{cause: err, allowReconnect: true})
	}
	return fresh && err == nil
}

// dispatch handles one message.
func (c *connection) dispatch(l *leader, m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Invocation:
		c.invoke(l, m, false)
	case *protocol.StreamInvocation:
		c.invoke(l, &m.Invocation, true)
	case *protocol.StreamItem:
		c.uploadItem(l, m)
	case *protocol.Completion:
		c.completion(m)
	case *protocol.CancelInvocation:
		c.cancelCall(m.InvocationID)
	case *protocol.Ping:
		c.pinged.Store(true)
	case *protocol.Close:
		c.clientClosed(m)
	case *protocol.Ack, *protocol.Sequence:
		// Without stateful reconnect they mean nothing.
	case *protocol.Unknown:
		// Of a later version of the protocol; this one knows no such message.
	default:
		c.end(ending{cause: fmt.Errorf("message of type %T cannot be dispatched", m), allowReconnect: true})
	}
}

func (c *connection) clientClosed(m *protocol.Close) {
	c.mute.Store(true) // what is sent from now on is dropped
	e := ending{how: endedByClient}
	if m.HasError && m.Error != "" {
		e.cause, e.silent = &HubError{Message: m.Error}, true
	}
	c.end(e)
}

// invoke finds the method of a call and binds its arguments. A call that must
// wait does so before the message after it is looked at. The order of the
// checks is ASP.NET Core's.
// Source: docs/reference/hub-protocol.md, sections 4.1 to 4.3.
func (c *connection) invoke(l *leader, m *protocol.Invocation, streaming bool) {
	if c.rates != nil && !c.mayCall(m.InvocationID, m.Target) {
		return
	}
	method := c.hub.methods.find(m.Target)
	if method == nil {
		c.failUnknown(m)
		return
	}
	inv := c.newInvocation(method)
	inv.accept(m, streaming)
	if err := inv.bind(l, m); err != nil {
		c.failUnfit(m, inv, err)
		return
	}
	switch {
	case !method.plain():
		if method.authorize != nil {
			l.await(inv, inv.authorizeWhileOthersWait, func(l *leader) { inv.startIfAllowed(l) })
			return
		}
	case int(c.waiting.Load()) >= c.hub.opts.MaximumWaitingCallsPerClient:
		c.refusedCall(method, CallRefused)
		c.fail(inv.id, fmt.Sprintf(tooManyCalls, method.name))
		inv.recycle()
		return
	case !c.permits.tryAcquire():
		l.await(inv, func() { c.permits.acquire(c.in.whenOver()) }, func(l *leader) { l.start(inv) })
		return
	}
	l.start(inv)
}

func (c *connection) failUnknown(m *protocol.Invocation) {
	if c.hub.log.Enabled(c.Context(), slog.LevelDebug) {
		c.hub.log.Debug("unknown method", "connection", c.ID(), "target", short(m.Target))
	}
	c.refusedCall(nil, CallUnknownMethod)
	c.fail(m.InvocationID, fmt.Sprintf("Failed to invoke '%s' due to an error on the server. HubException: Method does not exist.", m.Target))
}

// failUnfit answers a call whose arguments do not fit.
func (c *connection) failUnfit(m *protocol.Invocation, inv *invocation, err error) {
	c.logUnfit(inv.method, err)
	c.refusedCall(inv.method, CallInvalidArguments)
	name := inv.method.name
	if inv.streaming && c.codec.Binary() {
		name = m.Target
	}
	c.fail(inv.id, errorText(fmt.Sprintf("Failed to invoke '%s' due to an error on the server.", name), err, c.hub.opts.EnableDetailedErrors))
	inv.recycle()
}
