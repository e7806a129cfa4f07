package backplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/server"
)

// A rawEndpoint sends back what comes, on all nodes of a testFleet, until that ends
// with "bye".
type rawEndpoint struct {
	ended chan error // of a handler: what Read has returned, or nil
}

// withRaw serves a raw endpoint below path. Its handlers see the rest of the path.
func (f *testFleet) withRaw(t *testing.T, path, name string, endpoint server.EndpointOptions) *rawEndpoint {
	t.Helper()
	e := &rawEndpoint{ended: make(chan error, 100)}
	var handlers []http.Handler
	for _, r := range f.nodes {
		handlers = append(handlers, e.on(t, r.Nodes(name), endpoint))
	}
	if f.raw == nil {
		f.raw = map[string][]http.Handler{}
	}
	f.raw[path] = handlers
	return e
}

// on is e on one node.
func (e *rawEndpoint) on(t *testing.T, nodes server.Nodes, endpoint server.EndpointOptions) *server.ConnectionHandler {
	h := server.NewConnectionHandler(e.serve, &server.ConnectionOptions{
		Endpoint: endpoint, Nodes: nodes, Logger: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (server.User, error) {
			return server.User{ID: r.Header.Get("X-User")}, nil
		},
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = h.Shutdown(ctx)
	})
	return h
}

func (e *rawEndpoint) serve(c *server.Connection) (err error) {
	defer func() { e.ended <- err }()
	c.SetBinary(c.Request().URL.Query().Has("binary"))
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return err
		}
		if bytes.HasSuffix(buf[:n], []byte("bye")) {
			return nil
		}
	}
}

// echoes wants p to come back.
func echoes(t *testing.T, c *hubclient.Conn, p []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- c.Write(p) }() // it waits while nobody reads the answer
	var got []byte
	for len(got) < len(p) {
		more, err := c.Read()
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", len(got), len(p), err)
		}
		got = append(got, more...)
	}
	succeed(t, <-sent)
	if !bytes.Equal(got, p) {
		t.Fatalf("the echo of %d bytes is another one", len(p))
	}
}

func (f *testFleet) openRaw(t *testing.T, transport, query string) *hubclient.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o := f.options(transport).ConnOptions
	o.URL, o.Binary = "http://hub.test/raw/echo"+query, query != ""
	c, err := hubclient.Open(ctx, o)
	succeed(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAnyNodeServesAnyRequestOfARawEndpoint(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			onWays(t, func(t *testing.T, s testRedis, w way) {
				f := newFleet(t, s, w, 3, Options{}, patient)
				e := f.withRaw(t, "/raw", "echo", patient)
				all, direct := f.forwards()
				queries := []string{"", "?binary=1"}
				if transport == hubclient.ServerSentEvents { // text only
					queries = queries[:1]
				}
				for _, query := range queries {
					c := f.openRaw(t, transport, query)
					for i := range 10 {
						echoes(t, c, []byte(strings.Repeat("text ", 1+i)))
					}
					for _, size := range []int{64 << 10, 200_000} {
						p := bytes.Repeat([]byte("x"), size)
						for i := range p {
							if query != "" {
								p[i] = byte(i)
							}
						}
						echoes(t, c, p)
					}
					echoes(t, c, []byte("good bye"))
					if more, err := c.Read(); !errors.Is(err, io.EOF) {
						t.Errorf("after the handler has returned: %q, %v", more, err)
					}
					succeed(t, <-e.ended)
				}
				c := f.openRaw(t, transport, "")
				echoes(t, c, []byte("text"))
				if transport == hubclient.ServerSentEvents { // its client goes without a word
					succeed(t, c.Close())
				} else {
					succeed(t, c.Farewell())
				}
				if err := <-e.ended; !errors.Is(err, io.EOF) {
					t.Errorf("the handler has read %v after the client has left", err)
				}
				nowAll, nowDirect := f.forwards()
				if passed := nowAll > all; passed == (transport == hubclient.WebSockets) {
					t.Errorf("%d requests were passed on", nowAll-all)
				}
				if went := nowDirect > direct; went != (w == directly && transport != hubclient.WebSockets) {
					t.Errorf("%d requests were passed on directly", nowDirect-direct)
				}
			})
		})
	}
}

func TestARawEndpointAnswersOnAnyNodeAsOnItsOwn(t *testing.T) {
	onWays(t, func(t *testing.T, s testRedis, w way) {
		f := newFleet(t, s, w, 2, Options{}, patient)
		endpoint := server.EndpointOptions{DisconnectTimeout: 4 * time.Minute, MaximumPostSize: 1000, EnableAuthenticationRefresh: true}
		f.withRaw(t, "/raw", "echo", endpoint)
		alone := &rawEndpoint{ended: make(chan error, 100)}
		f.raw["/alone"] = []http.Handler{alone.on(t, nil, endpoint)}
		begin := func(path string) (token string) {
			f.pinned.Store(0)
			token = negotiateAs(t, f.raw[path][0], "/echo", "?negotiateVersion=1", "alice").token
			if got := f.name(t, "poll", path+"/echo", token, "alice"); got.status != 200 {
				t.Fatalf("the first poll: %+v", got)
			}
			return token
		}
		ours, lone := begin("/raw"), begin("/alone")
		type request struct{ method, user, body string }
		for _, r := range []request{
			{"POST", "alice", "text"}, {"GET", "alice", ""}, {"POST", "bob", "text"}, {"GET", "bob", ""}, {"DELETE", "bob", ""},
			{"POST", "alice", strings.Repeat("x", 1001)}, {"PUT", "alice", "text"}, {"OPTIONS", "alice", ""}, {"DELETE", "alice", ""},
		} {
			f.pinned.Store(0)
			status, text := f.ask(t, r.method, "/alone/echo?id="+lone, r.user, r.body)
			if status == 0 {
				t.Fatalf("%+v: %s", r, text)
			}
			f.pinned.Store(1)
			if gotStatus, got := f.ask(t, r.method, "/raw/echo?id="+ours, r.user, r.body); gotStatus != status || got != text {
				t.Errorf("%+v: %d %q, and alone %d %q", r, gotStatus, got, status, text)
			}
		}
		const unknown = "No Connection with that ID"
		eventually(t, "the connection is there until its handler is done", func() error {
			if status, text := f.ask(t, "POST", "/raw/echo?id="+ours, "alice", "text"); status != 404 || text != unknown {
				return fmt.Errorf("%d %q", status, text)
			}
			return nil
		})
		for _, method := range []string{"GET", "DELETE"} {
			if status, text := f.ask(t, method, "/raw/echo?id="+ours, "alice", ""); status != 404 || text != unknown {
				t.Errorf("%s after the end: %d %q", method, status, text)
			}
		}
		ours, lone = begin("/raw"), begin("/alone")
		for _, way := range []string{"refresh", "send", "event stream"} {
			for _, user := range []string{"alice", "bob"} {
				f.pinned.Store(0)
				want := f.name(t, way, "/alone/echo", lone, user)
				f.pinned.Store(1)
				if got := f.name(t, way, "/raw/echo", ours, user); got != want {
					t.Errorf("%s of %s: %+v, and alone %+v", way, user, got, want)
				}
			}
		}
	})
}

func TestATokenOfARawEndpointIsWorthNothingElsewhere(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		f := newFleet(t, s, overRedis, 2, Options{}, everything)
		f.withRaw(t, "/first", "first", everything)
		f.withRaw(t, "/second", "second", everything)
		unknown := f.unknown(t)
		routes := map[string]http.Handler{"/chat": f.hubs[0], "/first/chat": f.raw["/first"][0], "/second/chat": f.raw["/second"][0]}
		for name, query := range negotiations {
			for from, h := range routes {
				right := negotiateAs(t, h, "/chat", query, "alice")
				for at := range routes { // all of them see the route /chat
					if at != from {
						f.refusesAt(t, unknown, at, name+" of "+from, right.token, "alice")
					}
				}
				f.acceptsAt(t, from, name+" of "+from, right.token, "alice")
				if from != "/chat" {
					other := negotiateAs(t, h, "/other", query, "alice")
					f.refusesAt(t, unknown, from, name+" of another route of "+from, other.token, "alice")
				}
			}
		}
		empty(t, f.hubs...)
	})
}

func TestWithoutAnyNodeARawEndpointHasNoNodes(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		if nodes := node(t, s, Options{}).Nodes("echo"); nodes != nil {
			t.Errorf("Nodes = %v", nodes)
		}
	})
}
