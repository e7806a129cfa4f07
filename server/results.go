package server

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// A resultTable holds the calls of clients that wait for their answer.
type resultTable struct {
	mu      sync.Mutex
	pending map[string]*pendingResult
	asked   map[string]map[string]struct{} // connection id -> invocation ids in pending
}

type pendingResult struct {
	connectionID string
	answer       chan answer // room for one: who removes the entry sends
}

type answer struct {
	result ClientResult
	err    error
}

func (t *resultTable) start() {
	t.pending = map[string]*pendingResult{}
	t.asked = map[string]map[string]struct{}{}
}

// add registers a call of c, unless c has too many to answer.
func (t *resultTable) add(invocationID string, c Receiver) (*pendingResult, error) {
	id := c.ID()
	p := &pendingResult{connectionID: id, answer: make(chan answer, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := CheckClientResult(c, len(t.asked[id])); err != nil {
		return nil, err
	}
	t.pending[invocationID] = p
	if t.asked[id] == nil {
		t.asked[id] = map[string]struct{}{}
	}
	t.asked[id][invocationID] = struct{}{}
	return p, nil
}

func (t *resultTable) remove(invocationID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(invocationID)
}

// removeLocked forgets a call, if it is still known.
func (t *resultTable) removeLocked(invocationID string) {
	p := t.pending[invocationID]
	if p == nil {
		return
	}
	delete(t.pending, invocationID)
	of := t.asked[p.connectionID]
	if delete(of, invocationID); len(of) == 0 {
		delete(t.asked, p.connectionID)
	}
}

// wait returns the answer of c, or why there is none.
func (t *resultTable) wait(ctx context.Context, p *pendingResult, c Receiver) (ClientResult, error) {
	select {
	case a := <-p.answer:
		return a.result, a.err
	case <-ctx.Done():
		return ClientResult{}, NewHubError("Invocation canceled by the server.")
	case <-c.Context().Done():
		select {
		case a := <-p.answer: // it answered first
			return a.result, a.err
		default:
			return ClientResult{}, &ConnectionError{ID: c.ID(), Gone: true}
		}
	}
}

// disconnected fails what a connection that has gone was asked.
func (t *resultTable) disconnected(connectionID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.asked[connectionID] {
		p := t.pending[id]
		t.removeLocked(id)
		p.answer <- answer{err: &ConnectionError{ID: connectionID, Gone: true}}
	}
}

// set hands over an answer. Source: docs/reference/hub-protocol.md, section 4.7.
func (t *resultTable) set(c Receiver, m *protocol.Completion) (known bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pending[m.InvocationID]
	if p == nil {
		return false, nil
	}
	if p.connectionID != c.ID() {
		return true, errWrongConnection(c.ID(), m.InvocationID)
	}
	t.removeLocked(m.InvocationID)
	p.answer <- newAnswer(c.Codec(), m)
	return true, nil
}

func errWrongConnection(connectionID, invocationID string) error {
	return WithErrorType("InvalidOperationException",
		errors.New("Connection ID '"+connectionID+"' is not valid for invocation ID '"+invocationID+"'."))
}

func newAnswer(codec protocol.Codec, m *protocol.Completion) answer {
	switch m.Kind {
	case protocol.ResultError:
		return answer{err: &HubError{Message: m.Error}}
	case protocol.ResultVoid:
		return answer{err: &HubError{Message: "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."}}
	}
	return answer{result: ClientResult{Codec: codec, Value: slices.Clone(m.RawResult)}}
}
