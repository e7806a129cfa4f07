package backplane

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// Bounds of the invocations by other nodes of the clients of this one.
const (
	mostPending      = 1024 // of one client, if its hub has no bound of its own
	longestIDOfOther = 1024 // bytes
)

var errTooMany = errors.New("too many pending invocations of other nodes")

// space says whether c may have one more pending invocation.
func space(c *connection) func(own, others int) error {
	return func(own, others int) error {
		if err := server.CheckClientResult(c.Receiver, own+others); err != nil {
			return err
		}
		if others >= mostPending {
			return errTooMany
		}
		return nil
	}
}

// InvokeConnection implements server.ResultRouter. Unlike in ASP.NET Core
// the wait for a client of another node is bounded, by ClientResultTimeout.
func (r *Redis) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	inv.InvocationID = newInvocationID()
	p := &members.Pending{ID: inv.InvocationID, ConnectionID: id}
	r.mu.Lock() // until p is pending: c cannot disconnect in between
	c := r.connections[id]
	p.Away = c == nil
	oldest, err := r.results.Add(p, space(c))
	r.mu.Unlock()
	if err != nil {
		return server.ClientResult{}, err
	}
	defer r.results.Remove(p)
	if c == nil {
		return r.invokeAway(ctx, p, server.NewMessage(inv))
	}
	r.cancel(c, oldest)
	m := server.NewMessage(inv)
	if _, err := m.Bytes(c.Codec()); err != nil {
		return server.ClientResult{}, err
	}
	if err := c.Send(m); err != nil {
		return server.ClientResult{}, &server.ConnectionError{ID: id, Gone: true}
	}
	return r.awaitResult(ctx, p, c.Context().Done())
}

// invokeAway invokes a client of another node.
func (r *Redis) invokeAway(ctx context.Context, p *members.Pending, m *server.Message) (server.ClientResult, error) {
	encodings, err := r.encodings(m)
	if err != nil {
		return server.ClientResult{}, err
	}
	payload := wire.AppendInvocation(nil, wire.Invocation{
		Encodings: encodings, InvocationID: p.ID, ReturnChannel: r.channels.Return(r.opts.ServerName),
	})
	count, err := r.publish(ctx, r.channels.Connection(p.ConnectionID), payload)
	switch {
	case err != nil && ctx.Err() != nil:
		return server.ClientResult{}, errCanceled
	case err != nil:
		return server.ClientResult{}, err
	}
	if count == 0 && !r.cluster {
		return server.ClientResult{}, &server.ConnectionError{ID: p.ConnectionID}
	}
	if r.opts.ClientResultTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.opts.ClientResultTimeout)
		defer cancel()
	}
	return r.awaitResult(ctx, p, nil)
}

// awaitResult waits for the result of a client, until gone, if not nil, is closed.
func (r *Redis) awaitResult(ctx context.Context, p *members.Pending, gone <-chan struct{}) (server.ClientResult, error) {
	result, end := p.Await(ctx, gone, r.ctx.Done())
	switch {
	case end == members.Gone:
		return server.ClientResult{}, &server.ConnectionError{ID: p.ConnectionID, Gone: true}
	case end == members.NodeEnded:
		return server.ClientResult{}, ErrClosed
	case end == members.Canceled:
		return server.ClientResult{}, errCanceled
	case result.Failed:
		return server.ClientResult{}, server.NewHubError("%s", result.Error)
	}
	return server.ClientResult{Codec: result.Codec, Value: result.Value}, nil
}

var errCanceled = server.NewHubError(members.TextCanceled)

// newInvocationID is unique among all nodes: those of several nodes are in one
// table.
func newInvocationID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return base64.RawStdEncoding.EncodeToString(id)
}

// SetResult implements server.ResultRouter.
func (r *Redis) SetResult(c server.Receiver, m *protocol.Completion) (known bool, err error) {
	p, wrong := r.results.Claim(m.InvocationID, c.ID())
	switch {
	case wrong:
		return true, server.WithErrorType("InvalidOperationException", errors.New(members.WrongConnection(c.ID(), m.InvocationID)))
	case p == nil:
		return false, nil
	case p.ReturnTo == "":
		p.Answer(members.ReadResult(c.Codec(), m))
	default:
		r.forward(c.Codec(), p.ReturnTo, m)
	}
	return true, nil
}

// invokeForPeer invokes a client of this node on behalf of another node. An
// error says that the other node does not follow the protocol.
func (r *Redis) invokeForPeer(id string, m wire.Invocation, message *server.Message) error {
	if returns := r.channels.Return(""); !strings.HasPrefix(m.ReturnChannel, returns) || len(m.ReturnChannel) > len(returns)+longestIDOfOther {
		return errors.New("the channel for a client result is none of this hub")
	}
	if len(m.InvocationID) > longestIDOfOther {
		return fmt.Errorf("invocation id of %d bytes, the limit is %d", len(m.InvocationID), longestIDOfOther)
	}
	p := &members.Pending{ID: m.InvocationID, ConnectionID: id, ReturnTo: m.ReturnChannel}
	r.mu.Lock() // until p is pending: if c disconnects later, failResults finds it
	c := r.connections[id]
	if c == nil {
		r.mu.Unlock()
		return nil // gone meanwhile
	}
	oldest, err := r.results.Add(p, space(c))
	r.mu.Unlock()
	switch {
	case errors.Is(err, members.ErrCollision):
		r.fail(c, p, err.Error())
		return nil
	case err != nil:
		r.fail(c, p, "The client has too many calls that have not been answered.")
		return nil
	}
	r.cancel(c, oldest)
	message.MustArrive()
	_ = c.Send(message) // if it has disconnected, failResults sends the error
	return nil
}

// cancel fails p, an invocation of c by another node for which there is no
// space any more. Nil is ignored.
func (r *Redis) cancel(c *connection, p *members.Pending) {
	if p != nil {
		r.fail(c, p, members.TextCanceled)
	}
}

// failResults fails the pending invocations of c, which has disconnected, by
// other nodes.
func (r *Redis) failResults(c *connection) {
	for _, p := range r.results.Disconnected(c.ID()) {
		r.fail(c, p, "Connection disconnected.")
	}
}

// fail sends another node an error as the client result of c.
func (r *Redis) fail(c *connection, p *members.Pending, text string) {
	r.forward(c.Codec(), p.ReturnTo, &protocol.Completion{InvocationID: p.ID, Kind: protocol.ResultError, Error: text})
}

// forward sends a client result to the node that waits for it, in the client's
// own protocol and with its own bytes. It does not wait.
func (r *Redis) forward(codec protocol.Codec, returnTo string, m *protocol.Completion) {
	var framed []byte
	err := r.guard("a codec", func() (err error) {
		framed, err = codec.Append(nil, m)
		return err
	})
	if err != nil {
		r.log.Error("client result cannot be forwarded", "error", err)
		return
	}
	r.observeForwarded(ForwardedResult)
	r.post(r.channels.Physical(returnTo), wire.AppendCompletion(nil, wire.Encoding{Protocol: codec.Name(), Bytes: framed}))
}

// resultCame completes an invocation with a result from another node. An
// unknown id is late; results of this node's clients are taken only from those
// clients.
func (r *Redis) resultCame(b wire.Encoding) error {
	codec := r.codecs[b.Protocol]
	if codec == nil {
		return fmt.Errorf("received a client result for protocol %q, which this node does not have", b.Protocol)
	}
	m, _, err := codec.Next(b.Bytes)
	if err != nil {
		return err
	}
	completion, ok := m.(*protocol.Completion)
	if !ok {
		return errors.New("client result is no completion")
	}
	if p := r.results.ClaimAway(completion.InvocationID); p != nil {
		p.Answer(members.ReadResult(codec, completion))
	}
	return nil
}
