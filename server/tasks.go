package server

import (
	"context"
	"sync"
)

// tasks counts goroutines, so that a shutdown can wait for them. Unlike with a
// sync.WaitGroup, more may be started while a goroutine waits.
//
// Those that are done may be kept for what comes next: their stacks have grown to what calls
// need, and to let a new one grow costs more than all else of a goroutine (BenchmarkTasks).
type tasks struct {
	mu    sync.Mutex
	n     int           // goroutines, the spare ones too
	idle  chan struct{} // not nil while a goroutine waits
	keeps bool
	spare []chan func() // of goroutines that wait for something to do
}

// mostSpare is how many goroutines wait for something to do at most.
const mostSpare = 64

// enter counts a goroutine that is there already; done must follow.
func (t *tasks) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

// Go runs f on a goroutine that nobody else uses meanwhile.
func (t *tasks) Go(f func()) {
	t.mu.Lock()
	if last := len(t.spare) - 1; last >= 0 {
		next := t.spare[last] // the one whose stack was used last
		t.spare = t.spare[:last]
		t.mu.Unlock()
		next <- f
		return
	}
	t.n++
	t.mu.Unlock()
	go t.run(f)
}

// run is a goroutine of Go.
func (t *tasks) run(f func()) {
	defer t.done() // also if user code ends it by runtime.Goexit
	var next chan func()
	for f != nil {
		f()
		if next = t.wanted(next); next == nil {
			return
		}
		f = <-next
	}
}

// wanted returns where a goroutine that is kept gets what it does next, or nil if there will
// be nothing; it returns nil if the goroutine is not kept. next is what it has returned before.
func (t *tasks) wanted(next chan func()) chan func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.keeps || len(t.spare) == mostSpare {
		return nil
	}
	if next == nil {
		next = make(chan func(), 1)
	}
	t.spare = append(t.spare, next)
	return next
}

// keep says whether goroutines are kept from now on.
func (t *tasks) keep(keeps bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keeps = keeps; keeps {
		return
	}
	for _, next := range t.spare {
		next <- nil // it has room: nobody else has it
	}
	t.spare = nil
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
