package transport

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FreeBytes is what may wait for one connection without being counted by the
// Limit: the sends of a client that keeps up touch nothing that is shared.
const FreeBytes = 64 << 10

// A Limit bounds the bytes that wait for clients that are behind, at all
// connections of one or several endpoints together. Bytes that wait in many
// queues count once. What a connection has queued up to FreeBytes does not
// count. When there is more, Relieve closes the connections that are furthest
// behind. Nil is no limit.
type Limit struct {
	most    int64
	used    atomic.Int64
	tooSlow atomic.Uint64 // connections closed, for whatever reason
	dropped atomic.Uint64 // frames

	relieving sync.Mutex // one at a time; held before a Conn.mu

	mu     sync.Mutex // guards what follows; the last of all locks
	uses   map[*byte]int
	behind map[*Conn]holding
}

// holding is what a connection has counted.
type holding struct {
	frames int
	bytes  int64
}

// NewLimit returns a limit of most bytes.
func NewLimit(most int64) *Limit {
	return &Limit{most: most, uses: map[*byte]int{}, behind: map[*Conn]holding{}}
}

// Most returns the bytes that may be counted.
func (l *Limit) Most() int64 { return l.most }

// Used returns the bytes that are counted now.
func (l *Limit) Used() int64 { return l.used.Load() }

// TooSlow returns how many connections were closed as too slow.
func (l *Limit) TooSlow() uint64 { return l.tooSlow.Load() }

// Dropped returns how many frames were dropped for clients that want the latest.
func (l *Limit) Dropped() uint64 { return l.dropped.Load() }

// hold counts f, which waits at c.
func (l *Limit) hold(c *Conn, f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := &f.buf[0]
	n := l.uses[key]
	l.uses[key] = n + 1
	if n == 0 {
		l.used.Add(int64(len(f.buf)))
	}
	h := l.behind[c]
	l.behind[c] = holding{h.frames + 1, h.bytes + int64(len(f.buf))}
}

// release ends the counting of those of frames that are counted.
func (l *Limit) release(c *Conn, frames []Frame) (released int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.behind[c]
	for _, f := range frames {
		if !f.counted {
			continue
		}
		released++
		h.frames--
		h.bytes -= int64(len(f.buf))
		key := &f.buf[0]
		if l.uses[key]--; l.uses[key] == 0 {
			delete(l.uses, key)
			l.used.Add(-int64(len(f.buf)))
		}
	}
	if l.behind[c] = h; h.frames == 0 {
		delete(l.behind, c)
	}
	return released
}

// Relieve frees memory where more bytes are counted than the limit allows: the
// connections that are furthest behind in time, and of those that are so for as
// long the ones with most bytes, are treated as too slow, one after the other,
// until it fits. A sender calls it after its sends, holding no lock. It waits
// for no client.
func (l *Limit) Relieve() {
	if l != nil && l.used.Load() > l.most {
		l.relieve()
	}
}

// Relieve is Limit.Relieve of the limit that counts what waits for c.
func (c *Conn) Relieve() { c.endpoint.opts.Limit.Relieve() }

func (l *Limit) relieve() {
	l.relieving.Lock()
	defer l.relieving.Unlock()
	for range 2 { // the second time those that were asked to end and still hold bytes are cut
		for _, c := range l.furthest() {
			if l.used.Load() <= l.most {
				return
			}
			c.giveWay()
		}
	}
}

// furthest returns the connections with counted bytes, the furthest behind first.
func (l *Limit) furthest() []*Conn {
	type candidate struct {
		conn  *Conn
		since time.Time
		bytes int64
	}
	l.mu.Lock()
	all := make([]candidate, 0, len(l.behind))
	for c, h := range l.behind {
		all = append(all, candidate{conn: c, bytes: h.bytes})
	}
	l.mu.Unlock()
	for i := range all {
		all[i].since = all[i].conn.behindSince()
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(b.bytes, a.bytes))
	})
	conns := make([]*Conn, len(all))
	for i := range all {
		conns[i] = all[i].conn
	}
	return conns
}

// Hold counts f, which the App keeps for the client beside the queue, and
// returns it as it must be given to Release.
func (c *Conn) Hold(f Frame) Frame {
	if l := c.endpoint.opts.Limit; l != nil {
		l.hold(c, f)
		f.counted = true
	}
	return f
}

// Release ends the counting of those of frames that Hold has returned, and says
// how many they are.
func (c *Conn) Release(frames []Frame) int {
	if l := c.endpoint.opts.Limit; l != nil {
		return l.release(c, frames)
	}
	return 0
}

// farFuture is behindSince of a connection that keeps up.
var farFuture = time.Unix(math.MaxInt32, 0)

// behindSince says since when c is behind, for the order in which Relieve takes
// connections. One that was found too slow comes first, one that is behind for
// less than a tick last.
func (c *Conn) behindSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, w := farFuture, c.out.watch
	switch {
	case w == nil:
		return since
	case !w.foundAt.IsZero():
		return time.Time{}
	case !w.markAt.IsZero():
		since = w.markAt
	}
	if !w.appBehind.IsZero() && w.appBehind.Before(since) {
		since = w.appBehind
	}
	return since
}
