package hubtest

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/server"
)

// patience is how long a client waits for what must come, unless Patience says
// otherwise, and how long a node waits for its connections to end.
const patience = 10 * time.Second

// settle is longer than the goroutines of a hub that write pause for, once all is
// written. Shutdown waits for them, but not every handler is a hub that is shut
// down; and where a bubble ends, its time does, and they could not end any more.
const settle = time.Millisecond

// baseURL is the address of every node: a link dials its node, whatever the address.
const baseURL = "http://hub.test"

// A Node serves a hub in memory. It is safe for concurrent use.
type Node struct {
	t testing.TB
	*network
}

// A network is a node for the clients of every test that uses it.
type network struct {
	hub      *server.Hub // nil: only its handler is known
	listener *memnet.Listener
	web      *http.Server
	serving  sync.WaitGroup
	requests requests
}

// New serves a hub as server.NewHub makes it from hub and opts, which may be
// nil. It differs from that in two things: clients can be given a user (see
// User), and where opts have no Logger, what the hub logs is shown with the
// test.
func New[H any](t testing.TB, hub H, opts *server.Options) *Node {
	t.Helper()
	own := server.Options{}
	if opts != nil {
		own = *opts
	}
	own.Authenticate = Authenticate(own.Authenticate)
	if own.Endpoint.Authenticate != nil {
		own.Endpoint.Authenticate = Authenticate(own.Endpoint.Authenticate)
	}
	if own.Logger == nil {
		own.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	h, err := server.NewHub(hub, &own)
	if err != nil {
		t.Fatalf("hubtest: %v", err)
	}
	return Serve(t, h)
}

// Serve serves h: a *server.Hub, as NewHubFunc makes one, which it shuts down at
// the end of the test, or any other http.Handler that has a hub somewhere; see
// At. A client can be given a User if Options.Authenticate of the hub is what
// Authenticate returns.
func Serve(t testing.TB, h http.Handler) *Node {
	t.Helper()
	n := &Node{t: t, network: &network{listener: memnet.Listen()}}
	n.hub, _ = h.(*server.Hub)
	n.web = &http.Server{
		Handler:     n.requests.counted(h),
		ErrorLog:    log.New(io.Discard, "", 0), // it would report connections that are cut
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return withPerson(ctx, memnet.LinkValue(c)) },
	}
	n.serving.Go(func() { _ = n.web.Serve(n.listener) }) // it ends when the listener is closed
	t.Cleanup(func() { n.close(t) })
	return n
}

// In returns the same node for the clients of another test, usually a subtest:
// they fail that one, and end with it.
func (n *Node) In(t testing.TB) *Node { return &Node{t, n.network} }

// Hub is the hub, for sends from outside any call. It is nil for a handler that
// is none.
func (n *Node) Hub() *server.Hub { return n.hub }

// URL is the address of the node for requests of HTTPClient.
func (n *Node) URL() string { return baseURL }

// HTTPClient returns a client for requests to the node that are not SignalR's,
// with the user and headers of opts.
func (n *Node) HTTPClient(opts ...Option) *http.Client {
	n.t.Helper()
	c := newConfig(n.t, opts)
	conns := &http.Transport{DialContext: n.listener.Link(&person{user: c.user}).DialContext}
	n.t.Cleanup(conns.CloseIdleConnections)
	return &http.Client{Transport: withHeader{conns, c.header}}
}

type withHeader struct {
	http.RoundTripper
	header http.Header
}

func (w withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range w.header {
		r.Header[name] = values
	}
	return w.RoundTripper.RoundTrip(r)
}

// close ends the node, whose clients have disconnected, and reports what has
// not ended.
func (n *network) close(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if n.hub != nil {
		if err := n.hub.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hubtest: the hub is not down after %v: a method, a stream or OnDisconnected has not returned", patience)
		} else if err != nil {
			t.Errorf("hubtest: Shutdown: %v", err)
		}
	}
	if err := n.web.Close(); err != nil {
		t.Errorf("hubtest: %v", err)
	}
	n.serving.Wait()
	if err := n.requests.wait(ctx); err != nil {
		t.Errorf("hubtest: a method or a middleware has not returned after %v, though its client is gone", patience)
	}
	if err := n.listener.WaitClosed(ctx); err != nil {
		t.Errorf("hubtest: %d connections are left that the server has not closed", n.listener.Open())
	}
	if n.hub == nil {
		time.Sleep(settle)
	}
}

// requests counts those that are being served; one that has become a WebSocket
// may call the hub's methods itself.
type requests struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // not nil: wait was called
}

func (r *requests) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.n++
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.n--; r.n == 0 && r.idle != nil {
				close(r.idle)
			}
		}()
		h.ServeHTTP(w, request)
	})
}

// wait waits for all of them. It is called once, when no more can come.
func (r *requests) wait(ctx context.Context) error {
	r.mu.Lock()
	if r.n == 0 {
		r.mu.Unlock()
		return nil
	}
	r.idle = make(chan struct{})
	r.mu.Unlock()
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A person is the user at the client's end of a link.
type person struct {
	mu    sync.Mutex
	user  *server.User // nil: only the hub's own authentication knows
	asked bool
}

type personKey struct{}

func withPerson(ctx context.Context, p any) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// ask returns the user, if there is one, and remembers that it was called.
func (p *person) ask() (user server.User, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	if p.user == nil {
		return server.User{}, false
	}
	return *p.user, true
}

func (p *person) wasAsked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Authenticate returns an Options.Authenticate that knows the users of clients
// made with User, and asks next about all others; a nil next means that they are
// anonymous. New puts it in front of what its options have.
func Authenticate(next func(*http.Request) (server.User, error)) func(*http.Request) (server.User, error) {
	return func(r *http.Request) (server.User, error) {
		if p, ok := r.Context().Value(personKey{}).(*person); ok {
			if user, known := p.ask(); known {
				return user, nil
			}
		}
		if next == nil {
			return server.User{}, nil
		}
		return next(r)
	}
}
