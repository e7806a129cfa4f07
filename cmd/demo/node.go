package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/blog"
	"github.com/hubwire/hubwire/server"
)

// A node is one server of the app: a hub, and the web server around it. A real
// app runs each node as a process of its own.
type node struct {
	url     string
	hubs    []*server.Hub
	metrics *metrics
	mux     *http.ServeMux
	web     *http.Server
	l       net.Listener
}

// listen makes a node on addr or, if that is taken, on a free port.
func listen(addr string) (*node, error) {
	l, err := net.Listen("tcp", addr)
	if host, _, splitErr := net.SplitHostPort(addr); err != nil && splitErr == nil {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, err
	}
	return newNode(l, newMetrics()), nil
}

func newNode(l net.Listener, m *metrics) *node {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler)
	return &node{metrics: m, url: "http://" + l.Addr().String(), l: l, mux: mux, web: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
}

// addHub serves a blog.PostHub at path/hub, and at path/api what publishes posts. The
// pages of all nodes may use it.
func (n *node) addHub(path string, manager server.LifetimeManager, pages []*node) {
	var origins []string
	for _, p := range pages {
		_, port, _ := net.SplitHostPort(p.l.Addr().String())
		origins = append(origins, p.url, "http://localhost:"+port)
	}
	hub := server.MustHub(blog.PostHub{}, &server.Options{
		LifetimeManager: manager,
		Observer:        n.metrics.hubs,
		// The Go client of the story never answers a close frame: do not wait long.
		Endpoint: server.EndpointOptions{AllowedOrigins: origins, CloseTimeout: 500 * time.Millisecond},
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	server.Mount(n.mux, path+"/hub", hub)
	n.mux.Handle("POST "+path+"/api/posts/{id}/publish", blog.Publish(hub))
	n.hubs = append(n.hubs, hub)
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
	errs = append(errs, n.web.Shutdown(ctx))
	_ = n.l.Close() // closed already, unless the node was never started
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
