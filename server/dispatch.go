package server

import (
	"fmt"
	"log/slog"

	"github.com/hubwire/hubwire/protocol"
)

// dispatch handles one message. rest is what follows it, which belongs to
// whoever has the loop next.
func (c *connection) dispatch(m protocol.Message, rest []byte, as role) outcome {
	switch m := m.(type) {
	case *protocol.Invocation:
		return c.invoke(m, false, rest, as)
	case *protocol.StreamInvocation:
		return c.invoke(&m.Invocation, true, rest, as)
	case *protocol.StreamItem:
		return c.uploadItem(m, rest, as)
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
	return goOn
}

func (c *connection) clientClosed(m *protocol.Close) {
	c.closed.Store(true) // what is sent from now on is dropped
	e := ending{how: endedByClient}
	if m.HasError && m.Error != "" {
		e.cause, e.silent = &HubError{Message: m.Error}, true
	}
	c.end(e)
}

// invoke starts a call. Its order of checks is ASP.NET Core's.
// Source: docs/reference/hub-protocol.md, sections 4.1 to 4.3.
func (c *connection) invoke(inv *protocol.Invocation, streaming bool, rest []byte, as role) outcome {
	method := c.hub.methods.find(inv.Target)
	if method == nil {
		if c.log.Enabled(c.ctx, slog.LevelDebug) {
			c.log.Debug("unknown method", "connection", c.ID(), "target", short(inv.Target))
		}
		c.fail(inv.InvocationID, fmt.Sprintf("Failed to invoke '%s' due to an error on the server. HubException: Method does not exist.", inv.Target))
		return goOn
	}
	call := c.newInvocation(method)
	args, err := method.bind(c.codec, inv, call.room)
	if err != nil {
		call.recycle()
		c.logUnfit(method, err)
		name := method.name
		if streaming && c.codec.Binary() {
			name = inv.Target
		}
		c.fail(inv.InvocationID, errorText(fmt.Sprintf("Failed to invoke '%s' due to an error on the server.", name), err, c.hub.opts.EnableDetailedErrors))
		return goOn
	}
	call.id, call.streaming, call.args = inv.InvocationID, streaming, args
	if !method.plain() {
		return c.invokeStreaming(call, inv, rest, as)
	}
	if int(c.waiting.Load()) >= c.hub.opts.MaximumWaitingCallsPerClient {
		call.recycle()
		c.fail(inv.InvocationID, fmt.Sprintf(tooManyCalls, method.name))
		return goOn
	}
	if !c.permits.tryAcquire() {
		// The loop waits with the call: what is behind it keeps its place.
		return c.handOver(call, rest, as, func() { c.permits.acquire(c.whenOver()) }, func(rest []byte) outcome {
			return c.runPlain(call, inv.StreamIDs, rest, pump)
		})
	}
	return c.runPlain(call, inv.StreamIDs, rest, as)
}

// runPlain runs a call that has its permit.
func (c *connection) runPlain(call *invocation, streamIDs []string, rest []byte, as role) outcome {
	call.permit.Store(permitHeld)
	if len(streamIDs) > 0 {
		call.releasePermit()
		c.fail(call.id, c.streamCountText(call.method, len(streamIDs)))
		return goOn
	}
	if call.method.cancellable && !c.track(call) { // else it is tracked once it keeps its goroutine
		call.releasePermit()
		c.fail(call.id, idInUseText(call.id))
		return goOn
	}
	return c.runInline(call, rest, as)
}

// runInline runs a call on this goroutine, see inline.go, unless several calls
// of one client may run at the same time. What the call sends at once thus
// stands before the answers to what is behind it, as in ASP.NET Core.
func (c *connection) runInline(call *invocation, rest []byte, as role) outcome {
	if c.hub.opts.MaximumParallelInvocationsPerClient > 1 || !c.hub.watch.enter(call, rest, as) {
		c.hub.running.Go(func() { c.runToEnd(call) })
		return goOn
	}
	exited := true // by runtime.Goexit, in user code
	defer func() {
		if exited { // the loop needs another goroutine
			c.handedOn.Add(1)
			c.hub.watch.keep(call)
			c.runEnded(call)
		}
	}()
	c.run(call)
	exited = false
	if c.hub.watch.leave(call) {
		call.settle()
		if call.cancelable.Load() {
			c.untrack(call)
		} else {
			call.endContext()
		}
		call.releasePermit()
		call.recycle()
		return goOn
	}
	c.runEnded(call)
	return dropped
}

// runToEnd runs a call on a goroutine of its own.
func (c *connection) runToEnd(call *invocation) {
	defer c.survive()
	c.track(call)
	defer c.runEnded(call)
	c.run(call)
}

// runEnded follows a call that did not run on the loop's goroutine: what it
// sent goes out now, and the next call may start.
func (c *connection) runEnded(call *invocation) {
	call.settle()
	c.untrack(call)
	c.bytes.Uncork()
	call.releasePermit()
}

// run calls the method and answers the call, also if user code ends the
// goroutine.
func (c *connection) run(call *invocation) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			panic(v) // a mistake of ours: see survive
		}
		if !returned {
			c.logFailure(call.method.name, errGoexit)
			call.fail(c.invokeText(call.method, errGoexit))
		}
	}()
	if call.method.plain() {
		c.runOrdinary(call)
	} else {
		c.runStreaming(call)
	}
	returned = true
}

func (c *connection) runOrdinary(call *invocation) {
	m := call.method
	if m.authorize != nil {
		if !c.authorized(call) {
			call.fail(unauthorizedText(m))
			return
		}
		if c.over.Load() {
			return
		}
	}
	if call.streaming {
		call.fail(nonStreamingText(m))
		return
	}
	result, err := c.callMethod(call)
	if err != nil {
		c.logFailure(m.name, err)
		call.fail(c.invokeText(m, err))
		return
	}
	call.complete(protocol.ResultValue, result)
}

func (c *connection) authorized(call *invocation) bool {
	err := guard(func() error { return call.method.authorize(&call.call) })
	if err == nil {
		return true
	}
	if _, panicked := asError[*panicError](err); panicked {
		c.logFailure("authorization of "+call.method.name, err)
	} else {
		c.log.Info("call is not authorized", "method", call.method.name, "connection", c.ID(), "user", c.userID, "error", describe(err).text)
	}
	return false
}

// callMethod calls user code; a panic is an error.
func (c *connection) callMethod(call *invocation) (result any, err error) {
	err = guard(func() (err error) {
		result, err = c.hub.chain.invoke(&call.call)
		return err
	})
	return result, err
}

func (c *connection) invokeText(m *method, err error) string {
	return errorText(fmt.Sprintf("An unexpected error occurred invoking '%s' on the server.", m.name), err, c.hub.opts.EnableDetailedErrors)
}

func (c *connection) streamCountText(m *method, got int) string {
	return c.invokeText(m, NewHubError("Client sent %d stream(s), Hub method expects %d.", got, m.streams))
}

// fail answers a call, if it wants an answer, from the loop: it never waits.
func (c *connection) fail(id, text string) {
	if id == "" {
		return
	}
	c.answer(&protocol.Completion{InvocationID: id, Kind: protocol.ResultError, Error: text})
}

func (c *connection) answer(m *protocol.Completion) {
	if f, ok := c.encode(m); ok {
		_ = c.write(f.frame) // who is gone needs no answer
	}
}

// reply answers a call of user code, which waits while the client does not read.
func (c *connection) reply(call *invocation, m protocol.Message) {
	f, ok := c.encode(m)
	if !ok {
		return
	}
	if !c.wouldWait() {
		_ = c.write(f.frame)
		return
	}
	call.keepGoroutine()
	_ = c.writeWait(c.ctx, f.frame)
}

// encode encodes an answer. One that cannot be encoded ends the connection, as
// in ASP.NET Core: the client could never know what became of its call.
func (c *connection) encode(m protocol.Message) (f form, ok bool) {
	if c.closed.Load() {
		return form{}, false
	}
	f.err = errGoexit // unless encode returns
	defer func() {
		if f.err != nil {
			c.closed.Store(true) // nothing behind it is sent, a Completion of its stream neither
			c.end(ending{cause: f.err, allowReconnect: true})
			c.log.Error("result cannot be encoded", "type", fmt.Sprintf("%T", f.err), "connection", c.ID(), "error", describe(f.err).text)
		}
	}()
	f = encode(c.codec, m)
	return f, f.err == nil
}
