package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
)

// A Drainer is what a Node drains: a *Hub or a *ConnectionHandler.
type Drainer interface {
	// Drain lets the clients leave, then shuts down; see Hub.Drain.
	Drain(ctx context.Context, opts DrainOptions) error
	// Draining reports whether Drain has been called: no new clients should come.
	Draining() bool
}

var (
	_ Drainer = (*Hub)(nil)
	_ Drainer = (*ConnectionHandler)(nil)
)

// A Node is the common main of a program that serves hubs: it serves until the
// process is told to end, then drains, so that users notice no restart. Its
// fields must not be changed after the first call of a method. Without Serve or
// ListenAndServe it is a pair of handlers for health checks.
type Node struct {
	// Server is the web server, with Addr and Handler. With a TLSConfig, which must
	// then have certificates, it serves TLS, by way of [TLSListener].
	Server *http.Server

	// Hubs are all hubs and raw endpoints that Server serves. They are drained at
	// the same time.
	Hubs []Drainer

	// Checks say why the node should be given no clients though it is not
	// draining, as backplane.Redis.Check does. They may be called concurrently and
	// must not wait. Think twice before a check of what all nodes share: without
	// Redis, each node still serves its own clients, and none would be ready.
	Checks []func() error

	// Drain says how clients are let go.
	Drain DrainOptions

	// Timeout is how long the node may take to end. What is left then is cut.
	// Kubernetes kills a pod after its terminationGracePeriodSeconds, which is 30:
	// let Timeout be shorter than that. Zero means 28 seconds, in which the defaults of
	// Drain have room; negative means no bound.
	Timeout time.Duration

	// Logger is told at Info that the node drains, and at Warn what was cut. Nil
	// means slog.Default().
	Logger *slog.Logger

	draining atomic.Bool
}

// ListenAndServe listens on Server.Addr and calls Serve.
func (n *Node) ListenAndServe(ctx context.Context) error {
	addr := n.Server.Addr
	if addr == "" {
		addr = ":http"
		if n.servesTLS() {
			addr = ":https"
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return n.Serve(ctx, l)
}

// Serve serves on l until ctx is done, or the process gets SIGTERM or an
// interrupt. Then it drains all Hubs, shuts Server down and returns nil, though
// clients may have had to be cut after Timeout: that is logged. A second signal
// ends the process at once. Where the server fails, the hubs are shut down
// without a drain, and Serve returns the error.
func (n *Node) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- n.serveOn(l) }()
	select {
	case err := <-failed:
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.drain(over) // its error is that they were cut
		return err
	case <-ctx.Done():
	}
	stop()
	n.end()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (n *Node) servesTLS() bool { return n.Server.TLSConfig != nil }

func (n *Node) serveOn(l net.Listener) error {
	if n.servesTLS() {
		return n.Server.ServeTLS(TLSListener(l), "", "")
	}
	return n.Server.Serve(l)
}

// end drains the hubs and shuts the server down.
func (n *Node) end() {
	log := rescue.Logger(n.Logger)
	timeout := n.Timeout
	switch {
	case timeout == 0:
		timeout = 28 * time.Second
	case timeout < 0:
		timeout = math.MaxInt64
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	log.Info("node drains", "hubs", len(n.Hubs))
	begin := time.Now()
	// The hubs first: http.Server does not know of WebSockets, and long polling
	// has to be served to the end.
	err := n.drain(ctx)
	if down := n.Server.Shutdown(ctx); down != nil {
		err = errors.Join(err, down, n.Server.Close())
	}
	after := time.Since(begin).Round(time.Millisecond)
	if err != nil {
		log.Warn("node has ended; what was left after its timeout was cut", "after", after, "error", err)
		return
	}
	log.Info("node has ended", "after", after)
}

func (n *Node) drain(ctx context.Context) error {
	n.draining.Store(true)
	errs := make([]error, len(n.Hubs))
	var wg sync.WaitGroup
	for i, hub := range n.Hubs {
		wg.Go(func() { errs[i] = hub.Drain(ctx, n.Drain) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Live returns a handler that answers 200 as long as the process serves requests
// at all. Liveness probes belong here: a node that is not Ready must not be
// killed for that.
func (n *Node) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { health(w, http.StatusOK, "ok") })
}

// Ready returns a handler that answers 200 while the node should be given new
// clients, and 503 with the reason from the beginning of a drain on, by Serve or
// of any of Hubs, or while one of Checks returns an error, whose text is shown.
// Readiness probes and the health checks of load balancers belong here.
func (n *Node) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if reason := n.notReady(); reason != "" {
			health(w, http.StatusServiceUnavailable, reason)
			return
		}
		health(w, http.StatusOK, "ready")
	})
}

// notReady says why no clients should come, or nothing.
func (n *Node) notReady() string {
	if n.draining.Load() {
		return "draining"
	}
	for _, hub := range n.Hubs {
		if hub.Draining() {
			return "draining"
		}
	}
	for _, check := range n.Checks {
		if err := guard(check); err != nil {
			return describe(err).text
		}
	}
	return ""
}

func health(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who asks is gone; no reply is needed
}
