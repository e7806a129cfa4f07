package server

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkWatch: what it costs a call to be watched, of clients that are read by all
// processors, with so many calls in what is read at once. A slot for each call would cost
// each what a single one does.
func BenchmarkWatch(b *testing.B) {
	// Of 1 call 65 ns; with slots side by side, and one counter for all, 172.
	for _, calls := range []int{1, 16} {
		b.Run(fmt.Sprintf("calls=%d", calls), func(b *testing.B) {
			w := &watch{tasks: &tasks{}}
			w.running.Store(true) // its goroutine is not wanted here
			b.RunParallel(func(pb *testing.PB) {
				l, inv := &leader{}, &invocation{}
				for n := 1; pb.Next(); n++ {
					if !w.begin(l, inv) || !w.end(l) {
						b.Error("the call was not watched, or detached")
						return
					}
					if n%calls == 0 {
						w.leave(l)
					}
				}
				w.leave(l)
			})
		})
	}
}

// BenchmarkPermits: a permit that is taken and given back, and what a lock for each of the
// two would cost.
func BenchmarkPermits(b *testing.B) {
	b.Run("permits", func(b *testing.B) {
		var p permits
		p.set(1)
		for b.Loop() {
			if !p.tryAcquire() {
				b.Fatal("no permit is free")
			}
			p.release()
		}
	})
	b.Run("lock", func(b *testing.B) {
		var mu sync.Mutex
		free := 1
		locked := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			free += n
		}
		for b.Loop() {
			locked(-1)
			locked(1)
		}
	})
}
