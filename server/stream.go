package server

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// invokeStreaming starts a call that streams in one direction or both. It takes
// no permit. Its streams are registered before the next message is looked at,
// so that no item misses them.
func (c *connection) invokeStreaming(call *invocation, inv *protocol.Invocation, rest []byte, as role) outcome {
	if call.method.authorize == nil {
		return c.startStreaming(call, inv.StreamIDs, rest, as)
	}
	allowed := false
	authorize := func() { // user code, which may never return: the loop ends without it
		answer := make(chan bool, 1)
		c.hub.running.Go(func() {
			defer c.survive()
			ok := false
			defer func() { answer <- ok }()
			ok = c.authorized(call)
		})
		select {
		case allowed = <-answer:
		case <-c.whenOver():
			call.endContext()
		}
	}
	return c.handOver(call, rest, as, authorize, func(rest []byte) outcome {
		if !allowed {
			c.fail(call.id, unauthorizedText(call.method))
			return goOn
		}
		return c.startStreaming(call, inv.StreamIDs, rest, pump)
	})
}

func (c *connection) startStreaming(call *invocation, streamIDs []string, rest []byte, as role) outcome {
	if text := c.openStreams(call, streamIDs); text != "" {
		c.fail(call.id, text)
		return goOn
	}
	if len(call.uploads) == 0 && !call.method.waits.Load() {
		return c.runInline(call, rest, as)
	}
	// Items of an upload come through this loop: on the loop's goroutine the
	// method would wait for itself. A stream that waits would hold it up until
	// the watch takes it over, a thousand times a second at most.
	c.hub.running.Go(func() { c.runToEnd(call) })
	return goOn
}

// openStreams registers the streams of a call, or says why it cannot begin.
func (c *connection) openStreams(call *invocation, streamIDs []string) (refusal string) {
	m := call.method
	switch {
	case m.streamsResult() && !call.streaming:
		return fmt.Sprintf("The client attempted to invoke the streaming '%s' method with a non-streaming invocation.", m.name)
	case !m.streamsResult() && call.streaming:
		return nonStreamingText(m)
	case !c.track(call):
		return idInUseText(call.id)
	}
	if refusal = c.reserveStreams(call, len(streamIDs)); refusal == "" {
		err := c.openUploads(call, streamIDs)
		if err == nil {
			return ""
		}
		refusal = c.invokeText(m, err)
	}
	call.settle()
	c.untrack(call)
	return refusal
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

func (c *connection) runStreaming(call *invocation) {
	defer c.closeUploads(call)
	result, err := c.callMethod(call)
	switch {
	case err != nil:
		c.logFailure(call.method.name, err)
		call.fail(c.invokeText(call.method, err))
	case !call.method.streamsResult():
		call.complete(protocol.ResultValue, result)
	default:
		c.stream(call, reflect.ValueOf(result))
	}
}

const streamFailed = "An error occurred on the server while streaming results."

// stream sends the items of a method's result, one at a time, each waiting
// while the client does not read, and ends the stream.
func (c *connection) stream(call *invocation, source reflect.Value) {
	shape := streamShape(source)
	if shape == noResult {
		call.fail(fmt.Sprintf("The value returned by the streaming method '%s' is not a ChannelReader<> or IAsyncEnumerable<>.", call.method.name))
		return
	}
	ctx := call.context()
	send := func(v reflect.Value) bool {
		if ctx.Err() != nil {
			return false
		}
		c.reply(call, &protocol.StreamItem{InvocationID: call.id, Item: v.Interface()})
		return ctx.Err() == nil
	}
	var err error
	if shape == channelResult {
		streamChannel(ctx, source, send)
	} else {
		err = guard(func() error { return streamSeq(source, shape == seq2Result, send) })
	}
	if err != nil && !canceled(ctx, err) {
		c.logFailure(call.method.name, err)
		call.fail(errorText(streamFailed, err, c.hub.opts.EnableDetailedErrors))
		return
	}
	call.complete(protocol.ResultVoid, nil)
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
// send reports false. What an iterator yields after its end, or from a goroutine
// of its own that outlives it, is dropped: the client is told of the end once.
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
