package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

// A single is one node of the app in a process of its own, as a container runs
// it. GET /healthz says that the process lives, GET /readyz that it may be given
// clients: its backplane is subscribed, and it is not about to end.
type single struct {
	*node
	bus      *backplane.Redis // nil without a Redis
	client   *redis.Client
	draining atomic.Bool
}

// runSingle serves until ctx is done. Then it is not ready any more, and waits
// for drain, so that a load balancer notices before the clients are told to
// reconnect.
func runSingle(ctx context.Context, addr, redisURL string, drain time.Duration, out io.Writer) (err error) {
	s, err := newSingle(addr, redisURL)
	if err != nil {
		return err
	}
	s.start()
	fmt.Fprintf(out, "Node: %s\n", s.url)
	<-ctx.Done()
	s.draining.Store(true)
	time.Sleep(drain)
	return s.end()
}

func newSingle(addr, redisURL string) (*single, error) {
	s := &single{}
	var manager server.LifetimeManager
	if redisURL != "" {
		opts, err := redis.ParseURL(redisURL)
		if err != nil {
			return nil, err
		}
		s.client = redis.NewClient(opts)
		s.bus, err = backplane.New(s.client, &backplane.Options{HubName: "Demo.PostHub", ChannelPrefix: "Demo:", Logger: slog.Default()})
		if err != nil {
			return nil, err
		}
		manager = s.bus
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(err, s.closeBus())
	}
	s.node = newNode(l)
	s.addHub("", manager, nil)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	page{Backplane: s.bus != nil, Panes: []pane{{Name: "Client A", Hub: "/hub"}, {Name: "Client B", Hub: "/hub"}}}.serve(s.node)
	return s, nil
}

func (s *single) ready(w http.ResponseWriter, _ *http.Request) {
	state := backplane.Ready
	if s.bus != nil {
		state = s.bus.Health().State
	}
	switch {
	case s.draining.Load():
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case state != backplane.Ready:
		http.Error(w, state.String(), http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, state)
	}
}

// end tells the clients that they may reconnect elsewhere, and stops.
func (s *single) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.stop(ctx), s.closeBus())
}

func (s *single) closeBus() error {
	if s.bus == nil {
		return nil
	}
	return errors.Join(s.bus.Close(), s.client.Close())
}
