package server

import (
	"sync/atomic"
	"time"
)

// watchPeriod is how often the calls that leaders run are looked at. A call that
// is found twice is detached.
const watchPeriod = time.Millisecond

// A watch knows the leaders of a hub that run calls now. Its goroutine exists
// only while there are some.
type watch struct {
	tasks   *tasks // the hub's
	slots   [64]watchSlot
	next    atomic.Uint32 // where a leader that had none begins to look for a free slot
	running atomic.Bool
}

// A watchSlot is for one leader at a time.
type watchSlot struct {
	leader  atomic.Pointer[leader]
	entered atomic.Uint64 // how many leaders it was given to
	_       [112]byte     // leaders of different processors share no cache line, wherever those begin: BenchmarkWatch
}

// begin watches l while it runs inv, until end. It reports false when too many are watched
// already; inv then needs a goroutine of its own. l keeps its slot until leave:
// BenchmarkWatch says what one for each call would cost.
func (w *watch) begin(l *leader, inv *invocation) bool {
	if l.slot == 0 && !w.enter(l) {
		return false
	}
	l.running = inv
	inv.beginsIn(l, l.turn.Add(1))
	return true
}

// end follows begin, when the call of l has returned. It reports false if l was detached
// meanwhile.
func (w *watch) end(l *leader) bool {
	turn := l.running.turn
	return l.turn.CompareAndSwap(turn, turn+1)
}

// enter gives l a slot, if there is one, and if it can the one that it had last: so the
// leaders of each processor, which the pool gives them, keep to theirs.
func (w *watch) enter(l *leader) bool {
	if l.lastSlot == 0 {
		l.lastSlot = int32(w.next.Load()%uint32(len(w.slots))) + 1
	}
	for i := range int32(8) {
		at := (l.lastSlot - 1 + i) % int32(len(w.slots))
		s := &w.slots[at]
		if !s.leader.CompareAndSwap(nil, l) {
			continue
		}
		l.slot, l.lastSlot = at+1, at+1
		s.entered.Add(1)
		if !w.running.Load() && w.running.CompareAndSwap(false, true) {
			w.tasks.Go(w.run)
		}
		return true
	}
	l.lastSlot = 0
	w.next.Add(8)
	return false
}

// entered is how many leaders were ever given a slot.
func (w *watch) entered() (n uint64) {
	for i := range w.slots {
		n += w.slots[i].entered.Load()
	}
	return n
}

// leave takes the slot from l, if it has one. Who has detached l does so, else l itself,
// before it waits and when it no longer leads.
func (w *watch) leave(l *leader) {
	if l.slot != 0 {
		w.slots[l.slot-1].leader.Store(nil)
		l.slot = 0
	}
}

// run looks at the slots until nothing has entered for a while.
func (w *watch) run() {
	var seen [len(watch{}.slots)]struct {
		leader *leader
		turn   uint64
	}
	var entered uint64
	w.tasks.keep(true) // goroutines, for the calls that will be detached
	for idle := 0; ; {
		time.Sleep(watchPeriod)
		busy := false
		for i := range w.slots {
			l := w.slots[i].leader.Load()
			if l == nil {
				seen[i].leader = nil
				continue
			}
			busy = true
			turn := l.turn.Load()
			if l == seen[i].leader && turn == seen[i].turn {
				l.detach(turn)
			}
			seen[i].leader, seen[i].turn = l, turn
		}
		if now := w.entered(); busy || now != entered {
			entered, idle = now, 0
			continue
		}
		if idle++; idle < 3 {
			continue
		}
		w.tasks.keep(false)
		w.running.Store(false)
		if w.entered() == entered || !w.running.CompareAndSwap(false, true) {
			return // no leader has entered, or the one that did has started another run
		}
		idle = 0
		w.tasks.keep(true)
	}
}
