package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/blog"
	"github.com/hubwire/hubwire/server"
)

// requestTime is how long the requests of a node may take that stops, once its hubs
// have stopped.
const requestTime = time.Second

// A node is one server of the app: a hub, and the web server around it. A real
// app runs each node as a process of its own. A node that has stopped is not used
// again: a new one at the same address takes its place.
type node struct {
	name, url string
	hubs      []*server.Hub
	metrics   *metrics
	closers   []io.Closer // what the hubs need, closed after them
	mux       *http.ServeMux
	web       *http.Server
	l         net.Listener
}

// listen makes a node on addr or, if that is taken, on a free port, and says so
// on the screen.
func listen(name, addr string, screen *screen) (*node, error) {
	l, err := net.Listen("tcp", addr)
	if host, _, splitErr := net.SplitHostPort(addr); err != nil && splitErr == nil {
		first := err
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return nil, first
		}
		screen.printf("%s cannot be used (%v): %s takes %s instead", addr, errors.Unwrap(first), name, l.Addr())
	}
	if err != nil {
		return nil, err
	}
	return newNode(name, l), nil
}

func newNode(name string, l net.Listener) *node {
	mux, measured := http.NewServeMux(), newMetrics()
	mux.Handle("GET /metrics", measured.handler)
	return &node{name: name, metrics: measured, url: "http://" + l.Addr().String(), l: l, mux: mux, web: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
}

// origins are those of the pages of nodes, which may use each other's hubs.
func origins(nodes ...*node) []string {
	var all []string
	for _, n := range nodes {
		_, port, _ := net.SplitHostPort(n.l.Addr().String())
		all = append(all, n.url, "http://localhost:"+port)
	}
	return all
}

// addHub serves a blog.PostHub at path/hub, and at path/api what publishes posts.
// Pages of these origins may use it. The node closes manager and people, where
// that can be done, after the hub.
func (n *node) addHub(path string, manager server.LifetimeManager, people blog.People, origins []string) {
	hub := server.MustHub(blog.New(n.name, people), &server.Options{
		LifetimeManager: manager,
		Observer:        n.metrics.hubs,
		// The Go client of the story never answers a close frame: do not wait long.
		Endpoint: server.EndpointOptions{AllowedOrigins: origins, CloseTimeout: 500 * time.Millisecond},
		Logger:   slog.New(slog.DiscardHandler),
	})
	server.Mount(n.mux, path+"/hub", hub)
	n.mux.Handle("POST "+path+"/api/posts/{id}/publish", forPages(origins, blog.Publish(hub)))
	n.hubs = append(n.hubs, hub)
	for _, part := range []any{manager, people} {
		if c, ok := part.(io.Closer); ok {
			n.closers = append(n.closers, c)
		}
	}
}

// forPages lets pages of these origins call h, and pages of no other but the
// node's own. Whatever is no browser may call it.
func forPages(origins []string, h http.Handler) http.Handler {
	check := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := check.AddTrustedOrigin(o); err != nil {
			panic(fmt.Sprintf("demo: origin %s: %v", o, err)) // made of an address that we listen on
		}
	}
	return check.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" { // of a page that may
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Vary", "Origin")
		}
		h.ServeHTTP(w, r)
	}))
}

// start begins to serve.
func (n *node) start() {
	go n.web.Serve(n.l) // ends with stop
}

// stop ends the connections of all clients, and the web server.
func (n *node) stop(ctx context.Context) error {
	var errs []error
	for _, hub := range n.hubs {
		errs = append(errs, hub.Shutdown(ctx))
	}
	// A connection that a browser has opened in advance, and not used yet, would
	// keep Shutdown for five seconds. A client that still waits is cut off.
	short, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if n.web.Shutdown(short) != nil {
		errs = append(errs, n.web.Close())
	}
	_ = n.l.Close() // closed already, unless the node was never started
	return errors.Join(append(errs, n.closeParts())...)
}

// closeParts closes what the hubs needed.
func (n *node) closeParts() error {
	var errs []error
	for _, c := range n.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// publish publishes a post as any HTTP client would.
func (n *node) publish(ctx context.Context, path string, id int, screen *screen) error {
	url := n.url + path + "/api/posts/" + strconv.Itoa(id) + "/publish"
	screen.printf("\nPOST %s", url)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return errors.New(answer.Status)
	}
	return nil
}
