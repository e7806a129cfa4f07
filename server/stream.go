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
	if refusal = c.reserveStreams(inv, len(inv.streamIDs)); refusal == "" {
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
	send := func(v reflect.Value) bool {
		if ctx.Err() != nil {
			return false
		}
		inv.reply(&protocol.StreamItem{InvocationID: inv.id, Item: v.Interface()})
		return ctx.Err() == nil
	}
	var err error
	if shape == channelResult {
		streamChannel(ctx, source, send)
	} else {
		err = guard(func() error { return streamSeq(source, shape == seq2Result, send) })
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

func streamChannel(ctx context.Context, source reflect.Value, send func(reflect.Value) bool) {
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: source},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
	}
	for {
		chosen, v, ok := reflect.Select(cases)
		if chosen == 1 || !ok || !send(v) {
			return
		}
	}
}

// streamSeq runs an iter.Seq or iter.Seq2 until it ends, yields an error, or
// send reports false. What an iterator yields after its end, or from a
// goroutine of its own that outlives it, is dropped: the client sees one end.
func streamSeq(source reflect.Value, pairs bool, send func(reflect.Value) bool) (err error) {
	var (
		mu     sync.Mutex // guards ended and failed; iterators may misbehave
		ended  bool
		failed error
	)
	yield := reflect.MakeFunc(source.Type().In(0), func(in []reflect.Value) []reflect.Value {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended:
		case pairs && !in[1].IsNil():
			ended, failed = true, in[1].Interface().(error)
		default:
			ended = !send(in[0])
		}
		return []reflect.Value{reflect.ValueOf(!ended)}
	})
	defer func() { // also after a panic
		mu.Lock()
		defer mu.Unlock()
		ended, err = true, failed
	}()
	source.Call([]reflect.Value{yield})
	return nil
}
