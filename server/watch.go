package server

import (
	"sync/atomic"
	"time"
)

// watchPeriod is how often the calls that leaders run are looked at. A call that
// is found twice is detached.
const watchPeriod = time.Millisecond

// A watch knows the leaders of a hub that run a call now. Its goroutine exists
// only while there are some.
type watch struct {
	tasks   *tasks // the hub's
	slots   [64]atomic.Pointer[leader]
	next    atomic.Uint32 // where the search for a free slot begins
	entered atomic.Uint64 // calls ever watched
	running atomic.Bool
}

// enter begins to watch l, which is about to run inv. It reports false when too
// many are watched already; inv then needs a goroutine of its own.
func (w *watch) enter(l *leader, inv *invocation) bool {
	start := w.next.Load()
	for i := range uint32(8) {
		slot := (start + i) % uint32(len(w.slots))
		if !w.slots[slot].CompareAndSwap(nil, l) {
			continue
		}
		if i > 0 {
			w.next.Store(slot)
		}
		l.slot, l.running = int32(slot), inv
		inv.beginsIn(l, l.turn.Add(1))
		w.entered.Add(1)
		if !w.running.Load() && w.running.CompareAndSwap(false, true) {
			w.tasks.Go(w.run)
		}
		return true
	}
	w.next.Add(8)
	return false
}

// leave ends the watch over l, whose call has returned. It reports false if l
// was detached meanwhile.
func (w *watch) leave(l *leader) bool {
	turn := l.running.turn
	if !l.turn.CompareAndSwap(turn, turn+1) {
		return false
	}
	w.slots[l.slot].Store(nil)
	return true
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
			return // no call has entered, or the one that did has started another run
		}
		idle = 0
	}
}
