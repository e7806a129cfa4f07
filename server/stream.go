package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/hubwire/hubwire/protocol"
)

// invokeStreaming starts a call that streams in one direction or both. It takes
// no permit. Its streams are registered before the next message is looked at,
// so that no item misses them.
func (c *HubConnection) invokeStreaming(call *Call, inv *protocol.Invocation, rest []byte, as role) outcome {
	if call.method.authorize != nil && as == reader { // user code of any length
		return c.handOver(rest, as, func() { c.startStreaming(call, inv.StreamIDs) })
	}
	c.startStreaming(call, inv.StreamIDs)
	return goOn
}

func (c *HubConnection) startStreaming(call *Call, streamIDs []string) {
	m := call.method
	switch {
	case m.authorize != nil && !c.authorized(call):
		c.fail(call.id, fmt.Sprintf("Failed to invoke '%s' because user is unauthorized", m.name))
		return
	case m.streamsResult() && !call.streaming:
		c.fail(call.id, fmt.Sprintf("The client attempted to invoke the streaming '%s' method with a non-streaming invocation.", m.name))
		return
	case !m.streamsResult() && call.streaming:
		c.fail(call.id, fmt.Sprintf("The client attempted to invoke the non-streaming '%s' method with a streaming invocation.", m.name))
		return
	}
	if call.streaming && !c.openStream(call) {
		c.fail(call.id, fmt.Sprintf("Invocation ID '%s' is already in use.", call.id))
		return
	}
	if err := c.openUploads(call, streamIDs); err != nil {
		c.closeStream(call)
		c.fail(call.id, c.invokeText(m, err))
		return
	}
	c.hub.running.Go(func() { c.runStreaming(call) })
}

// openStream registers a stream to the client under its invocation id.
func (c *HubConnection) openStream(call *Call) bool {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.streams[call.id]; taken {
		cancel()
		return false
	}
	if c.streams == nil {
		c.streams = map[string]context.CancelFunc{}
	}
	c.streams[call.id] = cancel
	call.ctx, call.cancel = ctx, cancel
	return true
}

func (c *HubConnection) closeStream(call *Call) {
	if call.cancel == nil {
		return
	}
	c.mu.Lock()
	delete(c.streams, call.id)
	c.mu.Unlock()
	call.cancel()
}

// cancelStream obeys a CancelInvocation. Unknown ids are ignored.
func (c *HubConnection) cancelStream(id string) {
	c.mu.Lock()
	cancel := c.streams[id]
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (c *HubConnection) runStreaming(call *Call) {
	defer c.bytes.Uncork()
	defer c.closeStream(call)
	defer c.closeUploads(call)
	result, err := c.callMethod(call)
	switch {
	case err != nil:
		c.logPanic(call.method.name, err)
		call.complete(&protocol.Completion{Kind: protocol.ResultError, Error: c.invokeText(call.method, err)})
	case !call.method.streamsResult():
		call.complete(&protocol.Completion{Kind: protocol.ResultValue, Result: result})
	default:
		c.stream(call, reflect.ValueOf(result))
	}
}

const streamFailed = "An error occurred on the server while streaming results."

// stream sends the items of a method's result, one at a time, each waiting
// while the client does not read, and ends the stream.
func (c *HubConnection) stream(call *Call, source reflect.Value) {
	if !source.IsValid() || source.IsNil() {
		call.complete(&protocol.Completion{Kind: protocol.ResultError, Error: fmt.Sprintf(
			"The value returned by the streaming method '%s' is not a ChannelReader<> or IAsyncEnumerable<>.", call.method.name)})
		return
	}
	send := func(v reflect.Value) bool {
		if call.ctx.Err() != nil {
			return false
		}
		c.reply(call, &protocol.StreamItem{InvocationID: call.id, Item: v.Interface()})
		return call.ctx.Err() == nil
	}
	var err error
	if call.method.result == channelResult {
		streamChannel(call.ctx, source, send)
	} else {
		err = guard(func() error { return streamSeq(source, call.method.result == seq2Result, send) })
	}
	if err != nil && !canceled(call.ctx, err) {
		c.logPanic(call.method.name, err)
		call.complete(&protocol.Completion{Kind: protocol.ResultError, Error: errorText(streamFailed, err, c.hub.opts.EnableDetailedErrors)})
		return
	}
	call.complete(&protocol.Completion{Kind: protocol.ResultVoid})
}

// canceled reports whether err only says that the client has cancelled.
func canceled(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
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
// send reports false.
func streamSeq(source reflect.Value, pairs bool, send func(reflect.Value) bool) error {
	var failed error
	yield := reflect.MakeFunc(source.Type().In(0), func(in []reflect.Value) []reflect.Value {
		if pairs && !in[1].IsNil() {
			failed = in[1].Interface().(error)
			return []reflect.Value{reflect.ValueOf(false)}
		}
		return []reflect.Value{reflect.ValueOf(send(in[0]))}
	})
	source.Call([]reflect.Value{yield})
	return failed
}
