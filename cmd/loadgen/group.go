//go:build linux

package main

import (
	"sync"
	"sync/atomic"
)

// group is a set of connections that get the same messages, sent by one of
// them; a broadcast to all is one group of everyone.
type group struct {
	r      *run
	t      *template
	conns  []*conn
	sender *conn

	deliv atomic.Uint64
	sent  atomic.Uint64

	mu  sync.Mutex
	seq uint32
	buf []byte
}

func (g *group) send(ts int64) {
	g.mu.Lock()
	g.seq++
	g.sent.Add(1) // before it can be delivered, see missing
	if g.t.idOff >= 0 {
		g.sender.invoke(g.t, 1, ts)
	} else {
		g.buf = g.t.appendTo(g.buf[:0], g.sender.mask, 0, ts, g.seq)
		g.sender.write(g.buf)
	}
	g.mu.Unlock()
}

// missing is how many deliveries of what was sent have not come. Deliveries are
// read first, so that those of a message that is being sent count as missing,
// and never as too many.
func (g *group) missing() int64 {
	delivered := g.deliv.Load()
	return int64(g.sent.Load()*uint64(len(g.conns)) - delivered)
}

// keepInFlight keeps depth messages in flight when the loop is closed.
func (g *group) keepInFlight() {
	for g.r.sending.Load() {
		s, d := g.sent.Load(), g.deliv.Load()/uint64(len(g.conns))
		if s >= d+uint64(g.r.depth) {
			return
		}
		g.send(now())
	}
}
