// Package rate counts what may happen only so often: a Pace says how often, a
// Bucket how much of that is used up, a Table has a bucket for each key.
//
// golang.org/x/time/rate refuses what is more than its burst at once, where a
// reader that is held back must go into debt; and its limiter has a lock and 100
// bytes, where each connection has two buckets.
package rate

import (
	"math"
	"sync/atomic"
	"time"
)

// A Pace is a rate with a burst. The zero value is no bound.
type Pace struct {
	perSecond float64
	ahead     time.Duration // how much may be used ahead of the time that it takes
}

// NewPace returns a pace of perSecond with a burst of so many at once; a burst of
// less than 1 is 1. A perSecond of zero or less is no bound.
func NewPace(perSecond, burst float64) Pace {
	if !(perSecond > 0) || math.IsInf(perSecond, 1) {
		return Pace{}
	}
	return Pace{perSecond, span(max(burst, 1) / perSecond)}
}

// span is so many seconds, a hundred years at most.
func span(seconds float64) time.Duration {
	const most = 100 * 365 * 24 * 3600
	return time.Duration(min(seconds, most) * float64(time.Second))
}

// Bounded reports whether p is a bound at all.
func (p Pace) Bounded() bool { return p.perSecond > 0 }

// A Bucket is what has been used of a Pace. The zero value is unused. It is safe
// for concurrent use, and always used with one pace and one clock, which begins
// at zero.
type Bucket struct {
	fullAt atomic.Int64 // when nothing of it will be used any more
}

// Take uses n of p if that much is left at now. Else it returns how long until
// it will be.
func (b *Bucket) Take(p Pace, now time.Duration, n int) (wait time.Duration, ok bool) {
	if !p.Bounded() {
		return 0, true
	}
	cost := span(float64(n) / p.perSecond)
	for {
		old := b.fullAt.Load()
		next := max(time.Duration(old), now) + cost
		if wait := next - now - p.ahead; wait > 0 {
			return wait, false
		}
		if b.fullAt.CompareAndSwap(old, int64(next)) {
			return 0, true
		}
	}
}

// Wait returns how long until n of p are left, and uses nothing.
func (b *Bucket) Wait(p Pace, now time.Duration, n int) time.Duration {
	if !p.Bounded() {
		return 0
	}
	next := max(time.Duration(b.fullAt.Load()), now) + span(float64(n)/p.perSecond)
	return max(0, next-now-p.ahead)
}

// Spend uses n of p, left or not, and returns how long until the debt is paid.
func (b *Bucket) Spend(p Pace, now time.Duration, n int) (wait time.Duration) {
	if !p.Bounded() {
		return 0
	}
	cost := span(float64(n) / p.perSecond)
	for {
		old := b.fullAt.Load()
		next := max(time.Duration(old), now) + cost
		if b.fullAt.CompareAndSwap(old, int64(next)) {
			return max(0, next-now-p.ahead)
		}
	}
}

// IsUnused reports whether b is as a new one.
func (b *Bucket) IsUnused(now time.Duration) bool { return time.Duration(b.fullAt.Load()) <= now }
