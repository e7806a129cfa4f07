package server

import (
	"sync/atomic"
	"time"
)

// A short hub method runs on the goroutine that read its call: no goroutine is
// started, no other woken, and the answers to all calls of one read are written
// together. Should the method take longer than about a millisecond, or be about
// to wait (for a client's answer, for a caller that does not read), another
// goroutine takes the reading over and the first one is kept for the method
// until it returns. That is what the states of invocation.inline say:
const (
	notInline int32 = iota // has a goroutine of its own
	inline                 // runs on the loop's goroutine
	kept                   // has kept that goroutine; somebody else has the loop
	returned               // returned in time
)

// watchPeriod is how often the calls that run inline are looked at. One that is
// found twice is taken over.
const watchPeriod = time.Millisecond

// An inlineWatch knows the calls of a hub that run inline at the moment. Its
// goroutine exists only while there are such calls.
type inlineWatch struct {
	tasks   *tasks // the hub's
	slots   [64]atomic.Pointer[invocation]
	next    atomic.Uint32 // where the search for a free slot begins
	entered atomic.Uint64 // calls ever watched
	running atomic.Bool
}

// enter begins to watch c, which has the loop in the role as, with rest behind
// its own message. It reports false when too many calls are watched already; c
// then needs a goroutine of its own, and the loop stays with the caller.
func (w *inlineWatch) enter(c *invocation, rest []byte, as role) bool {
	start := w.next.Load()
	for i := range uint32(8) {
		slot := (start + i) % uint32(len(w.slots))
		if !w.slots[slot].CompareAndSwap(nil, c) {
			continue
		}
		if i > 0 {
			w.next.Store(slot)
		}
		c.slot, c.rest, c.role = int32(slot), rest, as
		c.turn.Add(1)
		c.inline.Store(inline)
		w.entered.Add(1)
		if !w.running.Load() && w.running.CompareAndSwap(false, true) {
			w.tasks.Go(w.run)
		}
		return true
	}
	w.next.Add(8)
	return false
}

// leave ends the watch over c. It reports false if c has kept its goroutine,
// which then is no longer the loop's.
func (w *inlineWatch) leave(c *invocation) bool {
	ok := c.inline.CompareAndSwap(inline, returned)
	if ok {
		w.slots[c.slot].Store(nil)
	}
	return ok
}

// keep lets c keep its goroutine and starts one that goes on with the loop.
func (w *inlineWatch) keep(c *invocation) {
	if c.inline.CompareAndSwap(inline, kept) {
		w.slots[c.slot].Store(nil)
		if c.method.streamsResult() && !c.method.waits.Load() {
			c.method.waits.Store(true) // the next stream does not hold the loop up
		}
		w.tasks.Go(c.takenOver)
	}
}

// keepGoroutine is called by a call that is about to wait.
func (c *invocation) keepGoroutine() {
	if c.inline.Load() == inline {
		c.conn.hub.watch.keep(c)
	}
}

// run looks at the slots until nothing has entered for a while.
func (w *inlineWatch) run() {
	var seen [len(w.slots)]struct {
		call *invocation
		turn uint32
	}
	var entered uint64
	for idle := 0; ; {
		time.Sleep(watchPeriod)
		busy := false
		for i := range w.slots {
			c := w.slots[i].Load()
			if c == nil {
				seen[i].call = nil
				continue
			}
			busy = true
			turn := c.turn.Load()
			if c == seen[i].call && turn == seen[i].turn {
				w.keep(c)
			}
			seen[i].call, seen[i].turn = c, turn
		}
		if now := w.entered.Load(); busy || now != entered {
			entered, idle = now, 0
			continue
		}
		if idle++; idle < 3 {
			continue
		}
		w.running.Store(false)
		if w.entered.Load() == entered || !w.running.CompareAndSwap(false, true) {
			return // nobody entered, or who did has started another run
		}
		idle = 0
	}
}
