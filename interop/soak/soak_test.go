package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

var (
	length  = flag.Duration("soak", 22*time.Second, "how long clients come and go; a tenth of it before is for warming up")
	seed    = flag.Uint64("seed", 0, "of all that is random; 0: another one each time")
	clients = flag.Int("clients", 24, "clients at a time")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settleTime bounds how long what the clients have left behind may take to go:
// polls and stateful connections that were cut wait for DisconnectTimeout.
const settleTime = time.Minute

// What is measured after the warming up must be found again after the run: pools
// and caches are full by then, and what still grows is a leak.
func TestNothingIsLeftOfClientsThatComeAndGo(t *testing.T) {
	harness.Long(t, "takes half a minute")
	s := newSoak(t)
	s.run(*length / 10)
	before := s.settled()
	began := time.Now()
	s.run(*length)
	took := time.Since(began)
	after, left := s.settlesTo(before)
	for _, what := range left {
		t.Errorf("left over: %s", what)
	}
	if len(left) > 0 {
		t.Logf("connections to Redis, before:\n%safter:\n%s", before.redisClients, after.redisClients)
	}
	s.worksStill()
	t.Logf("%v with %d clients at a time, seed %d\n%s\n%s", took.Round(time.Second), *clients, s.seed, s.book, compare(before, after))
	for _, what := range must {
		if s.book.count(what) == 0 && took >= 20*time.Second {
			t.Errorf("in all that time there was no %s", what)
		}
	}
}

// must are the entries of the book that a run without them would not be worth its
// name.
var must = []string{
	"connected WebSockets", "connected ServerSentEvents", "connected LongPolling", "end: close", "end: abort", "end: cut", "end: kicked",
	"call: echo", "call: stream", "call: upload", "call: group", "call: ask", "slow reader", "resumed", "redis restarted",
}

type soak struct {
	t     *testing.T
	seed  uint64
	book  *book
	redis *harness.RedisServer
	nodes []*node
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, seed: *seed, book: newBook(), redis: harness.StartRedis(t)}
	if s.seed == 0 {
		s.seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed %d", s.seed) // also if it never ends
	for n := range 2 {
		s.nodes = append(s.nodes, newNode(t, fmt.Sprintf("node%d", n), s.redis.Addr))
	}
	return s
}

// run lets clients come and go for so long, and ends them all.
func (s *soak) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	var working sync.WaitGroup
	for n := range *clients {
		w := &worker{soak: s, rand: rand.New(rand.NewPCG(s.seed, uint64(n)))}
		working.Go(func() { w.work(ctx) })
	}
	for _, n := range s.nodes {
		working.Go(func() { n.broadcast(ctx, s.book) })
	}
	s.restartRedis(ctx, d)
	working.Wait()
}

// restartRedis kills Redis now and then, four times or once a minute, for times
// that are too short to notice and longer than a send waits. In the end it runs.
func (s *soak) restartRedis(ctx context.Context, d time.Duration) {
	r := rand.New(rand.NewPCG(s.seed, 1<<32))
	every := min(d/4, time.Minute)
	for pause(ctx, every/2+time.Duration(r.Int64N(int64(every)))) {
		s.redis.Kill()
		pause(ctx, time.Duration(r.Int64N(int64(every/5))))
		s.redis.Restart()
		s.book.add("redis restarted")
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// settled waits until nothing changes any more, and returns what there is.
func (s *soak) settled() census {
	s.t.Helper()
	var last census
	for end := time.Now().Add(settleTime); time.Now().Before(end); pause(s.t.Context(), 500*time.Millisecond) {
		if s.connections() > 0 {
			continue
		}
		now := s.census()
		if len(last.grown(now)) == 0 && len(now.grown(last)) == 0 {
			return now
		}
		last = now
	}
	s.t.Fatalf("after the warming up it did not become quiet: %d connections, %v", s.connections(), last)
	return census{}
}

// settlesTo waits until there is no more than before, and returns what there is
// and what is left over.
func (s *soak) settlesTo(before census) (after census, left []string) {
	for end := time.Now().Add(settleTime); ; pause(s.t.Context(), 500*time.Millisecond) {
		after = s.census()
		left = before.grown(after)
		if n := s.connections(); n > 0 {
			left = append(left, fmt.Sprintf("%d connections", n))
		}
		if len(left) == 0 || time.Now().After(end) {
			return after, left
		}
	}
}

func (s *soak) connections() (n int) {
	for _, node := range s.nodes {
		for range node.hub.Connections() {
			n++
		}
	}
	return n
}

// worksStill shows that both nodes deliver to each other.
func (s *soak) worksStill() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	got := make(chan string, 10)
	for i, n := range s.nodes {
		c, err := n.dial(ctx, func(group string) { got <- group })
		if err != nil {
			s.t.Fatalf("after the run: %v", err)
		}
		defer c.Close()
		group := fmt.Sprintf("last%d", i)
		if err := c.Invoke(ctx, nil, "Join", group); err != nil {
			s.t.Fatalf("after the run: Join: %v", err)
		}
		other := s.nodes[1-i]
		if err := other.hub.Clients().Group(group).Send(ctx, "Last", group); err != nil {
			s.t.Fatalf("after the run: Send: %v", err)
		}
		select {
		case g := <-got:
			if g != group {
				s.t.Errorf("a client of %q has received %q", group, g)
			}
		case <-ctx.Done():
			s.t.Error("after the run a message to a group of the other node did not arrive")
		}
	}
}

// A book counts what has happened.
type book struct {
	mu     sync.Mutex
	counts map[string]int
}

func newBook() *book { return &book{counts: map[string]int{}} }

func (b *book) add(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[what]++
}

func (b *book) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[what]
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	for what, n := range b.counts {
		lines = append(lines, fmt.Sprintf("| %s | %d |", what, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
