package server

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/protocol"
)

type memberSet = members.Set[Receiver]

// NewLifetimeManager returns the manager of a hub whose connections are all in
// this process. It serves one hub.
func NewLifetimeManager() LifetimeManager {
	return &localManager{
		groups: map[string]*memberSet{},
		users:  map[string]*memberSet{},
		joined: map[string]map[string]struct{}{},
	}
}

// localManager is the manager of one process. A lock is held for one membership
// at a time: nobody waits for a connection that leaves many groups.
type localManager struct {
	all      memberSet
	mu       sync.Mutex // guards the three maps and sessions
	groups   map[string]*memberSet
	users    map[string]*memberSet
	joined   map[string]map[string]struct{} // connection id -> groups
	sessions *localSessions                 // nil: groups end with their connection
	results  members.Results
	lastID   atomic.Uint64
}

func (m *localManager) Connected(_ context.Context, c Receiver) error {
	m.all.Add(c)
	if id := c.UserID(); id != "" {
		m.mu.Lock()
		join(m.users, id, c)
		m.mu.Unlock()
	}
	return nil
}

func (m *localManager) Disconnected(c Receiver) {
	m.all.Remove(c.ID()) // from now on it joins no group
	m.mu.Lock()
	groups := m.joined[c.ID()]
	delete(m.joined, c.ID())
	if id := c.UserID(); id != "" {
		leave(m.users, id, c.ID())
	}
	m.sessions.disconnected(c.ID())
	m.mu.Unlock()
	for group := range groups {
		m.leaveGroup(c.ID(), group)
	}
	m.results.Disconnected(c.ID())
}

func (m *localManager) leaveGroup(id, group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	leave(m.groups, group, id)
}

// join adds c to the set name, which it makes if there is none.
func join(sets map[string]*memberSet, name string, c Receiver) {
	set := sets[name]
	if set == nil {
		set = &memberSet{}
		sets[name] = set
	}
	set.Add(c)
}

func leave(sets map[string]*memberSet, name, id string) {
	if set := sets[name]; set != nil && set.Remove(id) {
		delete(sets, name)
	}
}

func (m *localManager) AddToGroup(_ context.Context, id, group string) error {
	c := m.all.Get(id)
	if c == nil || c.Context().Err() != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	groups := m.joined[id]
	if _, member := groups[group]; member {
		return m.sessions.joined(id, group)
	}
	if err := CheckJoin(c, group, len(groups)); err != nil {
		return err
	}
	if m.all.Get(id) != c { // it has left meanwhile: Disconnected has looked at joined, or is about to
		return nil
	}
	if err := m.sessions.joined(id, group); err != nil {
		return err
	}
	m.enterGroup(c, group)
	return nil
}

func (m *localManager) RemoveFromGroup(_ context.Context, id, group string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exitGroup(id, group)
	m.sessions.left(id, group)
	return nil
}

// GroupsOf implements GroupLister.
func (m *localManager) GroupsOf(connectionID string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.joined[connectionID]))
}

func (m *localManager) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (ClientResult, error) {
	c := m.all.Get(id)
	if c == nil || c.Context().Err() != nil {
		return ClientResult{}, &ConnectionError{ID: id}
	}
	inv.InvocationID = "s" + strconv.FormatUint(m.lastID.Add(1), 10)
	p := &members.Pending{ID: inv.InvocationID, ConnectionID: id}
	if _, err := m.results.Add(p, func(own, _ int) error { return CheckClientResult(c, own) }); err != nil {
		return ClientResult{}, err
	}
	defer m.results.Remove(p)
	if err := c.Send(NewMessage(inv)); err != nil {
		if c.Context().Err() != nil {
			return ClientResult{}, &ConnectionError{ID: id, Gone: true}
		}
		return ClientResult{}, err
	}
	result, end := p.Await(ctx, c.Context().Done(), nil)
	return clientResult(id, result, end)
}

func (m *localManager) SetResult(c Receiver, completion *protocol.Completion) (bool, error) {
	p, wrong := m.results.Claim(completion.InvocationID, c.ID())
	switch {
	case wrong:
		return true, errWrongConnection(c.ID(), completion.InvocationID)
	case p == nil:
		return false, nil
	}
	p.Answer(members.ReadResult(c.Codec(), completion))
	return true, nil
}
