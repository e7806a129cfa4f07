package members

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// Texts of failed client results, as ASP.NET Core has them.
const (
	TextCanceled = "Invocation canceled by the server."
	textVoid     = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."
)

// ErrCollision says that an invocation with the same id is pending. Its text is
// ASP.NET Core's.
var ErrCollision = errors.New("ID collision occurred when using client results. This is likely a bug in SignalR.")

// WrongConnection is the text for a result that another client sent than the
// one that was invoked.
func WrongConnection(connectionID, invocationID string) string {
	return "Connection ID '" + connectionID + "' is not valid for invocation ID '" + invocationID + "'."
}

// A Result is a client result: a value in the client's own protocol, or the
// text of an error.
type Result struct {
	Failed bool
	Error  string
	Codec  protocol.Codec
	Value  protocol.Raw
}

// ReadResult returns the result that m carries. It keeps nothing of m.
func ReadResult(codec protocol.Codec, m *protocol.Completion) Result {
	switch m.Kind {
	case protocol.ResultError:
		return Result{Failed: true, Error: m.Error}
	case protocol.ResultVoid:
		return Result{Failed: true, Error: textVoid}
	}
	return Result{Codec: codec, Value: slices.Clone(m.RawResult)}
}

// A Pending is a pending invocation of a client. This node waits for its result
// (Await), or another one, to which the result is sent. The goroutine that
// takes it out of the Results decides how it ends, so that it ends once.
type Pending struct {
	ID           string // of the invocation
	ConnectionID string // of the client that is invoked

	// Away says that this node waits for a client of another one, which does not
	// count here, and whose result comes by Claim with no connection.
	Away bool

	// ReturnTo is where the node is that waits; empty is this one.
	ReturnTo string

	result chan outcome // has space for one: the goroutine that has taken p out does not wait

	// Guarded by Results.mu:
	of    *list.List // where place is
	place *list.Element
}

// End says how the wait for a result has ended.
type End int

const (
	Answered  End = iota
	Canceled      // the context was done
	Gone          // the client has disconnected
	NodeEnded     // the node ends
)

type outcome struct {
	result Result
	end    End
}

// Await waits for the result of p, until ctx, the client or the node ends. A
// nil channel never ends. A result that came before the client disconnected
// counts.
func (p *Pending) Await(ctx context.Context, client, node <-chan struct{}) (Result, End) {
	select {
	case o := <-p.result:
		return o.result, o.end
	case <-client:
		select {
		case o := <-p.result:
			return o.result, o.end
		default:
			return Result{}, Gone
		}
	case <-ctx.Done():
		return Result{}, Canceled
	case <-node:
		return Result{}, NodeEnded
	}
}

// Answer ends the wait of this node for p, which was taken out of the Results.
func (p *Pending) Answer(result Result) { p.result <- outcome{result, Answered} }

// Results are the pending invocations of clients. The zero Results is empty. It
// is safe for concurrent use, and must not be copied.
type Results struct {
	mu      sync.Mutex
	pending map[string]*Pending
	clients map[string]*client // with pending invocations, by connection id
}

// A client has its pending invocations, those of this node and of others, the
// oldest first.
type client struct{ own, others list.List }

// Add makes p pending, before it is sent to its client. allow is called with
// how many of that client are pending for this node and for others, and returns
// an error if there may not be one more. Then the oldest one of another node,
// for which nobody may wait any more, is taken out and returned: the caller
// fails it. Where there is none, allow's error is returned, and p is not
// pending. Errors else: ErrCollision.
func (r *Results) Add(p *Pending, allow func(own, others int) error) (oldest *Pending, err error) {
	p.result = make(chan outcome, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[p.ID] != nil {
		return nil, ErrCollision
	}
	if r.pending == nil {
		r.pending, r.clients = map[string]*Pending{}, map[string]*client{}
	}
	if !p.Away {
		c := r.clients[p.ConnectionID]
		if c == nil {
			c = &client{}
		}
		if err := allow(c.own.Len(), c.others.Len()); err != nil {
			if c.others.Len() == 0 {
				return nil, err
			}
			oldest = c.others.Front().Value.(*Pending)
			r.removeLocked(oldest)
		}
		r.clients[p.ConnectionID] = c
		p.of = &c.own
		if p.ReturnTo != "" {
			p.of = &c.others
		}
		p.place = p.of.PushBack(p)
	}
	r.pending[p.ID] = p
	return oldest, nil
}

func (r *Results) removeLocked(p *Pending) {
	delete(r.pending, p.ID)
	if p.Away {
		return
	}
	p.of.Remove(p.place)
	if c := r.clients[p.ConnectionID]; c.own.Len() == 0 && c.others.Len() == 0 {
		delete(r.clients, p.ConnectionID)
	}
}

// Remove takes p out, if it is still pending.
func (r *Results) Remove(p *Pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[p.ID] == p {
		r.removeLocked(p)
	}
}

// Claim takes out the invocation id of connectionID, a client of this node. It
// returns nil if there is no such invocation; wrong says that there is one, of
// another client.
func (r *Results) Claim(id, connectionID string) (p *Pending, wrong bool) {
	return r.claim(id, func(p *Pending) bool { return p.ConnectionID == connectionID })
}

// ClaimAway takes out the invocation id of a client of another node, or returns
// nil: results of this node's clients are taken from those clients only.
func (r *Results) ClaimAway(id string) *Pending {
	p, _ := r.claim(id, func(p *Pending) bool { return p.Away })
	return p
}

func (r *Results) claim(id string, match func(*Pending) bool) (p *Pending, wrong bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p = r.pending[id]
	if p == nil || !match(p) {
		return nil, p != nil
	}
	r.removeLocked(p)
	return p, false
}

// Disconnected takes out the invocations of a client that has disconnected. It
// ends the waits of this node, and returns the invocations of others.
func (r *Results) Disconnected(connectionID string) (others []*Pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[connectionID]
	if c == nil {
		return nil
	}
	for c.own.Len() > 0 {
		p := c.own.Front().Value.(*Pending)
		r.removeLocked(p)
		p.result <- outcome{end: Gone}
	}
	for c.others.Len() > 0 {
		p := c.others.Front().Value.(*Pending)
		r.removeLocked(p)
		others = append(others, p)
	}
	return others
}

// Len is how many are pending.
func (r *Results) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}
