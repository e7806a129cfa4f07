package server

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// A memberSet is a set of connections that is cheap to walk and to join. Sends
// walk the list without a lock: a join only appends to it, behind the end that
// they know, and who leaves makes a new list if a send may still walk the old
// one. That costs less than the send did.
type memberSet struct {
	mu     sync.RWMutex
	list   []Receiver
	index  map[string]int   // connection id -> place in list
	codecs []protocol.Codec // of the members, each once; never changed, but replaced
	counts []int            // how many members speak each of them
	shared atomic.Bool      // a send has been given the list
}

func (s *memberSet) add(c Receiver) {
	id := c.ID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, member := s.index[id]; member {
		if s.list[at] == c {
			return
		}
		s.removeLocked(id)
	}
	if s.index == nil {
		s.index = map[string]int{}
	}
	s.index[id] = len(s.list)
	s.list = append(s.list, c)
	s.count(c.Codec(), 1)
}

// remove reports whether nobody is left.
func (s *memberSet) remove(id string) (empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(id)
	return len(s.list) == 0
}

func (s *memberSet) removeLocked(id string) {
	at, member := s.index[id]
	if !member {
		return
	}
	if s.shared.Load() {
		s.list = slices.Clone(s.list)
		s.shared.Store(false)
	}
	s.count(s.list[at].Codec(), -1)
	last := len(s.list) - 1
	if at != last {
		s.list[at] = s.list[last]
		s.index[s.list[at].ID()] = at
	}
	s.list[last] = nil
	s.list = s.list[:last]
	delete(s.index, id)
}

// count adds n to the members that speak codec.
func (s *memberSet) count(codec protocol.Codec, n int) {
	at := slices.IndexFunc(s.codecs, func(k protocol.Codec) bool { return k.Name() == codec.Name() })
	if at < 0 {
		s.codecs, s.counts = append(slices.Clone(s.codecs), codec), append(s.counts, n)
		return
	}
	if s.counts[at] += n; s.counts[at] == 0 {
		s.codecs = slices.Delete(slices.Clone(s.codecs), at, at+1)
		s.counts = slices.Delete(s.counts, at, at+1)
	}
}

func (s *memberSet) get(id string) Receiver {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if at, member := s.index[id]; member {
		return s.list[at]
	}
	return nil
}

// all returns the members, to read only, and their codecs.
func (s *memberSet) all() (members []Receiver, codecs []protocol.Codec) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.shared.Load() { // else sends would take the line from each other
		s.shared.Store(true)
	}
	return s.list, s.codecs
}

// send delivers to every member but those in except. It encodes first: a
// message that cannot be encoded reaches nobody.
func (s *memberSet) send(m *Message, except []string) error {
	members, codecs := s.all()
	for _, codec := range codecs {
		if _, err := m.Bytes(codec); err != nil {
			return err
		}
	}
	excepted := Excepted(except)
	for _, c := range members {
		if len(except) == 0 || !excepted(c.ID()) {
			_ = c.Send(m) // who is gone, or too slow, is no error of the send
		}
	}
	return nil
}

// fewExcepted is up to how many ids a list is searched, and no set made.
const fewExcepted = 8

// Excepted is for LifetimeManagers: it returns a function that reports whether
// a connection id is in except. It takes the same time however many those are.
func Excepted(except []string) func(connectionID string) bool {
	if len(except) <= fewExcepted {
		return func(id string) bool { return slices.Contains(except, id) }
	}
	set := make(map[string]struct{}, len(except))
	for _, id := range except {
		set[id] = struct{}{}
	}
	return func(id string) bool { _, in := set[id]; return in }
}
