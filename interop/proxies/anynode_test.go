package proxies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/interop/internal/refusals"
	"github.com/hubwire/hubwire/server"
)

// chat is the hub of the nodes that serve any request.
type chat struct{}

func (chat) Transport(call *server.Call) string { return call.Transport().String() }
func (chat) Echo(n int) int                     { return n }

// Push sends the caller n messages.
func (chat) Push(call *server.Call, n int) error {
	for i := range n {
		if err := call.Clients().Caller().Send(call.Context(), "Pushed", i); err != nil {
			return err
		}
	}
	return nil
}

func (chat) Count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

func (chat) Sum(numbers <-chan int) (sum int) {
	for n := range numbers {
		sum += n
	}
	return sum
}

// allOfChat is what anynode.mjs prints behind the transport where nothing is lost.
const allOfChat = " 0,1,2,3,4,5,6,7,8,9 0,1,2,3,4,0,1,2,3,4 0,1,2,3,4,5,6,7,8,9 45"

// A node counts the requests that it gets.
type node struct {
	url               string
	requests, refused atomic.Int64 // refused: answered 503
}

// startNodes starts nodes on one Redis.
func startNodes(t *testing.T, count int, opts backplane.Options) (all []*node) {
	t.Helper()
	addr := harness.Redis(t)
	opts.HubName, opts.Logger = "Interop.Chat", slog.New(slog.DiscardHandler)
	for range count {
		client := redis.NewClient(&redis.Options{Addr: addr})
		bus, err := backplane.New(client, &opts)
		if err != nil {
			t.Fatal(err)
		}
		hub, n := server.MustHub(chat{}, &server.Options{LifetimeManager: bus, Logger: opts.Logger}), &node{}
		answer := refusals.Handler(hub, func() { n.refused.Add(1) })
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.requests.Add(1)
			answer.ServeHTTP(w, r)
		}))
		n.url = web.URL
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := hub.Shutdown(ctx)
			web.Close()
			if err := errors.Join(err, bus.Close(), client.Close()); err != nil {
				t.Errorf("the end of a node: %v", err)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := bus.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// TestClientsGetThroughProxiesWithoutStickySessions has nginx and haproxy as
// docs/fleet.md shows them, which give each request to the next of three nodes. Without
// AnyNode no client gets through them.
func TestClientsGetThroughProxiesWithoutStickySessions(t *testing.T) {
	modules := harness.Modules(t, ".")
	for _, tool := range []string{"nginx", "haproxy"} {
		for _, test := range []struct {
			name string
			opts backplane.Options
		}{
			{"any node", backplane.Options{AnyNode: &backplane.AnyNode{}}},
			{"the node of the connection only", backplane.Options{}},
		} {
			t.Run(tool+", "+test.name, func(t *testing.T) {
				t.Parallel()
				nodes := startNodes(t, 3, test.opts)
				refused := func() (sum int) {
					for _, n := range nodes {
						sum += int(n.refused.Load())
					}
					return sum
				}
				url := harness.PageProxy(t, "fleet.md", "## Behind nginx and haproxy", tool, []string{nodes[0].url, nodes[1].url, nodes[2].url})
				for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
					before := [3]int64{}
					for i, n := range nodes {
						before[i] = n.requests.Load()
					}
					var got string
					var err error
					play := func() (failed string) {
						var out []byte
						out, err = harness.Run(t, harness.Script(t, modules, "anynode.mjs", url, transport), callTime)
						if got = strings.TrimSpace(string(out)); err != nil || got != transport+allOfChat {
							failed = fmt.Sprintf("%s: %q, %v", transport, got, err)
						}
						return failed
					}
					if test.opts.AnyNode == nil {
						play()
					} else {
						harness.Again(t, refused, play)
					}
					switch {
					case err != nil:
						t.Errorf("%s: %v", transport, err)
					case test.opts.AnyNode == nil:
						why := "If you have multiple servers check that sticky sessions are enabled."
						if transport == "LongPolling" {
							why = "Status code '404'"
						}
						if !strings.HasPrefix(got, "failed ") || !strings.Contains(got, why) {
							t.Errorf("%s: the client is not refused: %q", transport, got)
						}
					case got != transport+allOfChat:
						t.Errorf("%s: %q, want %q", transport, got, transport+allOfChat)
					}
					if test.opts.AnyNode == nil || transport == "WebSockets" { // that is two requests
						continue
					}
					for i, n := range nodes {
						if n.requests.Load() == before[i] {
							t.Errorf("%s: node %d has got no request", transport, i)
						}
					}
				}
			})
		}
	}
}
