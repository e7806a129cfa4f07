package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// Sizes and times of writing.
const (
	joinLimit = 16 << 10               // longer frames are written from where they are
	joinRoom  = 64 << 10               // most bytes that are joined for one write
	pause     = 100 * time.Microsecond // between two rounds of a busy shard
)

// A shard writes for its share of an endpoint's WebSockets. Connections with
// something to write are on its list; its goroutine exists only while there are
// any. The first round after a quiet time starts at once; later ones wait a
// moment, so that more can be joined in one write.
type shard struct {
	list    atomic.Pointer[Conn] // linked by Conn.next, last in first
	running atomic.Bool
	joined  []byte   // owned by the goroutine
	_       [64]byte // shards are written by different cores
}

// push puts c, which must have been marked dirty by the caller, on the list.
func (s *shard) push(c *Conn) {
	for {
		first := s.list.Load()
		c.next = first
		if !s.list.CompareAndSwap(first, c) {
			continue
		}
		if first == nil && !s.running.Load() && s.running.CompareAndSwap(false, true) {
			go s.run()
		}
		return
	}
}

// run writes until the list is empty.
func (s *shard) run() {
	for {
		c := s.list.Swap(nil)
		if c == nil {
			s.running.Store(false)
			if s.list.Load() == nil || !s.running.CompareAndSwap(false, true) {
				return
			}
			continue
		}
		for c != nil {
			next := c.next
			c.next = nil // from the moment dirty is cleared it belongs to others
			c.flush(&s.joined)
			c = next
		}
		if s.list.Load() != nil {
			time.Sleep(pause)
		}
	}
}

// flush writes for the shard, which lends the room to join frames in.
func (c *Conn) flush(joined *[]byte) {
	defer c.survive()
	c.mu.Lock()
	c.dirty = false
	s := c.socket
	if s == nil || s.writing || c.corked {
		c.mu.Unlock()
		return
	}
	s.writing = true
	c.writeAll(s, joined)
}

// joinPool lends room to join frames in to those who are no shard.
var joinPool = sync.Pool{New: func() any { return new([]byte) }}
