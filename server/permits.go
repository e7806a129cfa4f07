package server

import "sync"

// permits bounds how many ordinary calls of one connection run at once. Only
// the connection's loop acquires; any goroutine may release.
type permits struct {
	mu     sync.Mutex
	free   int
	waiter chan struct{} // closed by the release that the loop waits for
}

// tryAcquire takes a permit if there is one.
func (p *permits) tryAcquire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return false
	}
	p.free--
	return true
}

// acquire waits for a permit, or until over is closed.
func (p *permits) acquire(over <-chan struct{}) {
	for {
		p.mu.Lock()
		if p.free > 0 {
			p.free--
			p.mu.Unlock()
			return
		}
		if p.waiter == nil {
			p.waiter = make(chan struct{})
		}
		waiter := p.waiter
		p.mu.Unlock()
		select {
		case <-waiter:
		case <-over:
			return
		}
	}
}

func (p *permits) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.waiter != nil {
		close(p.waiter)
		p.waiter = nil
	}
}
