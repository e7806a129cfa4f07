package anynode

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

var (
	forwards = flag.Uint64("forwards", 2_000, "how many requests are passed on, in each way between the nodes")
	kills    = flag.Uint64("kills", 400, "about how many requests are passed on between two kills")
	clients  = flag.Int("clients", 12, "connections at a time: a third are event streams")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A run is all that happens to one fleet. The counts are of all connections.
type run struct {
	t     *testing.T
	fleet *fleet
	web   *http.Client
	over  atomic.Bool     // clients end
	ctx   context.Context // of all requests: it ends when the run has failed
	end   context.CancelFunc
	once  sync.Once

	requests, posts, polls, connections, lost atomic.Int64
	broken, refused, unanswered, executed     atomic.Int64
	late, repeated, longest, excused          atomic.Int64
}

// fail ends the run.
func (r *run) fail(format string, args ...any) {
	r.once.Do(func() { // what follows is only a consequence
		r.t.Errorf(format, args...)
		r.over.Store(true)
		r.end()
	})
}

// slowest notes how long a request of a connection that has ended took.
func (r *run) slowest(d time.Duration) {
	for {
		old := r.longest.Load()
		if int64(d) <= old || r.longest.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

func (r *run) String() string {
	return fmt.Sprintf(`%d requests of %d connections: %d POSTs and %d polls answered
%d connections whose node was killed; their last requests took %v at most
%d requests broke with the node that got them, %d were answered 503 without a kill
%d POSTs had no answer or 503; %d of them were executed, once, %d of those after a later one
%d polls brought once more what a killed node had passed on and not confirmed
%d connections were lost to nodes that had given each other or Redis up`,
		r.requests.Load(), r.connections.Load(), r.posts.Load(), r.polls.Load(),
		r.lost.Load(), time.Duration(r.longest.Load()).Round(time.Millisecond), r.broken.Load(), r.refused.Load(),
		r.unanswered.Load(), r.executed.Load(), r.late.Load(), r.repeated.Load(), r.excused.Load())
}

// Requests of each connection go to random nodes, which are killed at random.
func TestForwardsSurviveKilledNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes twenty seconds")
	}
	if !harness.OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --nodes")
	}
	command := strings.Fields(harness.NodeCommand(t))
	t.Run("over Redis", func(t *testing.T) { forward(t, command, "false") })
	t.Run("directly", func(t *testing.T) { forward(t, command, "true") })
}

func forward(t *testing.T, command []string, direct string) {
	transport := &http.Transport{MaxIdleConnsPerHost: 4 * *clients, DisableCompression: true}
	defer transport.CloseIdleConnections()
	r := &run{t: t, web: &http.Client{Transport: transport}}
	r.ctx, r.end = context.WithCancel(context.Background())
	defer r.end()
	r.fleet = newFleet(t, r.web, append(slices.Clone(command), "--direct", direct, "--redis", harness.Redis(t)))
	began := time.Now()
	var working sync.WaitGroup
	for i := range *clients {
		live := r.longPolling
		if i%3 == 2 {
			live = r.serverSentEvents
		}
		working.Go(func() {
			for !r.over.Load() {
				live()
			}
		})
	}
	killed := r.killNodes(func() bool {
		all, directly := r.fleet.forwarded()
		return all >= *forwards && (directly > 0 || direct == "false") && r.lost.Load() > 0 && r.broken.Load() > 0
	})
	r.over.Store(true)
	working.Wait()
	quiet := r.fleet.stop()
	all, directly := r.fleet.forwarded()
	t.Logf("%d forwards, %d of them directly, %d kills, in %v\n%v", all, directly, killed, time.Since(began).Round(time.Second), r)
	switch {
	case t.Failed():
	case direct == "false" && directly > 0:
		t.Errorf("%d of %d requests were passed on directly", directly, all)
	case quiet && r.refused.Load() > r.requests.Load()/100: // else nodes have given each other up
		t.Errorf("%d of %d requests were answered 503 without a kill", r.refused.Load(), r.requests.Load())
	}
}

// killNodes kills random processes and starts them again, until that is enough.
func (r *run) killNodes(enough func() bool) (n int) {
	for r.ctx.Err() == nil && !enough() {
		r.progress(uint64(rand.ExpFloat64() * float64(*kills)))
		down := rand.Perm(processes)[:1+rand.IntN(processes-1)]
		for _, slot := range down {
			r.fleet.kill(slot)
			n++
		}
		r.progress(rand.Uint64N(*kills / 4))
		for _, slot := range down {
			r.fleet.start(slot)
		}
		for _, p := range r.fleet.living() {
			r.fleet.count(p)
		}
	}
	return n
}

// progress waits until so many requests more have been passed on.
func (r *run) progress(n uint64) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	before := r.requests.Load()
	for end := time.Now().Add(hangTime + time.Minute); r.requests.Load() < before+int64(n) && r.ctx.Err() == nil; <-look.C {
		if time.Now().After(end) {
			r.fail("%d requests in %v", r.requests.Load()-before, hangTime+time.Minute)
		}
	}
}
