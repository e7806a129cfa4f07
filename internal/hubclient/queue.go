package hubclient

import "sync"

// A Queue hands values over in order, without a bound. The zero value is ready.
// It is safe for concurrent use.
type Queue[T any] struct {
	mu      sync.Mutex
	values  []T
	ended   bool
	changed chan struct{} // not nil: somebody waits for it to be closed
}

// Put adds v. After End it does nothing.
func (q *Queue[T]) Put(v T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.values = append(q.values, v)
		q.wakeLocked()
	}
}

// End says that nothing more comes. What is in the queue can still be taken.
func (q *Queue[T]) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.wakeLocked()
}

func (q *Queue[T]) wakeLocked() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// Next takes the first value and waits for one. ok is false if nothing more
// comes, or if stop was closed first.
func (q *Queue[T]) Next(stop <-chan struct{}) (v T, ok bool) {
	for {
		q.mu.Lock()
		if len(q.values) > 0 {
			v, q.values = q.values[0], q.values[1:]
			q.mu.Unlock()
			return v, true
		}
		if q.ended {
			q.mu.Unlock()
			return v, false
		}
		if q.changed == nil {
			q.changed = make(chan struct{})
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-stop:
			return v, false
		}
	}
}

// All takes everything that is there.
func (q *Queue[T]) All() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.values
	q.values = nil
	return all
}
