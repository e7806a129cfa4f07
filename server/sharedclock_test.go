package server_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

type clockHub struct{ first, last *atomic.Int64 }

// Stamp notes when it was called.
func (h clockHub) Stamp(text string) string {
	now := int64(time.Since(testStart))
	h.first.CompareAndSwap(0, now)
	h.last.Store(now)
	return text
}

var testStart = time.Now()

// Calls that come together are measured by one look at the clock each: a call begins
// when the one before it has ended. So there is no time between them that none of them
// has taken.
func TestCallsThatFollowEachOtherShareAClock(t *testing.T) {
	var first, last, taken, records atomic.Int64
	observer := &server.Observer{Calls: func(_, _ string) func(server.CallEnd) {
		return func(end server.CallEnd) { taken.Add(int64(end.Duration)) }
	}}
	reached := make(chan struct{}, 1)
	c := openMemory(t, newHub(clockHub{&first, &last}, &server.Options{Observer: observer}), "json", 1, &records, reached)[0]
	c.wanted, c.end = 16, '!'
	template := bytes.Repeat(clientFrame(`{"type":1,"invocationId":"17","target":"Stamp","arguments":["x!"]}`), 16)
	for range 1000 { // on a busy machine a call may be detached, and the next ones begin anew
		records.Store(0)
		first.Store(0)
		taken.Store(0)
		c.in <- bytes.Clone(template)
		<-reached
		if all := last.Load() - first.Load(); taken.Load() >= all {
			return
		}
	}
	t.Error("the calls have taken less time than went by from the first to the last of them")
}
