package server

import (
	"context"
	"sync"
)

// tasks counts goroutines, so that a shutdown can wait for them. Unlike with a
// sync.WaitGroup, more may be started while a goroutine waits.
type tasks struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // not nil while a goroutine waits
}

// enter counts a goroutine that is there already; done must follow.
func (t *tasks) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

// Go runs f on a goroutine of its own.
func (t *tasks) Go(f func()) {
	t.enter()
	go func() {
		defer t.done()
		f()
	}()
}

func (t *tasks) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// wait returns when no goroutine is left, or with ctx.Err().
func (t *tasks) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
