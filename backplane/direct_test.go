package backplane

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/server"
)

const pingMessage = "{\"type\":6}\x1e"

// sends sends a ping to path through node and wants it to be passed on, directly or not.
func (f *testFleet) sends(t *testing.T, node int, path string, direct bool) {
	t.Helper()
	defer f.pinned.Store(f.pinned.Swap(int64(node)))
	before := f.nodes[node].Stats()
	if status, body := f.ask(t, "POST", path, "alice", pingMessage); status != 200 {
		t.Errorf("a send through node %d: %d %q", node, status, body)
	}
	after := f.nodes[node].Stats()
	if after.Forwarded != before.Forwarded+1 || (after.ForwardedDirectly > before.ForwardedDirectly) != direct {
		t.Errorf("a send through node %d: before %+v, after %+v, want directly %v", node, before, after, direct)
	}
}

func TestNodesWithAndWithoutURLsMix(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, mixed, 3, Options{}, server.EndpointOptions{})
		for owner := range f.nodes {
			path := f.pollOn(t, int64(owner), "alice")
			for asker := range f.nodes {
				if asker != owner {
					f.sends(t, asker, path, owner != 0)
				}
			}
			served := f.nodes[owner].Stats().ServedForOthers
			if served < 2 {
				t.Errorf("node %d has served %d", owner, served)
			}
			f.pinned.Store(int64(owner))
			if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
				t.Errorf("the end: %d", status)
			}
		}
	})
}

// The first request of a connection goes over Redis, and the others directly.
func TestTheOwnerTellsItsURL(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, directly, 2, Options{}, server.EndpointOptions{})
		f.way = misled // nobody is introduced
		path := f.pollOn(t, 0, "alice")
		f.way = directly
		f.sends(t, 1, path, false)
		for range 10 {
			f.sends(t, 1, path, true)
		}
		f.pinned.Store(1)
		if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Errorf("the end: %d", status)
		}
	})
}

func TestAURLThatIsWrongCostsNothingButTheWayOverRedis(t *testing.T) {
	for name, url := range map[string]string{
		"of another node": nodeURL(1), "of nobody": "http://nobody.test/hubwire", "of another handler": nodeURL(0) + "/elsewhere",
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(t *testing.T, s testRedis) {
				f := newFleet(t, s, misled, 3, Options{AnyNode: &AnyNode{NodeURL: url}}, server.EndpointOptions{})
				f.doors[0].set(http.NotFoundHandler())
				path := f.pollOn(t, 0, "alice")
				for range 5 {
					f.sends(t, 2, path, false)
				}
			})
		})
	}
}

func TestVersion0GoesToAnyNode(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{})
		f.pinned.Store(0)
		status, body := f.ask(t, "POST", "/chat/negotiate", "alice", "")
		_, rest, _ := strings.Cut(body, `"connectionId":"`)
		token, _, ok := strings.Cut(rest, `"`)
		if status != 200 || !ok {
			t.Fatalf("negotiate: %d %s", status, body)
		}
		path := f.begin(t, token, "alice")
		f.pinned.Store(1)
		if status, body := f.ask(t, "POST", path, "alice", echo(1, "old")); status != 200 {
			t.Fatalf("a send: %d %q", status, body)
		}
		if status, body := f.ask(t, "GET", path, "alice", ""); status != 200 || !strings.Contains(body, "old") {
			t.Errorf("a poll: %d %q", status, body)
		}
		if status, _ := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Errorf("the end: %d", status)
		}
	})
}

func TestARefreshGoesToAnyNode(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		refreshed := make(chan string, 10)
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{
			EnableAuthenticationRefresh: true,
			OnAuthenticationRefresh: func(_ context.Context, r server.AuthenticationRefresh) (bool, error) {
				refreshed <- r.NewUser.ID
				return true, nil
			},
		})
		path := f.pollOn(t, 0, "alice")
		refresh := strings.Replace(path, "/chat", "/chat/refresh", 1)
		f.pinned.Store(1)
		if status, body := f.ask(t, "POST", refresh, "alice", ""); status != 200 {
			t.Fatalf("a refresh: %d %q", status, body)
		}
		if user := <-refreshed; user != "alice" {
			t.Errorf("the owner was asked about %q", user)
		}
		if status, body := f.ask(t, "POST", refresh, "bob", ""); status != 403 {
			t.Errorf("a refresh of another user: %d %q", status, body)
		}
	})
}

func TestBodiesOfAnySizeGoToAnyNode(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{})
		path := f.pollOn(t, 0, "alice")
		f.pinned.Store(1)
		for i, size := range []int{0, 1, 64<<10 - 100, 64 << 10, 3 << 20} {
			if status, body := f.ask(t, "POST", path, "alice", echo(i, strings.Repeat("x", size))); status != 200 {
				t.Fatalf("a send of %d bytes: %d %q", size, status, body)
			}
			got := ""
			for !strings.Contains(got, `"result":`) { // pings come between
				status, body := f.ask(t, "GET", path, "alice", "")
				if status != 200 {
					t.Fatalf("a poll after %d bytes: %d", size, status)
				}
				got += body
			}
			if n := strings.Count(got, "x"); n != size {
				t.Errorf("%d of %d bytes have come back", n, size)
			}
		}
	})
}

// What becomes of a poll that another node has passed on when one of the two ends.
func TestAPollEndsWithEitherNode(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, f *testFleet)
		want map[int]bool
	}{
		"the owner's hub": {func(t *testing.T, f *testFleet) { _ = f.hubs[0].Shutdown(t.Context()) }, map[int]bool{200: true, 204: true}},
		"the owner":       {func(_ *testing.T, f *testFleet) { _ = f.nodes[0].Close() }, map[int]bool{503: true}},
		"the asker":       {func(_ *testing.T, f *testFleet) { _ = f.nodes[1].Close() }, map[int]bool{503: true}},
	} {
		t.Run(name, func(t *testing.T) {
			onWays(t, func(t *testing.T, s testRedis, w way) {
				f := newFleet(t, s, w, 2, Options{}, server.EndpointOptions{})
				path := f.pollOn(t, 0, "alice")
				f.pinned.Store(1)
				served := f.nodes[0].Stats().ServedForOthers
				status := make(chan int, 1)
				go func() {
					got, _ := f.ask(t, "GET", path, "alice", "")
					status <- got
				}()
				for end := time.Now().Add(time.Minute); f.nodes[0].Stats().ServedForOthers == served; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("the poll has not come to its owner")
					}
				}
				began := time.Now()
				test.end(t, f)
				if got := <-status; !test.want[got] {
					t.Errorf("the poll is answered %d, want one of %v", got, test.want)
				}
				if _, fake := s.(*memoryRedis); fake && time.Since(began) > 5*time.Second {
					t.Errorf("after %v", time.Since(began))
				}
			})
		})
	}
}

func TestStrangersGetNothingAtANodesURL(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 1, Options{}, server.EndpointOptions{})
		plain := node(t, s, Options{})
		for name, test := range map[string]struct {
			node *Redis
			want int
		}{"with AnyNode": {f.nodes[0], 403}, "without": {plain, 404}} {
			for _, method := range []string{"GET", "POST", "CONNECT", "OPTIONS"} {
				w := httptest.NewRecorder()
				test.node.NodeHandler().ServeHTTP(w, httptest.NewRequest(method, "http://node.test/hubwire", strings.NewReader("x")))
				if w.Code != test.want {
					t.Errorf("%s, %s: %d", name, method, w.Code)
				}
			}
		}
	})
}

func TestNodeURLsThatCannotWorkAreRefused(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	for _, url := range []string{
		"node1:8080", "node1", "//node1/x", "ftp://node1/", "http://", "http:///x", "http://a:b@node1/", "http://node1/#x", "http://%zz/", "http://node1/" + strings.Repeat("x", 2000),
	} {
		r, err := New(client, &Options{HubName: "App.Hub", AnyNode: &AnyNode{NodeURL: url}})
		if err == nil || !strings.Contains(err.Error(), "NodeURL") || strings.Contains(err.Error(), "a:b@") {
			t.Errorf("New with %q: %v", url, err)
		}
		if r != nil {
			_ = r.Close()
		}
	}
}
