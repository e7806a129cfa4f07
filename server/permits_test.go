package server

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Permits are taken without a lock where nobody waits, so what may go wrong is that a call
// waits for one that is free, or that two have the same.
func TestPermitsAreNeitherLostNorGivenTwice(t *testing.T) {
	const permitted, takers, rounds = 2, 8, 500
	var p permits
	p.set(permitted)
	var held, most, refused atomic.Int32
	gone := make(chan struct{})
	close(gone)
	use := func() {
		if n := held.Add(1); n > permitted {
			most.Store(n)
		}
		held.Add(-1)
		p.release()
	}
	var all sync.WaitGroup
	for taker := range takers {
		all.Go(func() {
			for round := range rounds {
				over := gone // gives up at once, or has been given a permit meanwhile
				switch (taker + round) % 3 {
				case 0:
					if p.tryAcquire() {
						use()
					}
					continue
				case 1:
					over = nil
				}
				if p.acquire(over) {
					use()
				} else {
					refused.Add(1)
				}
			}
		})
	}
	all.Wait() // a call that waits for a permit that is free would wait here
	if n := most.Load(); n > 0 {
		t.Errorf("%d calls had a permit at once, want %d", n, permitted)
	}
	if !p.unused(permitted) || p.waiting.Load() != 0 {
		t.Errorf("%d permits are free and %d calls wait, want %d and none", p.free.Load(), p.waiting.Load(), permitted)
	}
	t.Logf("%d calls gave up", refused.Load())
}

func TestPermitsAreGivenInTheOrderOfWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p permits
		p.set(1)
		if !p.tryAcquire() || p.tryAcquire() {
			t.Fatal("one permit, and not one call has it")
		}
		turns := []chan struct{}{p.enqueue(), p.enqueue(), p.enqueue()}
		over := make(chan struct{})
		close(over)
		if p.await(turns[1], over) {
			t.Error("who gives up has a permit")
		}
		for _, turn := range []chan struct{}{turns[0], turns[2]} {
			select {
			case <-turn:
				t.Fatal("a call has a permit though none is free")
			default:
			}
			p.release()
			if p.tryAcquire() {
				t.Error("a call has overtaken one that waits")
			}
			<-turn // which the bubble knows nobody to close, if it is not closed
		}
		p.release()
		if !p.unused(1) || !p.tryAcquire() {
			t.Error("the permit is lost")
		}
	})
}
