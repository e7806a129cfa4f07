package hubclient

import (
	"context"
	"iter"
	"strconv"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// A CallError is the error that a server answers a call with.
type CallError struct{ Text string }

func (e *CallError) Error() string { return e.Text }

// An Upload is a stream of the client: it yields items until it ends, or until
// an error, which is sent to the server. It must end soon after stop is closed.
type Upload func(stop <-chan struct{}) iter.Seq2[any, error]

// A Call is a call of a hub method that is answered. It is safe for concurrent
// use.
type Call struct {
	client *Client
	id     string
	items  Queue[protocol.Raw]

	once   sync.Once
	done   chan struct{}
	answer *protocol.Completion // set before done is closed; nil: the connection has ended
}

func (c *Call) end(answer *protocol.Completion) {
	c.once.Do(func() {
		c.answer = answer
		c.items.End()
		close(c.done)
	})
}

// Start calls a method that is answered with a result.
func (c *Client) Start(method string, args []any, uploads ...Upload) (*Call, error) {
	return c.start(method, args, uploads, func(inv protocol.Invocation) protocol.Message { return &inv })
}

// Stream calls a method that answers with a stream.
func (c *Client) Stream(method string, args []any, uploads ...Upload) (*Call, error) {
	return c.start(method, args, uploads, func(inv protocol.Invocation) protocol.Message {
		return &protocol.StreamInvocation{Invocation: inv}
	})
}

// Send calls a method without an answer.
func (c *Client) Send(method string, args []any, uploads ...Upload) error {
	inv := c.invocation(method, args, len(uploads))
	if err := c.Write(&inv); err != nil {
		return err
	}
	c.upload(inv.StreamIDs, uploads, c.done)
	return nil
}

func (c *Client) start(method string, args []any, uploads []Upload, message func(protocol.Invocation) protocol.Message) (*Call, error) {
	inv := c.invocation(method, args, len(uploads))
	call := &Call{client: c, id: c.newID(), done: make(chan struct{})}
	inv.InvocationID = call.id
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.calls[call.id] = call
	c.mu.Unlock()
	if err := c.Write(message(inv)); err != nil {
		c.call(call.id, true)
		return nil, err
	}
	c.upload(inv.StreamIDs, uploads, call.done)
	return call, nil
}

func (c *Client) newID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return strconv.Itoa(c.lastID)
}

func (c *Client) invocation(method string, args []any, uploads int) protocol.Invocation {
	if args == nil {
		args = []any{}
	}
	inv := protocol.Invocation{Target: method, Arguments: args}
	for range uploads {
		inv.StreamIDs = append(inv.StreamIDs, "u"+c.newID())
	}
	return inv
}

// upload sends streams until stop is closed, each on a goroutine of its own: one
// whose next item takes long does not hold up the others.
func (c *Client) upload(ids []string, uploads []Upload, stop <-chan struct{}) {
	for i, upload := range uploads {
		c.running.Go(func() {
			end := protocol.Completion{InvocationID: ids[i], Kind: protocol.ResultVoid}
			for item, err := range upload(stop) {
				if over(stop) { // the server waits for no item any more
					return
				}
				if err != nil {
					end.Kind, end.Error = protocol.ResultError, err.Error()
					break
				}
				if err := c.Write(&protocol.StreamItem{InvocationID: ids[i], Item: item}); err != nil {
					end.Kind, end.Error = protocol.ResultError, err.Error()
					break
				}
			}
			if !over(stop) {
				_ = c.Write(&end) // the reader sees a connection that is gone
			}
		})
	}
}

func over(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// Done is closed when the call has been answered, or the connection has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait waits for the answer and decodes its result into the pointer result; nil
// means that the result does not matter. Errors: *CallError, ErrClosed, that of
// ctx, and those of decoding.
func (c *Call) Wait(ctx context.Context, result any) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		select {
		case <-c.done: // both: the answer counts
		default:
			return ctx.Err()
		}
	}
	switch {
	case c.answer == nil:
		return ErrClosed
	case c.answer.Kind == protocol.ResultError:
		return &CallError{c.answer.Error}
	case result == nil || c.answer.Kind != protocol.ResultValue:
		return nil
	}
	return c.client.codec.Unmarshal(c.answer.RawResult, result)
}

// Next waits for the next item of a stream and decodes it into the pointer item.
// ok is false at the end, whose error is that of Wait.
func (c *Call) Next(ctx context.Context, item any) (ok bool, err error) {
	raw, ok := c.items.Next(ctx.Done())
	if !ok {
		return false, c.Wait(ctx, nil)
	}
	return true, c.client.codec.Unmarshal(raw, item)
}

// Cancel tells the server that the answer is no longer wanted. A server may
// answer all the same.
func (c *Call) Cancel() error {
	return c.client.Write(&protocol.CancelInvocation{InvocationID: c.id})
}

// Forget makes the client ignore an answer that comes later.
func (c *Call) Forget() {
	c.client.call(c.id, true)
	c.end(nil)
}

// Invoke calls a method and waits for its result; see Call.Wait.
func (c *Client) Invoke(ctx context.Context, result any, method string, args ...any) error {
	call, err := c.Start(method, args)
	if err != nil {
		return err
	}
	if err := call.Wait(ctx, result); err != nil {
		call.Forget()
		return err
	}
	return nil
}
