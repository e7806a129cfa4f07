package members

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// A Member is a connection, as a Set sees it.
type Member interface {
	comparable
	ID() string // the same for ever
	Codec() protocol.Codec
}

// A Set is a set of connections that is cheap to walk and to join. Sends walk
// the list without a lock: a join only appends to it, after the end that they
// know, and a leave makes a new list if a send may still walk the old one. That
// costs less than the send did.
//
// The zero Set is empty. It is safe for concurrent use, and must not be copied.
type Set[M Member] struct {
	mu     sync.RWMutex
	list   []M
	index  map[string]int   // connection id -> place in list
	codecs []protocol.Codec // of the members, each once; never changed, but replaced
	counts []int            // how many members speak each of them
	shared atomic.Bool      // a send has been given the list
}

// Add makes c a member, in place of another one with its id. It reports false if
// there was a member with that id.
func (s *Set[M]) Add(c M) (added bool) {
	id := c.ID()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, member := s.index[id]
	if member {
		if s.list[at] == c {
			return false
		}
		s.removeLocked(id)
	}
	if s.index == nil {
		s.index = map[string]int{}
	}
	s.index[id] = len(s.list)
	s.list = append(s.list, c)
	s.count(c.Codec(), 1)
	return !member
}

// Remove ends the membership of id, if it is one, and reports whether nobody is
// left.
func (s *Set[M]) Remove(id string) (empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(id)
	return len(s.list) == 0
}

func (s *Set[M]) removeLocked(id string) {
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
	s.list = slices.Delete(s.list, last, last+1) // it clears the place
	delete(s.index, id)
}

// count adds n to the members that speak codec.
func (s *Set[M]) count(codec protocol.Codec, n int) {
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

// Get returns the member with an id, or the zero M.
func (s *Set[M]) Get(id string) (c M) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if at, member := s.index[id]; member {
		return s.list[at]
	}
	return c
}

// Len is how many members there are.
func (s *Set[M]) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.list)
}

// All returns the members there are now, and the codecs that they speak. Both
// are to be read only; later joins and leaves change neither.
func (s *Set[M]) All() (members []M, codecs []protocol.Codec) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.shared.Load() { // else sends would take the cache line from each other
		s.shared.Store(true)
	}
	return s.list, s.codecs
}

// few is up to how many ids a list is searched instead of making a set.
const few = 8

// Except returns a function that reports whether a connection id is in ids. It
// takes the same time however many those are.
func Except(ids []string) func(id string) bool {
	switch {
	case len(ids) == 0:
		return func(string) bool { return false }
	case len(ids) <= few:
		return func(id string) bool { return slices.Contains(ids, id) }
	}
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return func(id string) bool { _, in := set[id]; return in }
}
