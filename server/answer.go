package server

import (
	"errors"
	"fmt"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// complete sends the result of the call, if the client wants a completion.
func (inv *invocation) complete(kind protocol.ResultKind, result any) {
	inv.answer(protocol.Completion{Kind: kind, Result: result})
}

// fail completes the call with an error, if the client wants a completion.
func (inv *invocation) fail(text string) {
	inv.answer(protocol.Completion{Kind: protocol.ResultError, Error: text})
}

func (inv *invocation) answer(m protocol.Completion) {
	if inv.id == "" {
		return
	}
	inv.settle() // a client that has read the answer may make its next call
	m.InvocationID = inv.id
	memory := takeMemory()
	memory.completion = m
	inv.reply(&memory.completion, memory, true)
}

// reply sends an answer of user code, which waits while the client does not read; last says that
// no other one follows. It gives the memory back.
func (inv *invocation) reply(m protocol.Message, memory *encodingMemory, last bool) {
	c := inv.conn
	f, ok := c.encode(m, memory.buf)
	if !ok {
		return // and nobody knows who has the memory
	}
	inv.leader.handled(f.frame.Len())
	if last && !inv.leader.runs(inv) {
		c.bytes.Cork() // until finish, which follows: nobody else need write it
	}
	switch err := c.sendAnswer(f.frame); {
	case err == nil:
		c.watch.sent(f.frame)
	case errors.Is(err, transport.ErrWouldWait):
		inv.mayBlock()
		c.bytes.Uncork()
		_ = c.queueWait(c.Context(), f.frame.Copy())
	}
	memory.completion = protocol.Completion{}
	memory.free()
}

// sendAnswer queues a copy of f, unless it is longer than transport.CopyLimit, if that
// can be done without waiting: else its error is transport.ErrWouldWait.
func (c *connection) sendAnswer(f transport.Frame) error {
	if c.reliable == nil {
		return c.bytes.SendCopy(f)
	}
	if c.reliable.WouldWait() {
		return transport.ErrWouldWait
	}
	return c.reliable.Send(f.Copy())
}

// fail sends the error of a call that never begins, if the client wants a
// completion. It never waits.
func (c *connection) fail(id, text string) {
	if id == "" {
		return
	}
	if f, ok := c.encode(&protocol.Completion{InvocationID: id, Kind: protocol.ResultError, Error: text}, newFrameBuffer()); ok {
		c.answerNow(f.frame)
	}
}

// answerNow queues an answer without waiting. If the client is gone, no reply is
// needed.
func (c *connection) answerNow(f transport.Frame) {
	if c.queue().Send(f) == nil {
		c.watch.sent(f)
	}
}

// encode encodes an answer into buf, an empty buffer of a frame. One that cannot be encoded ends the connection, as
// in ASP.NET Core: the client could never know what became of its call.
func (c *connection) encode(m protocol.Message, buf []byte) (f form, ok bool) {
	if c.mute.Load() {
		return form{}, false
	}
	f.err = errGoexit // unless encode returns
	defer func() {
		if f.err != nil {
			c.mute.Store(true) // nothing after it is sent, not even the Completion of its stream
			c.end(ending{cause: f.err, allowReconnect: true})
			c.hub.log.Error("result cannot be encoded", "type", fmt.Sprintf("%T", f.err), "connection", c.ID(), "error", describe(f.err).text)
		}
	}()
	f = encodeInto(buf, c.codec, m)
	return f, f.err == nil
}

func (c *connection) invokeText(m *method, err error) string {
	return errorText(fmt.Sprintf("An unexpected error occurred invoking '%s' on the server.", m.name), err, c.hub.opts.EnableDetailedErrors)
}

func (c *connection) streamCountText(m *method, got int) string {
	return c.invokeText(m, NewHubError("Client sent %d stream(s), Hub method expects %d.", got, m.streams))
}

func idInUseText(id string) string {
	return fmt.Sprintf("Invocation ID '%s' is already in use.", id)
}

func nonStreamingText(m *method) string {
	return fmt.Sprintf("The client attempted to invoke the non-streaming '%s' method with a streaming invocation.", m.name)
}

func unauthorizedText(m *method) string {
	return fmt.Sprintf("Failed to invoke '%s' because user is unauthorized", m.name)
}
