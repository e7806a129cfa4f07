package server

import (
	"slices"
	"sync"
)

// parallel reports whether several ordinary calls of a client may run at once.
func (h *Hub) parallel() bool { return h.opts.MaximumParallelInvocationsPerClient > 1 }

// permits bounds how many ordinary calls of one connection run at once. They are
// given in the order of waiting. Its methods are safe for concurrent use.
type permits struct {
	mu    sync.Mutex
	free  int
	calls *waitingCalls // nil: no call has ever waited
}

// waitingCalls wait for permits; the channel is closed when its owner has one.
type waitingCalls struct{ turns []chan struct{} }

// tryAcquire takes a permit if there is one that nobody waits for.
func (p *permits) tryAcquire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return false
	}
	p.free--
	return true
}

// acquire waits for a permit, or until over is closed. It reports whether there
// is one.
func (p *permits) acquire(over <-chan struct{}) bool { return p.await(p.enqueue(), over) }

// enqueue takes a place in the queue; await must follow.
func (p *permits) enqueue() (turn chan struct{}) {
	turn = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		close(turn)
		return turn
	}
	if p.calls == nil {
		p.calls = &waitingCalls{}
	}
	p.calls.turns = append(p.calls.turns, turn)
	return turn
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
	return false
}

// unused reports whether all permits, n of them, are free.
func (p *permits) unused(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free == n
}

// release gives a permit back, to the call that has waited the longest.
func (p *permits) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil || len(p.calls.turns) == 0 {
		p.free++
		return
	}
	close(p.calls.turns[0])
	p.calls.turns = slices.Delete(p.calls.turns, 0, 1)
}
