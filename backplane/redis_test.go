package backplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // the tests end servers on purpose
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// A redisServer is a real redis-server of the test.
type redisServer struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("HUBWIRE_REQUIRE_TOOLS") == "1" {
			t.Fatal("redis-server is not on PATH")
		}
		t.Skip("redis-server is not on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, addr: l.Addr().String()}
	_ = l.Close()
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.t.TempDir())
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *redisServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// node returns a ready backplane on addr.
func node(t *testing.T, addr string, opts Options) *Redis {
	t.Helper()
	return nodeOn(t, redis.NewClient(&redis.Options{Addr: addr}), opts)
}

func ready(t *testing.T, nodes ...*Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for _, r := range nodes {
		if err := r.Ready(ctx); err != nil {
			t.Fatalf("Ready: %v (health %+v)", err, r.Health())
		}
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
	c := &fakeClient{id: id, user: user, codec: protocol.JSON{}, got: make(chan string, 100_000)}
	c.ctx, c.end = context.WithCancel(context.Background())
	if err := r.Connected(t.Context(), c); err != nil {
		t.Fatalf("Connected: %v", err)
	}
	t.Cleanup(c.end)
	return c
}

func (c *fakeClient) ID() string               { return c.id }
func (c *fakeClient) UserID() string           { return c.user }
func (c *fakeClient) Codec() protocol.Codec    { return c.codec }
func (c *fakeClient) Context() context.Context { return c.ctx }
func (c *fakeClient) Send(m *server.Message) error {
	b, err := m.Bytes(c.codec)
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
	case <-time.After(10 * time.Second):
		t.Fatalf("%s received nothing", c.id)
		return ""
	}
}

func message(text string) *server.Message {
	return server.NewMessage(&protocol.Invocation{Target: text, Arguments: []any{}})
}

// expectOnly sends a last message to all through r, and wants each client to
// have received exactly what is listed before it.
func expectOnly(t *testing.T, r *Redis, want map[*fakeClient][]string) {
	t.Helper()
	if err := r.SendAll(t.Context(), message("end"), nil); err != nil {
		t.Fatal(err)
	}
	for c, list := range want {
		var got []string
		for {
			text, _, _ := strings.Cut(c.next(t), `"`)
			if text == "end" {
				break
			}
			got = append(got, text)
		}
		slices.Sort(got)
		slices.Sort(list)
		if !slices.Equal(got, list) {
			t.Errorf("%s received %q, want %q", c.id, got, list)
		}
	}
}

// on runs a test on a real Redis and on the embedded one.
func on(t *testing.T, f func(t *testing.T, addr string)) {
	t.Run("redis-server", func(t *testing.T) { f(t, startRedis(t).addr) })
	t.Run("miniredis", func(t *testing.T) { f(t, miniredis.RunT(t).Addr()) })
}

func TestEverySendReachesTheClientsOfBothNodes(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		a, b := node(t, addr, Options{}), node(t, addr, Options{})
		ready(t, a, b)
		c1, c2, c3 := client(t, a, "c1", "alice"), client(t, b, "c2", "bob"), client(t, b, "c3", "alice")
		ctx := t.Context()
		for _, step := range []error{
			a.AddToGroup(ctx, "c1", "g"), a.AddToGroup(ctx, "c2", "g"), a.AddToGroup(ctx, "c2", "*"), b.AddToGroup(ctx, "c3", "h"), b.AddToGroup(ctx, "c3", "h"),
			a.SendAll(ctx, message("all"), nil), a.SendAll(ctx, message("allExcept"), []string{"c2"}),
			a.SendConnection(ctx, "c2", message("client")), a.SendConnection(ctx, "c1", message("own")), a.SendConnection(ctx, "nobody", message("nobody")),
			b.SendConnections(ctx, []string{"c1", "c3"}, message("clients")),
			b.SendGroup(ctx, "g", message("group"), nil), a.SendGroup(ctx, "g", message("groupExcept"), []string{"c1"}),
			a.SendGroups(ctx, []string{"g", "", "h"}, message("groups")), a.SendGroup(ctx, "G", message("no such group"), nil),
			a.SendUsers(ctx, []string{"alice"}, message("user")), b.SendUsers(ctx, []string{"alice", "bob"}, message("users")),
			b.RemoveFromGroup(ctx, "c1", "g"), b.RemoveFromGroup(ctx, "c1", "never"), b.SendGroup(ctx, "g", message("after removal"), nil),
		} {
			if step != nil {
				t.Fatal(step)
			}
		}
		// Channels are not ordered among each other: let all arrive before the end.
		waitFor(t, func() bool { return len(c1.got) == 8 && len(c2.got) == 7 && len(c3.got) == 6 })
		expectOnly(t, a, map[*fakeClient][]string{
			c1: {"all", "allExcept", "own", "clients", "group", "groups", "user", "users"},
			c2: {"all", "client", "group", "groupExcept", "groups", "users", "after removal"},
			c3: {"all", "allExcept", "clients", "groups", "user", "users"},
		})
	})
}

// waitFor polls for something that tells nobody when it happens.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return // expectOnly says what is missing
		}
	}
}

func TestClientResultsAcrossNodes(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		a, b := node(t, addr, Options{ClientResultTimeout: 300 * time.Millisecond}), node(t, addr, Options{})
		ready(t, a, b)
		c2 := client(t, b, "c2", "")
		ask := func() (server.ClientResult, error) {
			return a.InvokeConnection(t.Context(), "c2", &protocol.Invocation{Target: "Q", Arguments: []any{}})
		}
		reply := func(m protocol.Completion) {
			text := <-c2.got
			_, text, _ = strings.Cut(text, `"invocationId":"`)
			m.InvocationID, _, _ = strings.Cut(text, `"`)
			if known, err := b.SetResult(c2, &m); !known || err != nil {
				t.Errorf("SetResult = %v, %v", known, err)
			}
		}
		go reply(protocol.Completion{Kind: protocol.ResultValue, RawResult: protocol.Raw(`{"big":12345678901234567890}`)})
		if result, err := ask(); err != nil || string(result.Value) != `{"big":12345678901234567890}` {
			t.Errorf("result %s, error %v", result.Value, err)
		}
		go reply(protocol.Completion{Kind: protocol.ResultError, Error: "no"})
		var hub *server.HubError
		if _, err := ask(); !errors.As(err, &hub) || hub.Message != "no" {
			t.Errorf("error %v, want the client's", err)
		}
		if _, err := a.InvokeConnection(t.Context(), "nobody", &protocol.Invocation{Target: "Q"}); err == nil || err.Error() != "Connection 'nobody' does not exist." {
			t.Errorf("error %v, want that nobody does not exist", err)
		}
		if _, err := ask(); !errors.As(err, &hub) || hub.Message != "Invocation canceled by the server." {
			t.Errorf("error %v, want a bounded wait", err)
		}
		go func() {
			<-c2.got // the one that was never answered
			<-c2.got
			c2.end()
			b.Disconnected(c2)
		}()
		if _, err := ask(); !errors.As(err, &hub) || hub.Message != "Connection disconnected." {
			t.Errorf("error %v, want that the client is gone", err)
		}
	})
}

func TestGroupCommandForNobodyEndsWithAClearError(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		a := node(t, addr, Options{AckTimeout: 100 * time.Millisecond})
		ready(t, a)
		if err := a.AddToGroup(t.Context(), "nobody", "g"); !errors.Is(err, ErrNoAck) {
			t.Errorf("AddToGroup = %v, want ErrNoAck", err)
		}
	})
}

func TestAppsWithDifferentPrefixesDoNotHearEachOther(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		blog, other, none := node(t, addr, Options{ChannelPrefix: "BlogApp:SignalR:"}), node(t, addr, Options{ChannelPrefix: "Other"}), node(t, addr, Options{})
		ready(t, blog, other, none)
		name := strings.Repeat("ü", 5000)
		clients := map[*Redis]*fakeClient{}
		for i, r := range []*Redis{blog, other, none} {
			c := client(t, r, fmt.Sprint("c", i), "a:b")
			clients[r] = c
			if err := r.AddToGroup(t.Context(), c.id, name); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range []error{blog.SendGroup(t.Context(), name, message("group"), nil), blog.SendUsers(t.Context(), []string{"a:b"}, message("user"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, func() bool { return len(clients[blog].got) == 2 })
		expectOnly(t, blog, map[*fakeClient][]string{clients[blog]: {"group", "user"}})
		expectOnly(t, other, map[*fakeClient][]string{clients[other]: nil})
		expectOnly(t, none, map[*fakeClient][]string{clients[none]: nil})
	})
}

func TestNodesAreWholeAgainAfterRedisWasRestarted(t *testing.T) {
	s := startRedis(t)
	a, b := node(t, s.addr, Options{}), node(t, s.addr, Options{})
	ready(t, a, b)
	c1, c2 := client(t, a, "c1", "alice"), client(t, b, "c2", "bob")
	if err := a.AddToGroup(t.Context(), "c2", "g"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.kill()
		waitFor(t, func() bool { return a.Health().State == Degraded && b.Health().State == Degraded })
		s.start()
		ready(t, a, b)
		if err := a.SendGroup(t.Context(), "g", message("after"), nil); err != nil {
			t.Fatal(err)
		}
		if got := c2.next(t); !strings.HasPrefix(got, "after") {
			t.Errorf("c2 received %s", got)
		}
		expectOnly(t, b, map[*fakeClient][]string{c1: nil, c2: nil})
	}
}

func TestRedisThatIsAwayAtStartIsJoinedWhenItComes(t *testing.T) {
	s := startRedis(t)
	s.kill()
	a := node(t, s.addr, Options{PublishTimeout: 200 * time.Millisecond})
	if err := a.SendAll(t.Context(), message("lost"), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("SendAll without Redis = %v, want ErrUnavailable", err)
	}
	if state := a.Health().State; state != Connecting {
		t.Errorf("state %v, want connecting", state)
	}
	s.start()
	ready(t, a)
	c := client(t, a, "c", "")
	expectOnly(t, a, map[*fakeClient][]string{c: nil})
}

func TestSendsOfOneGoroutineKeepTheirOrder(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		a, b := node(t, addr, Options{}), node(t, addr, Options{})
		ready(t, a, b)
		c := client(t, b, "c", "")
		const n = 2000
		var wg sync.WaitGroup
		for s := range 4 {
			wg.Go(func() {
				for i := range n {
					if err := a.SendAll(t.Context(), message(fmt.Sprintf("%d-%d-", s, i)), nil); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		next := map[string]int{}
		for range 4 * n {
			sender, rest, _ := strings.Cut(c.next(t), "-")
			if want := fmt.Sprintf("%d-", next[sender]); !strings.HasPrefix(rest, want) {
				t.Fatalf("sender %s: received %s, want %s", sender, rest, want)
			}
			next[sender]++
		}
	})
}
