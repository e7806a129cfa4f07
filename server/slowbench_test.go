package server_test

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// BenchmarkOthers is what a broadcast takes until 99 clients have it, alone and
// beside one that takes nothing, under either policy: the figures of the three
// are to be alike.
func BenchmarkOthers(b *testing.B) {
	for _, beside := range []string{"nobody", "one that is to be closed", "one that wants the latest"} {
		b.Run("beside "+beside, func(b *testing.B) {
			opts := &server.Options{SlowClientTimeout: -1, QueueLimit: server.NewQueueLimit(math.MaxInt)}
			if beside == "one that wants the latest" {
				opts.SlowClients, opts.MaximumQueuedBytes = server.DropOldest, 1<<20
			}
			var records atomic.Int64
			reached := make(chan struct{}, 1)
			hub := newHub(benchHub{}, opts)
			openMemory(b, hub, 99, &records, reached)
			if beside != "nobody" {
				stuck := &pacedConn{fakeClient: newFake(), closed: make(chan struct{})}
				stuck.say(`{"protocol":"json","version":1}`)
				openConn(hub, "/hub", stuck)
				eventually(b, "the handshake is answered", func() bool { return stuck.events("\x81\x03{}\x1e") != nil })
				stuck.pause.Store(int64(time.Hour))
				b.Cleanup(func() { close(stuck.in); _ = stuck.Close() })
			}
			var took []time.Duration
			for b.Loop() {
				records.Store(0)
				start := time.Now()
				if err := hub.Clients().All().Send(b.Context(), "M", "a text of some length that goes to everybody"); err != nil {
					b.Fatal(err)
				}
				<-reached
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Nanoseconds()), fmt.Sprintf("p%d-ns", p))
			}
		})
	}
}
