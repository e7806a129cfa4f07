package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// User code may keep a Call and wait with it later, when the leader that ran it
// runs another one, of another client even.
func TestACallThatIsOverDetachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{tasks: &tasks{}}
		l, first, second := &leader{}, &invocation{}, &invocation{}
		if !w.begin(l, first) || !w.end(l) {
			t.Fatal("the first call was detached")
		}
		first.mayBlock()
		if !w.begin(l, second) {
			t.Fatal("the second call is not watched")
		}
		first.mayBlock()
		if !w.end(l) {
			t.Error("the second call was detached by the first one, which is over")
		}
		w.leave(l)
		time.Sleep(10 * watchPeriod) // until the watch has ended
	})
}

func TestNoCallIsWatchedWhereTooManyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{tasks: &tasks{}}
		var watched []*leader
		for range 10 * len(w.slots) {
			if l := new(leader); w.begin(l, &invocation{}) {
				watched = append(watched, l)
			}
		}
		if len(watched) != len(w.slots) {
			t.Errorf("%d leaders are watched, want one for each of %d slots", len(watched), len(w.slots))
		}
		for _, l := range watched {
			if !w.end(l) {
				t.Error("a call was detached that has just begun")
			}
		}
		if w.begin(new(leader), &invocation{}) {
			t.Error("a leader has lost its slot between two calls")
		}
		for _, l := range watched {
			w.leave(l)
		}
		l := new(leader)
		if !w.begin(l, &invocation{}) || !w.end(l) {
			t.Error("no slot is free though nobody leads")
		}
		w.leave(l)
		time.Sleep(10 * watchPeriod)
	})
}

// A method whose calls are often long gets goroutines, and loses them when its calls are
// short again.
func TestMethodsAreGivenUpToGoroutinesWhileTheirCallsAreLong(t *testing.T) {
	long, short := longCall, longCall-1
	m := &method{}
	after := func(took time.Duration, calls int, want bool) {
		t.Helper()
		for range calls {
			m.took(took)
		}
		if got := m.blocks.Load(); got != want {
			t.Fatalf("after %d calls of %v it needs goroutines: %t, want %t (debt %d)", calls, took, got, want, m.debt.Load())
		}
	}
	for range 100 { // the system has taken the processor now and then
		after(long, 1, false)
		after(short, perLong, false)
	}
	after(long, 2, false)
	after(long, 1, true)
	after(long, 1000, true)
	after(short, 2*manyLongs, false)
	m.hasBlocked()
	m.hasBlocked()
	after(short, 1, false)
	m.hasBlocked()
	if !m.blocks.Load() {
		t.Error("calls are detached, and it gets no goroutines")
	}

	stream := &method{result: channelResult}
	if stream.hasBlocked(); !stream.blocks.Load() {
		t.Error("a stream that has blocked gets no goroutine")
	}
	for range manyLongs + perLong {
		stream.took(short)
	}
	if stream.blocks.Load() {
		t.Error("streams that were short for long still get goroutines")
	}
}
