package backplane

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A pendingInvocation is what a client was asked: by this node, which then waits,
// or by another one, which is then sent the result. Who takes it out of the
// table decides how it ends.
type pendingInvocation struct {
	connectionID string

	// Asked by this node:
	answer chan answer // has space for one; nil if another node has asked
	away   bool        // the client is another node's: its result comes over Redis

	client *connection // of this node, or nil

	// Asked by another node, guarded by Redis.mu:
	id       string
	returnTo string        // a logical channel
	place    *list.Element // in client.asked
}

// Bounds of what other nodes ask the clients of this one.
const (
	mostAsked        = 1024 // of one client, if its hub has no bound of its own
	longestIDOfOther = 1024 // bytes
)

// makeSpace is asked before c gets another pending invocation. Where c has too
// many, the oldest one of another node, which nobody may wait for any more, is
// taken out; the caller fails it. Redis.mu is held.
func (r *Redis) makeSpace(c *connection) (oldest *pendingInvocation, err error) {
	err = server.CheckClientResult(c.Receiver, c.asked.Len()+c.asking)
	if err == nil && c.asked.Len() < mostAsked {
		return nil, nil
	}
	if c.asked.Len() == 0 {
		return nil, err
	}
	oldest = c.asked.Front().Value.(*pendingInvocation)
	r.removeLocked(oldest.id, oldest)
	return oldest, nil
}

// cancel fails a pending invocation of another node; nil is none.
func (r *Redis) cancel(p *pendingInvocation) {
	if p != nil {
		r.forward(p.client.Codec(), p.returnTo, failure(p.id, errCanceled.Error()))
	}
}

type answer struct {
	result server.ClientResult
	err    error
}

// InvokeConnection implements server.ResultRouter. Unlike in ASP.NET Core
// the wait for a client of another node is bounded, by ClientResultTimeout.
func (r *Redis) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	inv.InvocationID = newInvocationID()
	p := &pendingInvocation{connectionID: id, answer: make(chan answer, 1)}
	r.mu.Lock()
	c := r.connections[id]
	p.away = c == nil
	var oldest *pendingInvocation
	if c != nil {
		var err error
		if oldest, err = r.makeSpace(c); err != nil {
			r.mu.Unlock()
			return server.ClientResult{}, err
		}
		p.client = c
		c.asking++
	}
	r.pending[inv.InvocationID] = p // before it is asked: the answer may be quick
	r.mu.Unlock()
	r.cancel(oldest)
	defer r.take(inv.InvocationID, nil)
	m := server.NewMessage(inv)
	if c != nil {
		if _, err := m.Bytes(c.Codec()); err != nil {
			return server.ClientResult{}, err
		}
		if err := c.Send(m); err != nil {
			return server.ClientResult{}, &server.ConnectionError{ID: id, Gone: true}
		}
		return r.awaitAnswer(ctx, p, c)
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
	if r.opts.ClientResultTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.opts.ClientResultTimeout)
		defer cancel()
	}
	return r.awaitAnswer(ctx, p, nil)
}

// awaitAnswer waits for the answer of c, or of a client elsewhere if c is nil.
func (r *Redis) awaitAnswer(ctx context.Context, p *pendingInvocation, c *connection) (server.ClientResult, error) {
	var gone <-chan struct{}
	if c != nil {
		gone = c.Context().Done()
	}
	select {
	case a := <-p.answer:
		return a.result, a.err
	case <-gone:
		return server.ClientResult{}, &server.ConnectionError{ID: p.connectionID, Gone: true}
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

// take removes a pending invocation if match, where there is one, agrees.
func (r *Redis) take(id string, match func(*pendingInvocation) bool) *pendingInvocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pending[id]
	if p == nil || match != nil && !match(p) {
		return nil
	}
	r.removeLocked(id, p)
	return p
}

func (r *Redis) removeLocked(id string, p *pendingInvocation) {
	delete(r.pending, id)
	switch {
	case p.place != nil:
		p.client.asked.Remove(p.place)
	case p.client != nil:
		p.client.asking--
	}
}

// SetResult implements server.ResultRouter.
func (r *Redis) SetResult(c server.Receiver, m *protocol.Completion) (known bool, err error) {
	wrong := false
	p := r.take(m.InvocationID, func(p *pendingInvocation) bool {
		wrong = p.connectionID != c.ID()
		return !wrong
	})
	switch {
	case wrong:
		return true, server.WithErrorType("InvalidOperationException",
			fmt.Errorf("Connection ID '%s' is not valid for invocation ID '%s'.", c.ID(), m.InvocationID))
	case p == nil:
		return false, nil
	case p.answer != nil:
		p.answer <- newAnswer(c.Codec(), m)
	default:
		r.forward(c.Codec(), p.returnTo, m)
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

// ask asks a client of this node on behalf of another one. An error says that
// the other node does not follow the rules.
func (r *Redis) ask(id string, m wire.Invocation, message *server.Message) error {
	if returns := r.channels.Return(""); !strings.HasPrefix(m.ReturnChannel, returns) || len(m.ReturnChannel) > len(returns)+longestIDOfOther {
		return errors.New("the channel for a client result is none of this hub")
	}
	if len(m.InvocationID) > longestIDOfOther {
		return fmt.Errorf("invocation id of %d bytes, the limit is %d", len(m.InvocationID), longestIDOfOther)
	}
	p := &pendingInvocation{connectionID: id, id: m.InvocationID, returnTo: m.ReturnChannel}
	r.mu.Lock()
	c := r.connections[id]
	if c == nil {
		r.mu.Unlock()
		return nil // gone meanwhile
	}
	_, taken := r.pending[p.id]
	var oldest *pendingInvocation
	var full error
	if !taken {
		oldest, full = r.makeSpace(c)
	}
	if !taken && full == nil {
		p.client, p.place = c, c.asked.PushBack(p)
		r.pending[p.id] = p
	}
	r.mu.Unlock()
	if taken {
		r.forward(c.Codec(), m.ReturnChannel, failure(p.id, "ID collision occurred when using client results. This is likely a bug in SignalR."))
		return nil
	}
	if full != nil {
		r.forward(c.Codec(), m.ReturnChannel, failure(p.id, "The client has too many calls that have not been answered."))
		return nil
	}
	r.cancel(oldest)
	message.MustArrive()
	_ = c.Send(message) // if it is gone, abandon answers
	return nil
}

// abandon answers for a client that has gone what other nodes have asked it.
func (r *Redis) abandon(c *connection) {
	r.mu.Lock()
	left := make([]*pendingInvocation, 0, c.asked.Len())
	for c.asked.Len() > 0 {
		p := c.asked.Front().Value.(*pendingInvocation)
		r.removeLocked(p.id, p)
		left = append(left, p)
	}
	r.mu.Unlock()
	for _, p := range left {
		r.forward(c.Codec(), p.returnTo, failure(p.id, "Connection disconnected."))
	}
}

func failure(id, text string) *protocol.Completion {
	return &protocol.Completion{InvocationID: id, Kind: protocol.ResultError, Error: text}
}

// forward sends a client's answer to the node that has asked, in the client's
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
	r.post(r.channels.Physical(returnTo), wire.AppendCompletion(nil, wire.Blob{Protocol: codec.Name(), Bytes: framed}))
}

// resultCame hands over a result that came from another node. Unknown ids are
// late, and results of clients of this node come from themselves only.
func (r *Redis) resultCame(b wire.Blob) error {
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
	if p := r.take(completion.InvocationID, func(p *pendingInvocation) bool { return p.away }); p != nil {
		p.answer <- newAnswer(codec, completion)
	}
	return nil
}
