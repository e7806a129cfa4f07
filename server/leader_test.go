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
		if !w.enter(l, first) || !w.leave(l) {
			t.Fatal("the first call was detached")
		}
		first.mayBlock()
		if !w.enter(l, second) {
			t.Fatal("the second call is not watched")
		}
		first.mayBlock()
		if !w.leave(l) {
			t.Error("the second call was detached by the first one, which is over")
		}
		time.Sleep(10 * watchPeriod) // until the watch has ended
	})
}

func TestNoCallIsWatchedWhereTooManyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{tasks: &tasks{}}
		var watched []*leader
		for range 10 * len(w.slots) {
			if l := new(leader); w.enter(l, &invocation{}) {
				watched = append(watched, l)
			}
		}
		if len(watched) != len(w.slots) {
			t.Errorf("%d leaders are watched, want one for each of %d slots", len(watched), len(w.slots))
		}
		for _, l := range watched {
			if !w.leave(l) {
				t.Error("a call was detached that has just begun")
			}
		}
		if l := new(leader); !w.enter(l, &invocation{}) || !w.leave(l) {
			t.Error("no slot is free though no call runs")
		}
		time.Sleep(10 * watchPeriod)
	})
}
