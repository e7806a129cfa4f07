package server_test

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// An audience is a hub with clients that take everything at once, and perhaps
// one beside them that takes nothing.
type audience struct {
	all     server.ClientProxy
	records *atomic.Int64
	reached chan struct{}
	took    []time.Duration // of the sends of this round
	p99s    []time.Duration // of each round
}

func newAudience(b *testing.B, slow bool, policy server.SlowClientPolicy) *audience {
	hub := newHub(benchHub{}, &server.Options{
		SlowClientTimeout: -1, QueueLimit: server.NewQueueLimit(math.MaxInt), // it is not closed during the benchmark
		SlowClients: policy, DropOldestLimit: 1 << 20,
	})
	a := &audience{all: hub.Clients().All(), records: &atomic.Int64{}, reached: make(chan struct{}, 1)}
	openMemory(b, hub, "json", 99, a.records, a.reached)
	if slow {
		stuck := &pacedConn{fakeClient: newFake(), closed: make(chan struct{})}
		stuck.say(`{"protocol":"json","version":1}`)
		openConn(hub, "/hub", stuck)
		eventually(b, "the handshake is answered", func() bool { return stuck.events("\x81\x03{}\x1e") != nil })
		stuck.pause.Store(int64(time.Hour))
		b.Cleanup(func() { close(stuck.in); _ = stuck.Close() })
	}
	return a
}

// send sends to all and waits until the 99 have it.
func (a *audience) send(b *testing.B) {
	a.records.Store(0)
	start := time.Now()
	if err := a.all.Send(b.Context(), "M", "a text of some length that goes to everybody"); err != nil {
		b.Fatal(err)
	}
	<-a.reached
	a.took = append(a.took, time.Since(start))
}

// endRound keeps what 99 of 100 sends of the round took at most.
func (a *audience) endRound() {
	slices.Sort(a.took)
	a.p99s = append(a.p99s, a.took[len(a.took)*99/100])
	a.took = a.took[:0]
}

func (a *audience) p99() float64 {
	slices.Sort(a.p99s)
	return float64(a.p99s[len(a.p99s)/2].Nanoseconds())
}

// BenchmarkOthers shows what 99 clients pay for a slow one beside them: the p99
// of a broadcast until they have it, under either policy, by that of 99 alone.
// Each iteration is a round of 1,000 broadcasts to each of the three, in turn, so
// that what else the machine does meets them alike; what is compared is the
// median of the rounds. Both ratios are to be within 0.9 and 1.1. Give it rounds:
//
//	go test -run '^$' -bench Others -benchtime 100x ./server
func BenchmarkOthers(b *testing.B) {
	const sends = 1000
	alone := newAudience(b, false, server.CloseSlow)
	closed := newAudience(b, true, server.CloseSlow)
	latest := newAudience(b, true, server.DropOldest)
	turns := []*audience{alone, closed, latest}
	for b.Loop() {
		for i := range sends {
			for k := range turns {
				turns[(i+k)%len(turns)].send(b)
			}
		}
		for _, a := range turns {
			a.endRound()
		}
	}
	b.ReportMetric(alone.p99(), "alone-p99-ns")
	b.ReportMetric(closed.p99()/alone.p99(), "beside-one-to-be-closed/alone")
	b.ReportMetric(latest.p99()/alone.p99(), "beside-one-that-wants-the-latest/alone")
}
