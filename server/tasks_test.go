package server

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Goroutines that are done wait for what comes next, so many at most and for as long as that
// is wanted, and a shutdown sees each of them end.
func TestGoroutinesAreKeptForWhatComesNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ts tasks
		state := func() (spare, all int) {
			synctest.Wait()
			ts.mu.Lock()
			defer ts.mu.Unlock()
			return len(ts.spare), ts.n
		}
		want := func(spare, all int) {
			t.Helper()
			if s, a := state(); s != spare || a != all {
				t.Fatalf("%d goroutines of %d are spare, not %d of %d", s, a, spare, all)
			}
		}
		over := make(chan struct{})
		wait := func() { <-over }
		ts.Go(func() {})
		want(0, 0) // none is kept at first
		ts.keep(true)
		for range mostSpare + 10 {
			ts.Go(wait)
		}
		want(0, mostSpare+10)
		close(over)
		want(mostSpare, mostSpare)
		over = make(chan struct{})
		ts.Go(wait)
		want(mostSpare-1, mostSpare)
		ts.Go(runtime.Goexit)
		want(mostSpare-2, mostSpare-1)
		ts.keep(false)
		want(0, 1) // the one that still does something
		close(over)
		if err := ts.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(0, 0)
	})
}

// BenchmarkTasks: what goroutines that are kept save where each needs more than the stack that
// it begins with, as a call does that waits.
func BenchmarkTasks(b *testing.B) {
	for _, kept := range []bool{true, false} {
		name := map[bool]string{true: "kept", false: "new"}[kept]
		b.Run(name, func(b *testing.B) {
			var ts tasks
			ts.keep(kept)
			done := make(chan byte)
			f := func() { done <- deep(40) }
			for b.Loop() {
				ts.Go(f)
				<-done
			}
			ts.keep(false)
			if err := ts.wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// deep needs some 100 bytes of the stack, n times.
//
//go:noinline
func deep(n int) byte {
	var frame [64]byte
	frame[n%len(frame)] = byte(n)
	if n > 0 {
		frame[0] += deep(n - 1)
	}
	return frame[0]
}
