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
	slots   [64]atomic.Pointer[leader]
	next    atomic.Uint32 // where the search for a free slot begins
	entered atomic.Uint64 // how often a leader got a slot
	running atomic.Bool
}

// begin watches l while it runs inv, until end. It reports false when too many are watched
// already; inv then needs a goroutine of its own. l keeps its slot until leave: one for
// each call takes BenchmarkEcho, with 16 in flight, 1.05 times as long.
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

// enter gives l a slot, if there is one.
func (w *watch) enter(l *leader) bool {
	start := w.next.Load()
	for i := range uint32(8) {
		slot := (start + i) % uint32(len(w.slots))
		if !w.slots[slot].CompareAndSwap(nil, l) {
			continue
		}
		if i > 0 {
			w.next.Store(slot)
		}
		l.slot = int32(slot) + 1
		w.entered.Add(1)
		if !w.running.Load() && w.running.CompareAndSwap(false, true) {
			w.tasks.Go(w.run)
		}
		return true
	}
	w.next.Add(8)
	return false
}

// leave takes the slot from l, if it has one. Who has detached l does so, else l itself,
// before it waits and when it no longer leads.
func (w *watch) leave(l *leader) {
	if l.slot != 0 {
		w.slots[l.slot-1].Store(nil)
		l.slot = 0
	}
}

// run looks at the slots until nothing has entered for a while.
func (w *watch) run() {
	var seen [len(w.slots)]struct {
		leader *leader
		turn   uint64
	}
	var entered uint64
	for idle := 0; ; {
		time.Sleep(watchPeriod)
		busy := false
		for i := range w.slots {
			l := w.slots[i].Load()
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
		if now := w.entered.Load(); busy || now != entered {
			entered, idle = now, 0
			continue
		}
		if idle++; idle < 3 {
			continue
		}
		w.running.Store(false)
		if w.entered.Load() == entered || !w.running.CompareAndSwap(false, true) {
			return // no leader has entered, or the one that did has started another run
		}
		idle = 0
	}
}
