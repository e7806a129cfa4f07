package backplane

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// fleetHub is the hub of the tests with several nodes.
type fleetHub struct{ node int }

func (h *fleetHub) Echo(text string) string { return text }

// Node is the node that has the connection.
func (h *fleetHub) Node() int { return h.node }

// Push sends numbers to the caller, on their own.
func (h *fleetHub) Push(call *server.Call, n int) error {
	for i := range n {
		if err := call.Clients().Caller().Send(call.Context(), "number", i); err != nil {
			return err
		}
	}
	return nil
}

// A way is how the nodes of a fleet pass requests on.
type way string

const (
	overRedis way = "over Redis"
	directly  way = "directly"

	// Not of onWays:
	mixed  way = "mixed"  // the first node has no URL
	misled way = "misled" // Options.AnyNode.NodeURL is that of every node
)

// onWays runs a test as on does, for each way.
func onWays(t *testing.T, f func(t *testing.T, s testRedis, w way)) {
	for _, w := range []way{overRedis, directly} {
		t.Run(string(w), func(t *testing.T) {
			on(t, func(t *testing.T, s testRedis) { f(t, s, w) })
		})
	}
}

// A testFleet is nodes behind a balancer that gives each request to the next one.
type testFleet struct {
	way   way
	nodes []*Redis
	hubs  []*server.Hub
	raw   map[string][]http.Handler // below these paths, on each node; all else is the hub's
	doors []*door                   // where nodes reach each other, if they do so directly

	introduced bool // a connection to nodes that are not its owner
	link       *memnet.Link
	turn       atomic.Int64
	pinned     atomic.Int64 // the node that gets all requests; -1: each in its turn
	kills      atomic.Int64 // so many polls are answered by a node that dies
}

// patient gives clients on a real Redis time for a busy machine.
var patient = server.EndpointOptions{DisconnectTimeout: 4 * time.Minute, TransportSendTimeout: 4 * time.Minute}

func newFleet(t *testing.T, s place, w way, count int, opts Options, endpoint server.EndpointOptions) *testFleet {
	t.Helper()
	f := &testFleet{way: w}
	f.pinned.Store(-1)
	if opts.AnyNode == nil {
		opts.AnyNode = &AnyNode{}
	}
	for i := range count {
		opts.ServerName = nodeName(i)
		r := node(t, s, f.withDoor(t, opts))
		if d := f.doors[i]; d != nil {
			d.open(r.NodeHandler())
		}
		hub := server.MustHub(&fleetHub{i}, &server.Options{
			LifetimeManager: r, Endpoint: endpoint, Logger: slog.New(slog.DiscardHandler), MaximumReceiveMessageSize: 4 << 20,
			ClientTimeoutInterval: 4 * time.Minute, HandshakeTimeout: 4 * time.Minute,
			Authenticate: func(r *http.Request) (server.User, error) {
				return server.User{ID: r.Header.Get("X-User")}, nil
			},
		})
		f.nodes, f.hubs = append(f.nodes, r), append(f.hubs, hub)
	}
	l := memnet.Listen()
	web := &http.Server{Handler: f}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = web.Serve(l) // ends with Close
	}()
	f.link = l.Link(nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for _, hub := range f.hubs {
			_ = hub.Shutdown(ctx)
		}
		_ = web.Close()
		<-done
	})
	ready(t, f.nodes...)
	for _, r := range f.nodes {
		knowsKey(t, r)
	}
	f.meet(t)
	all, direct := f.forwards()
	f.introduced = false
	t.Cleanup(func() {
		nowAll, nowDirect := f.forwards()
		if went := nowDirect > direct; went && w == overRedis || !went && f.introduced && nowAll > all {
			t.Errorf("of %d requests that were passed on, %d went directly", nowAll-all, nowDirect-direct)
		}
	})
	return f
}

// knowsKey waits until r can seal tokens.
func knowsKey(t *testing.T, r *Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func (f *testFleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := int(f.pinned.Load())
	if i < 0 {
		i = int(f.turn.Add(1)) % len(f.hubs)
	}
	if r.Method == http.MethodGet && f.kills.Load() > 0 {
		f.kills.Add(-1)
		w = deadWriter{w}
	}
	f.handler(i, r).ServeHTTP(w, r)
}

func (f *testFleet) handler(node int, r *http.Request) http.Handler {
	for path, handlers := range f.raw {
		if strings.HasPrefix(r.URL.Path, path+"/") {
			return http.StripPrefix(path, handlers[node])
		}
	}
	return f.hubs[node]
}

func (f *testFleet) options(transport string) hubclient.Options {
	return hubclient.Options{ConnOptions: hubclient.ConnOptions{
		URL: "http://hub.test/chat", Transport: transport,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return f.link.DialContext(ctx, network, addr)
		},
	}}
}

func (f *testFleet) dial(t *testing.T, o hubclient.Options) *hubclient.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := hubclient.Dial(ctx, o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(c.Abort)
	return c
}

// call calls a method and returns its result.
func call[T any](t *testing.T, c *hubclient.Client, method string, args ...any) (result T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Invoke(ctx, &result, method, args...); err != nil {
		t.Fatalf("%s: %v; the connection: %v", method, err, c.Err())
	}
	return result
}

func number(inv *protocol.Invocation) (n int, err error) {
	err = protocol.JSON{}.Unmarshal(inv.RawArguments[0], &n)
	return n, err
}
