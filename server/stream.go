package server

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// openStreams registers the streams of a call, or says why it cannot begin. It
// does so before the next message is looked at, so that no item misses them.
func (c *connection) openStreams(inv *invocation) (refusal string) {
	m := inv.method
	switch {
	case m.streamsResult() && !inv.streaming:
		return fmt.Sprintf("The client attempted to invoke the streaming '%s' method with a non-streaming invocation.", m.name)
	case !m.streamsResult() && inv.streaming:
		return nonStreamingText(m)
	case !c.track(inv):
		return idInUseText(inv.id)
	}
	if refusal = c.reserveStreams(inv, len(inv.streamIDs())); refusal == "" {
		err := c.openUploads(inv)
		if err == nil {
			return ""
		}
		refusal = c.invokeText(m, err)
	}
	inv.settle()
	c.untrack(inv)
	return refusal
}

const streamFailed = "An error occurred on the server while streaming results."

// stream sends the items of a method's result, one at a time, each waiting
// while the client does not read, and ends the stream.
func (inv *invocation) stream(w observed, source reflect.Value) {
	shape := streamShape(source)
	if shape == noResult {
		w.ended(inv, CallFailed, nil) // no error of the method, as in ASP.NET Core
		inv.fail(fmt.Sprintf("The value returned by the streaming method '%s' is not a ChannelReader<> or IAsyncEnumerable<>.", inv.method.name))
		return
	}
	ctx := inv.context()
	message := &protocol.StreamItem{InvocationID: inv.id} // encoded before the next one
	send := func(item any) bool {
		if ctx.Err() != nil {
			return false
		}
		message.Item = item
		inv.reply(message, takeMemory(), false)
		return ctx.Err() == nil
	}
	var err error
	if shape == channelResult {
		itemTypeOf(source.Type().Elem()).receive(source, ctx.Done(), send)
	} else {
		err = guard(func() error { return streamSeq(source, shape, send) })
	}
	if err != nil && !canceled(ctx, err) {
		w.ended(inv, CallFailed, err)
		inv.conn.logFailure(inv.method.name, err)
		inv.fail(errorText(streamFailed, err, inv.conn.hub.opts.EnableDetailedErrors))
		return
	}
	outcome := CallSucceeded
	if ctx.Err() != nil {
		outcome = CallCanceled
	}
	w.ended(inv, outcome, nil)
	inv.complete(protocol.ResultVoid, nil)
}

// streamShape says what kind of stream v is; noResult means none, or nil. A
// filter may have put another in the place of the method's own.
func streamShape(v reflect.Value) resultShape {
	switch {
	case !v.IsValid():
		return noResult
	case v.Kind() == reflect.Chan && v.Type().ChanDir()&reflect.RecvDir != 0 && !v.IsNil():
		return channelResult
	case hubtype.IsSeq(v.Type()) && !v.IsNil():
		return seqResult
	case hubtype.IsSeq2(v.Type()) && !v.IsNil():
		return seq2Result
	}
	return noResult
}

// canceled reports whether err only says that the client has cancelled.
func canceled(ctx context.Context, err error) bool {
	return ctx.Err() != nil && isError(err, ctx.Err())
}

// streamSeq runs an iter.Seq or iter.Seq2 until it ends, yields an error, or send
// reports false.
func streamSeq(source reflect.Value, shape resultShape, send func(any) bool) (err error) {
	sink := &itemSink{send: send}
	defer func() { err = sink.end() }() // also after a panic
	itemTypeOf(source.Type().In(0).In(0)).stream(source, shape, sink)
	return nil
}

// An itemSink takes what an iterator yields. What it yields after its end, or from
// a goroutine of its own that outlives it, is dropped: the client sees one end.
type itemSink struct {
	mu     sync.Mutex // iterators may misbehave
	send   func(any) bool
	ended  bool
	failed error
}

// put sends an item and reports whether more are wanted.
func (s *itemSink) put(item any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = !s.send(item)
	}
	return !s.ended
}

// fail ends the stream with an error.
func (s *itemSink) fail(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.failed = true, err
	}
	return false
}

// end returns what the stream has failed with.
func (s *itemSink) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return s.failed
}
