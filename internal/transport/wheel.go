package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often the sweeper looks for connections that are due.
const tick = time.Second

// mostTicks is for how long the sweeper leaves a connection alone at most.
const mostTicks = 63

// A wheel has all connections of an endpoint by the tick in which the sweeper looks
// at them next. That is the next one, as a rule. A connection is asleep when
// nothing can have to be done for it before its App says so: then it is a later
// one, and what changes that wakes the connection (Conn.wakeLocked). So an idle
// client is looked at once for each ping. Its methods may be called with Endpoint.mu
// or Conn.mu held; no lock is taken with its own.
type wheel struct {
	at atomic.Uint32 // the tick that the sweeper has begun, or ended; changed while mu is held

	mu    sync.Mutex // guards what follows
	slots [mostTicks + 1][]*Conn
	spare []*Conn // memory of a slot that is empty
}

// add puts c into the wheel, for the next tick.
func (w *wheel) add(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.putLocked(c, w.at.Load()+1)
}

func (w *wheel) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeLocked(c)
}

// move says in how many ticks, mostTicks at most, c is due.
func (w *wheel) move(c *Conn, ticks uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.takeLocked(c) {
		w.putLocked(c, w.at.Load()+ticks)
	}
}

func (w *wheel) putLocked(c *Conn, at uint32) {
	n := at % uint32(len(w.slots))
	slot := w.slots[n]
	if slot == nil {
		slot, w.spare = w.spare, nil
	}
	c.slot, c.place = uint8(n)+1, uint32(len(slot))
	w.slots[n] = append(slot, c)
}

func (w *wheel) takeLocked(c *Conn) bool {
	if c.slot == 0 {
		return false
	}
	slot := w.slots[c.slot-1]
	last := len(slot) - 1
	slot[c.place] = slot[last]
	slot[c.place].place = c.place
	slot[last] = nil
	if slot = slot[:last]; last == 0 { // most slots are empty as a rule
		w.spare, slot = slot, nil
	}
	w.slots[c.slot-1] = slot
	c.slot = 0
	return true
}

// turn begins the tick to. What was due in ticks that the sweeper has missed is due
// in this one.
func (w *wheel) turn(to uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for missed := range min(to-w.at.Load(), mostTicks) {
		n := (to - missed) % uint32(len(w.slots))
		if late := w.slots[n]; missed > 0 {
			w.slots[n] = nil
			for _, c := range late {
				w.putLocked(c, to)
			}
		}
	}
	w.at.Store(to)
}

// next returns a connection that is due and was not looked at yet, or nil. It is
// due again in the next tick.
func (w *wheel) next() *Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.slots[w.at.Load()%uint32(len(w.slots))]
	if len(due) == 0 {
		return nil
	}
	c := due[len(due)-1]
	w.takeLocked(c)
	w.putLocked(c, w.at.Load()+1)
	return c
}

// sweep looks at every connection that is due, until the table is empty.
func (e *Endpoint) sweep(quit <-chan struct{}) {
	over := false
	defer func() {
		if !over { // a codec or a log of the user's has called runtime.Goexit: another goroutine sweeps
			go e.sweep(quit)
		}
	}()
	ticker, begun, from := time.NewTicker(tick), time.Now(), e.wheel.at.Load()
	defer ticker.Stop()
	var looks turns
	for now := begun; ; {
		for c := e.wheel.next(); c != nil; c = e.wheel.next() {
			c.tick(now)
			looks.taken(1, turnWrites)
		}
		e.logForbidden()
		select {
		case <-quit:
			over = true
			e.logForbidden()
			return
		case now = <-ticker.C:
			if to := from + uint32((now.Sub(begun)+tick/2)/tick); to != e.wheel.at.Load() {
				e.wheel.turn(to)
			}
		}
	}
}

// sleep leaves c alone for rest, unless it was woken since it was found still.
func (c *Conn) sleep(rest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.asleep:
	case rest < tick:
		c.asleep = false
	default:
		c.out.used = false // a ping, if anything
		c.endpoint.wheel.move(c, uint32(min(rest/tick+1, mostTicks)))
	}
}

// isStillLocked reports whether c needs no look of the sweeper until something changes
// that calls wakeLocked: its state, what waits to be written, or how it is read.
func (c *Conn) isStillLocked() bool {
	return c.link == linkServing && c.app == appRunning && c.socket != nil &&
		!c.socket.writing && c.socket.isSettled() && c.out.isStill()
}

// wakeLocked lets the sweeper look at c in the next tick.
func (c *Conn) wakeLocked() {
	if c.asleep {
		c.asleep = false
		c.endpoint.wheel.move(c, 1)
	}
}

func (c *Conn) wake() {
	c.mu.Lock()
	c.wakeLocked()
	c.mu.Unlock()
}
