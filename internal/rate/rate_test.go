package rate

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestABucketGivesItsBurstAtOnceAndThenItsPace(t *testing.T) {
	p := NewPace(10, 3)
	var b Bucket
	for n := range 3 {
		if _, ok := b.Take(p, time.Second, 1); !ok {
			t.Fatalf("number %d of a burst of 3 is refused", n+1)
		}
	}
	wait, ok := b.Take(p, time.Second, 1)
	if ok || wait != 100*time.Millisecond {
		t.Errorf("Take after the burst = %v, %t, want 100ms, false", wait, ok)
	}
	if got := b.Wait(p, time.Second, 1); got != wait {
		t.Errorf("Wait = %v, Take %v", got, wait)
	}
	if _, ok := b.Take(p, time.Second+wait-1, 1); ok {
		t.Error("taken a nanosecond before its time")
	}
	if _, ok := b.Take(p, time.Second+wait, 1); !ok {
		t.Error("refused when its time had come")
	}
	if !b.IsUnused(2*time.Second) || b.IsUnused(1300*time.Millisecond) {
		t.Error("a bucket is as new once what was used has come again, and not before")
	}
}

func TestADebtIsPaidBeforeAnythingElse(t *testing.T) {
	p := NewPace(1000, 100)
	var b Bucket
	if wait := b.Spend(p, 0, 1100); wait != time.Second {
		t.Errorf("Spend of 1100 at 1000 a second and a burst of 100: wait %v, want 1s", wait)
	}
	if wait := b.Spend(p, 500*time.Millisecond, 100); wait != 600*time.Millisecond {
		t.Errorf("the next 100, half a second later: wait %v, want 600ms", wait)
	}
	if _, ok := b.Take(p, time.Second, 1); ok {
		t.Error("taken in debt")
	}
}

func TestAPaceOfNothingIsNoBound(t *testing.T) {
	for _, perSecond := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		p := NewPace(perSecond, 0)
		var b Bucket
		for range 3 {
			_, ok := b.Take(p, 0, math.MaxInt)
			if !ok || b.Spend(p, 0, math.MaxInt) != 0 || b.Wait(p, 0, math.MaxInt) != 0 || p.Bounded() {
				t.Fatalf("NewPace(%v) is a bound", perSecond)
			}
		}
	}
	var b Bucket
	p := NewPace(1e-300, 1)
	for range 50 { // does not overflow
		if wait := b.Spend(p, time.Hour, 1<<20); wait < 0 {
			t.Fatalf("Spend of much = %v", wait)
		}
	}
}

func TestATableKeepsWhatIsHeldAndForgetsWhatWasNotHeldForLongest(t *testing.T) {
	table := NewTable[int](2)
	held := table.Hold("held")
	held.Value = 7
	for n := range 5 {
		e := table.Hold(fmt.Sprint(n))
		e.Value = n + 100
		table.Release(e, false)
	}
	if got := table.Len(); got != 3 {
		t.Errorf("%d entries, want the held one and 2", got)
	}
	if got := table.Hold("held"); got != held || got.Value != 7 {
		t.Error("a second Hold is of another entry")
	}
	if got := table.Hold("4").Value; got != 104 {
		t.Errorf("the last one has %d, want 104", got)
	}
	if got := table.Hold("0").Value; got != 0 {
		t.Errorf("the first one has %d, want a new entry", got)
	}
	e := table.Hold("forgotten")
	e.Value = 1
	table.Release(e, true)
	if got := table.Hold("forgotten").Value; got != 0 {
		t.Errorf("a forgotten one has %d", got)
	}
}
