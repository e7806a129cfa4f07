package backplane

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) {
	redis.SetLogger(noLog{}) // the tests end servers on purpose
	goleak.VerifyTestMain(m)
}

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// A testRedis is what the nodes of a test have in common: a memoryRedis under a
// fake clock, or a redisServer.
type testRedis interface {
	place
	kill() // as SIGKILL
	start()
	killSubscribers()
	pause(d time.Duration)
	limitBacklog(n int) // of each subscriber, in bytes
	channels() []string
	line() line
}

// A place is where a node finds Redis.
type place interface {
	client(change ...func(*redis.Options)) *redis.Client
}

// A line is a network between nodes and Redis.
type line interface {
	place
	partition() // holds back everything, both ways
	heal()
	strand() // holds back, for good, what the present connections carry, as a firewall that has forgotten them
}

// on runs a test on the Redis in memory, and on a real one in parallel with
// other such tests, since most of its time passes in silence.
func on(t *testing.T, f func(t *testing.T, s testRedis)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newMemoryRedis(t)) })
	})
	t.Run("redis-server", func(t *testing.T) { f(t, startRedis(t)) })
}

// exactly wants d to have passed since start; of a real clock nothing is wanted.
func exactly(t *testing.T, s testRedis, what string, start time.Time, d time.Duration) {
	t.Helper()
	took := time.Since(start)
	if _, fake := s.(*memoryRedis); !fake {
		t.Logf("%s after %v", what, took)
	} else if took != d {
		t.Errorf("%s after %v, want %v", what, took, d)
	}
}

// longer is d, and on a real Redis real: there is a real clock then, and other programs
// may keep the nodes and Redis from the processor for a while.
func longer(s testRedis, d, real time.Duration) time.Duration {
	if _, fake := s.(*memoryRedis); fake {
		return d
	}
	return real
}

// settle waits until nothing happens any more, where there is a fake clock.
func settle(p place) {
	switch p.(type) {
	case *memoryRedis, *memoryLine:
		synctest.Wait()
	}
}

// node returns a backplane at p, which may be not ready yet.
func node(t testing.TB, p place, opts Options) *Redis {
	t.Helper()
	if c, ok := p.(*redisCluster); ok {
		return nodeOn(t, c.clusterClient(), opts)
	}
	return nodeOn(t, p.client(), opts)
}

// nodeOn returns a backplane on client, which is closed with the test.
func nodeOn(t testing.TB, client redis.UniversalClient, opts Options) *Redis {
	t.Helper()
	if opts.HubName == "" {
		opts.HubName = "App.Hub"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := New(client, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = client.Close()
	})
	return r
}

func ready(t *testing.T, nodes ...*Redis) {
	t.Helper()
	for _, r := range nodes {
		becomes(t, r, Ready)
	}
}

// becomes waits for a state, for longer than any limit of the backplane.
func becomes(t *testing.T, r *Redis, want State) {
	t.Helper()
	reaches(t, r, func(h Health) bool { return h.State == want })
}

func reaches(t *testing.T, r *Redis, ok func(Health) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		r.state.mu.Lock()
		h := r.state.health
		if r.state.changed == nil {
			r.state.changed = make(chan struct{})
		}
		changed := r.state.changed
		r.state.mu.Unlock()
		if ok(h) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("health %+v", h)
		}
	}
}

// readyAfter wants nodes to lose Redis by fault, and to be ready again.
func readyAfter(t *testing.T, fault func(), nodes ...*Redis) {
	t.Helper()
	before := make([]Health, len(nodes))
	for i, r := range nodes {
		before[i] = r.Health()
	}
	fault()
	for i, r := range nodes {
		reaches(t, r, func(h Health) bool { return h.State == Ready && h.Since != before[i].Since })
	}
}

// A fakeClient is a Receiver that remembers what it was sent.
type fakeClient struct {
	id, user string
	codec    protocol.Codec
	ctx      context.Context
	end      context.CancelFunc
	got      chan string
}

func client(t *testing.T, r *Redis, id, user string) *fakeClient {
	t.Helper()
	c := newClient(id, user)
	if err := r.Connected(t.Context(), c); err != nil {
		t.Fatalf("Connected: %v", err)
	}
	t.Cleanup(c.end)
	return c
}

func newClient(id, user string) *fakeClient {
	c := &fakeClient{id: id, user: user, codec: protocol.JSON{}, got: make(chan string, 10_000)}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

func (c *fakeClient) ID() string     { return c.id }
func (c *fakeClient) UserID() string { return c.user }
func (c *fakeClient) Codec() protocol.Codec {
	if c.codec == nil {
		return protocol.JSON{}
	}
	return c.codec
}
func (c *fakeClient) Context() context.Context { return c.ctx }
func (c *fakeClient) Send(m *server.Message) error {
	b, err := m.Bytes(c.Codec())
	if err == nil {
		c.got <- string(b)
	}
	return err
}

// next returns the target and arguments of the next message.
func (c *fakeClient) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-c.got:
		_, text, _ = strings.Cut(text, `"target":"`)
		return strings.TrimSuffix(text, "}\x1e")
	case <-time.After(time.Minute):
		t.Fatalf("%s received nothing", c.id)
		return ""
	}
}

func message(text string) *server.Message {
	return server.NewMessage(&protocol.Invocation{Target: text, Arguments: []any{}})
}

// succeed ends the test at the first error.
func succeed(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// expectOnly waits for what is listed for each client, then sends a last message
// to all through r, and wants that nothing else has come before it: channels are
// not ordered among each other.
func expectOnly(t *testing.T, r *Redis, want map[*fakeClient][]string) {
	t.Helper()
	got := map[*fakeClient][]string{}
	next := func(c *fakeClient) string {
		text, _, _ := strings.Cut(c.next(t), `"`)
		return text
	}
	for c, list := range want {
		for range list {
			got[c] = append(got[c], next(c))
		}
	}
	succeed(t, r.Send(t.Context(), toAll(), message("end")))
	for c, list := range want {
		for text := next(c); text != "end"; text = next(c) {
			got[c] = append(got[c], text)
		}
		slices.Sort(got[c])
		slices.Sort(list)
		if !slices.Equal(got[c], list) {
			t.Errorf("%s received %q, want %q", c.id, got[c], list)
		}
	}
}

// whole wants every kind of channel of c, a client of r, to work again.
func whole(t *testing.T, from *Redis, c *fakeClient, group string) {
	t.Helper()
	succeed(t,
		from.Send(t.Context(), toConnections(c.id), message("client")), from.Send(t.Context(), toGroups(group), message("group")),
		from.Send(t.Context(), toUsers(c.user), message("user")), from.RemoveFromGroup(t.Context(), c.id, "another"))
	expectOnly(t, from, map[*fakeClient][]string{c: {"client", "group", "user"}})
}

// twoNodes returns two ready nodes, with a client of the second in group g.
func twoNodes(t *testing.T, first, second place, opts Options) (a, b *Redis, c *fakeClient) {
	t.Helper()
	a, b = node(t, first, opts), node(t, second, opts)
	ready(t, a, b)
	c = client(t, b, "c", "alice")
	succeed(t, a.AddToGroup(t.Context(), "c", "g"))
	settle(second)
	return a, b, c
}
