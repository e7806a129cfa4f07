package server

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// parallel reports whether several ordinary calls of a client may run at once.
func (h *Hub) parallel() bool { return h.opts.MaximumParallelInvocationsPerClient > 1 }

// permits bounds how many ordinary calls of one connection run at once. They are
// given in the order of waiting. Its methods are safe for concurrent use. Nearly no
// call waits, and those that do not take no lock (BenchmarkPermits).
type permits struct {
	free    atomic.Int32
	waiting atomic.Int32  // how many turns there are: while there are some no call overtakes them
	mu      sync.Mutex    // guards calls
	calls   *waitingCalls // nil: no call has ever waited
}

// waitingCalls wait for permits; the channel is closed when its owner has one.
type waitingCalls struct{ turns []chan struct{} }

// set says how many permits there are, before the first is taken.
func (p *permits) set(n int) { p.free.Store(int32(min(n, math.MaxInt32))) }

// tryAcquire takes a permit if there is one that nobody waits for.
func (p *permits) tryAcquire() bool { return p.waiting.Load() == 0 && p.take() }

// take takes a permit that is free.
func (p *permits) take() bool {
	for {
		n := p.free.Load()
		if n == 0 {
			return false
		}
		if p.free.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// acquire waits for a permit, or until over is closed. It reports whether there
// is one.
func (p *permits) acquire(over <-chan struct{}) bool { return p.await(p.enqueue(), over) }

// enqueue takes a place in the queue; await must follow.
func (p *permits) enqueue() (turn chan struct{}) {
	turn = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tryAcquire() {
		close(turn)
		return turn
	}
	if p.calls == nil {
		p.calls = &waitingCalls{}
	}
	p.calls.turns = append(p.calls.turns, turn)
	// Who releases a permit counts it as free, and then looks whether somebody waits; here
	// it is the other way round. So one of the two sees what the other has done.
	p.waiting.Add(1)
	p.handOutLocked()
	return turn
}

// handOutLocked gives permits that are free to the calls that have waited the longest.
func (p *permits) handOutLocked() {
	given := 0
	for given < len(p.calls.turns) && p.take() {
		close(p.calls.turns[given])
		given++
	}
	p.calls.turns = slices.Delete(p.calls.turns, 0, given)
	p.waiting.Add(int32(-given))
}

// await waits for the permit of turn, or gives the place up when
// over is closed. It reports whether there is a permit, to be released.
func (p *permits) await(turn chan struct{}, over <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	case <-over:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		return true // it was there at once
	}
	at := slices.Index(p.calls.turns, turn)
	if at < 0 {
		return true // it was just given
	}
	p.calls.turns = slices.Delete(p.calls.turns, at, at+1)
	p.waiting.Add(-1)
	return false
}

// unused reports whether all permits, n of them, are free.
func (p *permits) unused(n int) bool { return int(p.free.Load()) == min(n, math.MaxInt32) }

// release gives a permit back.
func (p *permits) release() {
	p.free.Add(1)
	if p.waiting.Load() > 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.handOutLocked()
	}
}
