package backplane

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestEverySendReachesTheClientsOfBothNodes(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b := node(t, s, Options{}), node(t, s, Options{})
		ready(t, a, b)
		c1, c2, c3 := client(t, a, "c1", "alice"), client(t, b, "c2", "bob"), client(t, b, "c3", "alice")
		ctx := t.Context()
		succeed(t,
			a.AddToGroup(ctx, "c1", "g"), a.AddToGroup(ctx, "c2", "g"), a.AddToGroup(ctx, "c2", "*"), b.AddToGroup(ctx, "c3", "h"), b.AddToGroup(ctx, "c3", "h"),
			a.Send(ctx, toAll(), message("all")), a.Send(ctx, toAll("c2"), message("allExcept")),
			a.Send(ctx, toConnections("c2"), message("client")), a.Send(ctx, toConnections("c1"), message("own")), a.Send(ctx, toConnections("nobody"), message("nobody")),
			b.Send(ctx, toConnections("c1", "c3"), message("clients")),
			b.Send(ctx, toGroups("g"), message("group")), a.Send(ctx, toGroup("g", "c1"), message("groupExcept")),
			a.Send(ctx, toGroups("g", "", "h"), message("groups")), a.Send(ctx, toGroups("G"), message("no such group")),
			a.Send(ctx, toUsers("alice"), message("user")), b.Send(ctx, toUsers("alice", "bob"), message("users")),
			b.RemoveFromGroup(ctx, "c1", "g"), b.RemoveFromGroup(ctx, "c1", "never"), b.Send(ctx, toGroups("g"), message("after removal")),
		)
		expectOnly(t, a, map[*fakeClient][]string{
			c1: {"all", "allExcept", "own", "clients", "group", "groups", "user", "users"},
			c2: {"all", "client", "group", "groupExcept", "groups", "users", "after removal"},
			c3: {"all", "allExcept", "clients", "groups", "user", "users"},
		})
	})
}

func TestClientResultsAcrossNodes(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b, impatient := node(t, s, Options{}), node(t, s, Options{}), node(t, s, Options{ClientResultTimeout: 300 * time.Millisecond})
		ready(t, a, b, impatient)
		c2 := client(t, b, "c2", "")
		ask := func(from *Redis) (server.ClientResult, error) {
			return from.InvokeConnection(t.Context(), "c2", &protocol.Invocation{Target: "Q", Arguments: []any{}})
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
		if result, err := ask(a); err != nil || string(result.Value) != `{"big":12345678901234567890}` {
			t.Errorf("result %s, error %v", result.Value, err)
		}
		go reply(protocol.Completion{Kind: protocol.ResultError, Error: "no"})
		var hub *server.HubError
		if _, err := ask(a); !errors.As(err, &hub) || hub.Message != "no" {
			t.Errorf("error %v, want the client's", err)
		}
		if _, err := a.InvokeConnection(t.Context(), "nobody", &protocol.Invocation{Target: "Q"}); err == nil || err.Error() != "Connection 'nobody' does not exist." {
			t.Errorf("error %v, want that nobody does not exist", err)
		}
		start := time.Now()
		if _, err := ask(impatient); !errors.As(err, &hub) || hub.Message != "Invocation canceled by the server." {
			t.Errorf("error %v, want a bounded wait", err)
		}
		exactly(t, s, "the end of ClientResultTimeout", start, 300*time.Millisecond)
		go func() {
			<-c2.got // the one that was never answered
			<-c2.got
			c2.end()
			b.Disconnected(c2)
		}()
		if _, err := ask(a); !errors.As(err, &hub) || hub.Message != "Connection disconnected." {
			t.Errorf("error %v, want that the client is gone", err)
		}
	})
}

func TestGroupCommandForNobodyEndsWithAClearError(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a := node(t, s, Options{AckTimeout: 100 * time.Millisecond})
		ready(t, a)
		start := time.Now()
		if err := a.AddToGroup(t.Context(), "nobody", "g"); !errors.Is(err, ErrNoAck) {
			t.Errorf("AddToGroup = %v, want ErrNoAck", err)
		}
		exactly(t, s, "the end of AckTimeout", start, 100*time.Millisecond)
	})
}

func TestAppsWithDifferentPrefixesDoNotHearEachOther(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		blog, other, none := node(t, s, Options{ChannelPrefix: "BlogApp:SignalR:"}), node(t, s, Options{ChannelPrefix: "Other"}), node(t, s, Options{})
		ready(t, blog, other, none)
		name := strings.Repeat("ü", 5000)
		clients := map[*Redis]*fakeClient{}
		for i, r := range []*Redis{blog, other, none} {
			c := client(t, r, fmt.Sprint("c", i), "a:b")
			clients[r] = c
			succeed(t, r.AddToGroup(t.Context(), c.id, name))
		}
		succeed(t, blog.Send(t.Context(), toGroups(name), message("group")), blog.Send(t.Context(), toUsers("a:b"), message("user")))
		expectOnly(t, blog, map[*fakeClient][]string{clients[blog]: {"group", "user"}})
		expectOnly(t, other, map[*fakeClient][]string{clients[other]: nil})
		expectOnly(t, none, map[*fakeClient][]string{clients[none]: nil})
	})
}

func TestNodesAreWholeAgainAfterRedisWasRestarted(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b := node(t, s, Options{}), node(t, s, Options{})
		ready(t, a, b)
		c1, c2 := client(t, a, "c1", "alice"), client(t, b, "c2", "bob")
		succeed(t, a.AddToGroup(t.Context(), "c2", "g"))
		for range 3 {
			s.kill()
			becomes(t, a, Degraded)
			becomes(t, b, Degraded)
			s.start()
			start := time.Now()
			ready(t, a, b)
			exactly(t, s, "ready again", start, firstPause)
			succeed(t, a.Send(t.Context(), toGroups("g"), message("after")))
			if got := c2.next(t); !strings.HasPrefix(got, "after") {
				t.Errorf("c2 received %s", got)
			}
			expectOnly(t, b, map[*fakeClient][]string{c1: nil, c2: nil})
		}
	})
}

func TestRedisThatIsAwayAtStartIsJoinedWhenItComes(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		s.kill()
		timeout := longer(s, 200*time.Millisecond, 3*time.Second)
		a := node(t, s, Options{PublishTimeout: timeout})
		start := time.Now()
		if err := a.Send(t.Context(), toAll(), message("lost")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("SendAll without Redis = %v, want ErrUnavailable", err)
		}
		exactly(t, s, "the end of PublishTimeout", start, timeout)
		if state := a.Health().State; state != Connecting {
			t.Errorf("state %v, want connecting", state)
		}
		if err := a.Check(); err == nil || err.Error() != "backplane: connecting" {
			t.Errorf("Check without Redis = %v", err)
		}
		s.start()
		ready(t, a)
		if err := a.Check(); err != nil {
			t.Errorf("Check with Redis = %v", err)
		}
		c := client(t, a, "c", "")
		expectOnly(t, a, map[*fakeClient][]string{c: nil})
	})
}

func TestSendsOfOneGoroutineKeepTheirOrder(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b := node(t, s, Options{}), node(t, s, Options{})
		ready(t, a, b)
		c := client(t, b, "c", "")
		const n = 500
		var wg sync.WaitGroup
		for s := range 4 {
			wg.Go(func() {
				for i := range n {
					if err := a.Send(t.Context(), toAll(), message(fmt.Sprintf("%d-%d-", s, i))); err != nil {
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

func TestRESP2AndRESP3(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		resp2 := func(o *redis.Options) { o.Protocol = 2 }
		a, b := nodeOn(t, s.client(resp2), Options{}), nodeOn(t, s.client(), Options{})
		ready(t, a, b)
		c1, c2 := client(t, a, "c1", "alice"), client(t, b, "c2", "alice")
		succeed(t, a.AddToGroup(t.Context(), "c2", "g"), b.AddToGroup(t.Context(), "c1", "g"),
			a.Send(t.Context(), toGroups("g"), message("a")), b.Send(t.Context(), toGroups("g"), message("b")))
		expectOnly(t, a, map[*fakeClient][]string{c1: {"a", "b"}, c2: {"a", "b"}})
	})
}
