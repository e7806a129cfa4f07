package server

import (
	"context"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// A hubManager is the LifetimeManager of a hub as the hub calls it: a panic in
// one of its methods is an error, and once the hub is shut down every method
// that sends or changes groups returns ErrShutdown.
type hubManager struct {
	own      LifetimeManager
	results  ResultRouter     // own, or nil if it is none
	keeper   SessionKeeper    // own, or nil in a hub without sessions
	codecs   []protocol.Codec // of the hub, in the order of Options.Protocols
	standard bool             // they are those of package protocol
	remote   bool             // another server holds the clients: see Hub.remote
	down     atomic.Bool      // Shutdown has returned
}

func newHubManager(own LifetimeManager, codecs []protocol.Codec) *hubManager {
	results, _ := own.(ResultRouter)
	return &hubManager{own: own, results: results, codecs: codecs, standard: standardCodecs(codecs)}
}

// ready says why msg cannot be sent to anybody.
func (m *hubManager) ready(msg *Message) error {
	if m.down.Load() {
		return ErrShutdown
	}
	return m.encodable(msg)
}

func (m *hubManager) Connected(ctx context.Context, c Receiver) (err error) {
	defer catch(&err)
	return m.own.Connected(ctx, c)
}

// Disconnected returns an error only where the manager's own panics.
func (m *hubManager) Disconnected(c Receiver) (err error) {
	defer catch(&err)
	m.own.Disconnected(c)
	return nil
}

func (m *hubManager) AddToGroup(ctx context.Context, connectionID, group string) (err error) {
	if m.down.Load() {
		return ErrShutdown
	}
	defer catch(&err)
	return m.own.AddToGroup(ctx, connectionID, group)
}

func (m *hubManager) RemoveFromGroup(ctx context.Context, connectionID, group string) (err error) {
	if m.down.Load() {
		return ErrShutdown
	}
	defer catch(&err)
	return m.own.RemoveFromGroup(ctx, connectionID, group)
}

func (m *hubManager) InvokeConnection(ctx context.Context, connectionID string, inv *protocol.Invocation) (result ClientResult, err error) {
	switch {
	case m.down.Load():
		return result, ErrShutdown
	case m.results == nil:
		return result, ErrNoClientResults
	}
	defer catch(&err)
	return m.results.InvokeConnection(ctx, connectionID, inv)
}

// groupsOf returns nothing where the manager is no GroupLister.
func (m *hubManager) groupsOf(connectionID string) (groups []string, err error) {
	defer catch(&err)
	if lister, ok := m.own.(GroupLister); ok {
		groups = lister.GroupsOf(connectionID)
	}
	return groups, nil
}

// SetResult reports false where the manager is no ResultRouter: no invocation
// is pending.
func (m *hubManager) SetResult(c Receiver, completion *protocol.Completion) (known bool, err error) {
	if m.results == nil {
		return false, nil
	}
	defer catch(&err)
	return m.results.SetResult(c, completion)
}
