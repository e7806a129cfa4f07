package transport

import "runtime"

// turns counts pieces of work that a goroutine has done without waiting. One that always
// has more to do keeps its processor for 10 ms, however many others are ready to run: a
// single client that says as much as it can made the 99th percentile of all others 16 ms,
// where it is 4 with turns (docs/performance.md).
type turns uint16

// taken notes n more, and lets others run after so many. Where nobody waits that takes a fifth
// of a microsecond.
func (t *turns) taken(n, most turns) {
	if *t += n; *t >= most {
		*t = 0
		runtime.Gosched()
	}
}

// How much is done in a turn: at most about half a millisecond.
const (
	turnBytes   = 32 << 10 // that were read from a socket
	readBytes   = 512      // as many as a read costs besides
	turnBatches = 2        // of the events of a set
	turnWrites  = 64       // to clients, one after the other
)

// A client is heavy that says more than 2 MiB in a tick of the sweeper, reads of readBytes
// included: 20,000 short calls a second are 12. Whenever it is woken, those that were woken
// with it go first. One of 20,000 calls a second made the 99th percentile of 1,000 others
// 0.28 ms, where it is 0.20 with this (docs/performance.md).
const heavy = (2 << 20) / readBytes
