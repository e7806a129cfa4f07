package backplane

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A question is what a client was asked: by this node, which then waits, or by
// another one, which is then sent the answer. Whoever takes it out of the table
// decides how it ends.
type question struct {
	connectionID string
	answer       chan answer // of this node; room for one
	codec        protocol.Codec
	returnTo     string // of another node: a logical channel
}

type answer struct {
	result server.ClientResult
	err    error
}

// InvokeConnection implements server.LifetimeManager. Unlike in ASP.NET Core
// the wait for a client of another node is bounded, by ClientResultTimeout.
func (r *Redis) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	inv.InvocationID = newInvocationID()
	q := &question{connectionID: id, answer: make(chan answer, 1)}
	r.mu.Lock()
	r.asked[inv.InvocationID] = q // before it is asked: the answer may be quick
	c := r.connections[id]
	r.mu.Unlock()
	defer r.take(inv.InvocationID, nil)
	m := server.NewMessage(inv)
	if c != nil {
		if err := c.Send(m); err != nil {
			return server.ClientResult{}, &server.ConnectionError{ID: id, Gone: true}
		}
		return r.awaitAnswer(ctx, q, c)
	}
	blobs, err := r.blobs(m)
	if err != nil {
		return server.ClientResult{}, err
	}
	payload := wire.AppendInvocation(nil, wire.Invocation{
		Blobs: blobs, InvocationID: inv.InvocationID, ReturnChannel: r.channels.Return(r.opts.ServerName),
	})
	count, err := r.publish(ctx, r.channels.Connection(id), payload)
	switch {
	case err != nil && ctx.Err() != nil:
		return server.ClientResult{}, errCanceled
	case err != nil:
		return server.ClientResult{}, err
	}
	if count == 0 && !r.cluster {
		return server.ClientResult{}, &server.ConnectionError{ID: id}
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.ClientResultTimeout)
	defer cancel()
	return r.awaitAnswer(ctx, q, nil)
}

// awaitAnswer waits for the answer of c, or of a client elsewhere if c is nil.
func (r *Redis) awaitAnswer(ctx context.Context, q *question, c *connection) (server.ClientResult, error) {
	var gone <-chan struct{}
	if c != nil {
		gone = c.Context().Done()
	}
	select {
	case a := <-q.answer:
		return a.result, a.err
	case <-gone:
		return server.ClientResult{}, &server.ConnectionError{ID: q.connectionID, Gone: true}
	case <-ctx.Done():
		return server.ClientResult{}, errCanceled
	case <-r.ctx.Done():
		return server.ClientResult{}, ErrClosed
	}
}

var errCanceled = server.NewHubError("Invocation canceled by the server.")

// newInvocationID is unique among all nodes: ids of several meet in one table.
func newInvocationID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return base64.RawStdEncoding.EncodeToString(id)
}

// take removes a question if match, where there is one, agrees.
func (r *Redis) take(id string, match func(*question) bool) *question {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.asked[id]
	if q == nil || match != nil && !match(q) {
		return nil
	}
	delete(r.asked, id)
	return q
}

// SetResult implements server.LifetimeManager.
func (r *Redis) SetResult(c server.Receiver, m *protocol.Completion) (known bool, err error) {
	wrong := false
	q := r.take(m.InvocationID, func(q *question) bool {
		wrong = q.connectionID != c.ID()
		return !wrong
	})
	switch {
	case wrong:
		return true, server.WithErrorType("InvalidOperationException",
			fmt.Errorf("Connection ID '%s' is not valid for invocation ID '%s'.", c.ID(), m.InvocationID))
	case q == nil:
		return false, nil
	case q.answer != nil:
		q.answer <- newAnswer(c.Codec(), m)
	default:
		r.forward(c.Codec(), q.returnTo, m)
	}
	return true, nil
}

func newAnswer(codec protocol.Codec, m *protocol.Completion) answer {
	switch m.Kind {
	case protocol.ResultError:
		return answer{err: server.NewHubError("%s", m.Error)}
	case protocol.ResultVoid:
		return answer{err: server.NewHubError("Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.")}
	}
	return answer{result: server.ClientResult{Codec: codec, Value: slices.Clone(m.RawResult)}}
}

// ask asks a client of this node on behalf of another one.
func (r *Redis) ask(id string, m wire.Invocation, message *server.Message) {
	c := r.local(id)
	if c == nil {
		return
	}
	q := &question{connectionID: id, codec: c.Codec(), returnTo: m.ReturnChannel}
	r.mu.Lock()
	_, taken := r.asked[m.InvocationID]
	if !taken {
		r.asked[m.InvocationID] = q
	}
	r.mu.Unlock()
	if taken {
		r.forward(c.Codec(), m.ReturnChannel, failure(m.InvocationID, "ID collision occurred when using client results. This is likely a bug in SignalR."))
		return
	}
	_ = c.Send(message) // if it is gone, abandon answers
}

// abandon answers for a connection that has gone.
func (r *Redis) abandon(connectionID string) {
	r.mu.Lock()
	left := map[string]*question{}
	for id, q := range r.asked {
		if q.connectionID == connectionID && q.answer == nil {
			left[id] = q
			delete(r.asked, id)
		}
	}
	r.mu.Unlock()
	for id, q := range left {
		r.forward(q.codec, q.returnTo, failure(id, "Connection disconnected."))
	}
}

func failure(id, text string) *protocol.Completion {
	return &protocol.Completion{InvocationID: id, Kind: protocol.ResultError, Error: text}
}

// forward sends a client's answer to the node that has asked, in the client's
// own protocol and with its own bytes. It does not wait.
func (r *Redis) forward(codec protocol.Codec, returnTo string, m *protocol.Completion) {
	framed, err := codec.Append(nil, m)
	if err != nil {
		r.log.Error("client result cannot be forwarded", "error", err)
		return
	}
	r.post(r.channels.Physical(returnTo), wire.AppendCompletion(nil, wire.Blob{Protocol: codec.Name(), Bytes: framed}))
}

// answered completes a question of this node. Unknown ids are late.
func (r *Redis) answered(b wire.Blob) error {
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
	if q := r.take(completion.InvocationID, func(q *question) bool { return q.answer != nil }); q != nil {
		q.answer <- newAnswer(codec, completion)
	}
	return nil
}
