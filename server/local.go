package server

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// NewLifetimeManager returns the manager of a hub whose connections are all in
// this process. It serves one hub.
func NewLifetimeManager() LifetimeManager {
	m := &localManager{}
	m.all.members = map[string]Receiver{}
	m.results.start()
	return m
}

// localManager delivers to a snapshot of the members, which is made when
// members have changed since the last send: sends are many, joins are few.
type localManager struct {
	all     memberSet
	mu      sync.Mutex // guards the two maps and joined, not the sets
	groups  map[string]*memberSet
	users   map[string]*memberSet
	joined  map[string]map[string]struct{} // connection id -> groups
	results resultTable
	lastID  atomic.Uint64
}

// A memberSet is a set of connections that is cheap to walk.
type memberSet struct {
	mu       sync.RWMutex
	members  map[string]Receiver
	snapshot []Receiver       // nil after a change
	codecs   []protocol.Codec // of the snapshot, each once
}

func (s *memberSet) add(c Receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[c.ID()] = c
	s.snapshot = nil
}

// remove reports whether nobody is left.
func (s *memberSet) remove(id string) (empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, id)
	s.snapshot = nil
	return len(s.members) == 0
}

func (s *memberSet) get(id string) Receiver {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.members[id]
}

func (s *memberSet) all() ([]Receiver, []protocol.Codec) {
	s.mu.RLock()
	snapshot, codecs := s.snapshot, s.codecs
	s.mu.RUnlock()
	if snapshot != nil {
		return snapshot, codecs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot == nil {
		s.snapshot, s.codecs = make([]Receiver, 0, len(s.members)), nil
		for _, c := range s.members {
			s.snapshot = append(s.snapshot, c)
			if !slices.ContainsFunc(s.codecs, func(k protocol.Codec) bool { return k.Name() == c.Codec().Name() }) {
				s.codecs = append(s.codecs, c.Codec())
			}
		}
	}
	return s.snapshot, s.codecs
}

// send delivers to every member but those in except. It encodes first: a
// message that cannot be encoded reaches nobody.
func (s *memberSet) send(m *Message, except []string) error {
	receivers, codecs := s.all()
	for _, codec := range codecs {
		if _, err := m.Bytes(codec); err != nil {
			return err
		}
	}
	for _, c := range receivers {
		if len(except) > 0 && slices.Contains(except, c.ID()) {
			continue
		}
		_ = c.Send(m) // who is gone, or too slow, is no error of the send
	}
	return nil
}

func (m *localManager) Connected(_ context.Context, c Receiver) error {
	m.all.add(c)
	if id := c.UserID(); id != "" {
		m.join(&m.users, id, c)
	}
	return nil
}

func (m *localManager) Disconnected(c Receiver) {
	m.all.remove(c.ID())
	m.mu.Lock()
	for group := range m.joined[c.ID()] {
		leave(m.groups, group, c.ID())
	}
	delete(m.joined, c.ID())
	if id := c.UserID(); id != "" {
		leave(m.users, id, c.ID())
	}
	m.mu.Unlock()
	m.results.disconnected(c.ID())
}

// join adds c to the set name, which it makes if there is none.
func (m *localManager) join(sets *map[string]*memberSet, name string, c Receiver) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if *sets == nil {
		*sets = map[string]*memberSet{}
	}
	set := (*sets)[name]
	if set == nil {
		set = &memberSet{members: map[string]Receiver{}}
		(*sets)[name] = set
	}
	set.add(c)
}

func leave(sets map[string]*memberSet, name, id string) {
	if set := sets[name]; set != nil && set.remove(id) {
		delete(sets, name)
	}
}

func (m *localManager) set(sets *map[string]*memberSet, name string) *memberSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return (*sets)[name]
}

func (m *localManager) SendAll(_ context.Context, msg *Message, except []string) error {
	return m.all.send(msg, except)
}

func (m *localManager) SendConnection(_ context.Context, id string, msg *Message) error {
	c := m.all.get(id)
	if c == nil {
		return nil
	}
	if _, err := msg.Bytes(c.Codec()); err != nil {
		return err
	}
	_ = c.Send(msg) // who is gone, or too slow, is no error of the send
	return nil
}

func (m *localManager) SendConnections(ctx context.Context, ids []string, msg *Message) error {
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		if err := m.SendConnection(ctx, id, msg); err != nil {
			return err
		}
	}
	return nil
}

func (m *localManager) SendGroup(_ context.Context, group string, msg *Message, except []string) error {
	if set := m.set(&m.groups, group); set != nil {
		return set.send(msg, except)
	}
	return nil
}

func (m *localManager) SendGroups(ctx context.Context, groups []string, msg *Message) error {
	for _, group := range groups {
		if group == "" {
			return NewHubError("Cannot send to an empty group name.")
		}
		if err := m.SendGroup(ctx, group, msg, nil); err != nil {
			return err
		}
	}
	return nil
}

func (m *localManager) SendUsers(_ context.Context, ids []string, msg *Message) error {
	for _, id := range ids {
		if set := m.set(&m.users, id); set != nil {
			if err := set.send(msg, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *localManager) AddToGroup(_ context.Context, id, group string) error {
	c := m.all.get(id)
	if c == nil || c.Context().Err() != nil {
		return nil
	}
	m.join(&m.groups, group, c)
	m.mu.Lock()
	if m.joined == nil {
		m.joined = map[string]map[string]struct{}{}
	}
	if m.joined[id] == nil {
		m.joined[id] = map[string]struct{}{}
	}
	m.joined[id][group] = struct{}{}
	m.mu.Unlock()
	if m.all.get(id) == nil { // it left meanwhile
		return m.RemoveFromGroup(context.Background(), id, group)
	}
	return nil
}

func (m *localManager) RemoveFromGroup(_ context.Context, id, group string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	leave(m.groups, group, id)
	delete(m.joined[id], group)
	if len(m.joined[id]) == 0 {
		delete(m.joined, id)
	}
	return nil
}

func (m *localManager) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (ClientResult, error) {
	c := m.all.get(id)
	if c == nil || c.Context().Err() != nil {
		return ClientResult{}, &ConnectionError{ID: id}
	}
	inv.InvocationID = "s" + strconv.FormatUint(m.lastID.Add(1), 10)
	wait := m.results.add(inv.InvocationID, c)
	defer m.results.remove(inv.InvocationID)
	if err := c.Send(NewMessage(inv)); err != nil {
		if c.Context().Err() != nil {
			return ClientResult{}, &ConnectionError{ID: id, Gone: true}
		}
		return ClientResult{}, err
	}
	return m.results.wait(ctx, wait, c)
}

func (m *localManager) SetResult(c Receiver, completion *protocol.Completion) (bool, error) {
	return m.results.set(c, completion)
}
