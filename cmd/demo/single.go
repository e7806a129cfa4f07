package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	bus    *backplane.Redis // nil without a Redis
	client *redis.Client
	main   *server.Node
}

// runSingle serves until ctx is done, and then drains. For notice it is not ready
// any more, and goes on, so that a load balancer notices before the clients are
// told to reconnect.
func runSingle(ctx context.Context, addr, redisURL string, notice time.Duration, out io.Writer) (err error) {
	s, err := newSingle(addr, redisURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Node: %s\n", s.url)
	return s.run(ctx, notice)
}

func (s *single) run(ctx context.Context, notice time.Duration) error {
	if notice <= 0 {
		notice = -1 // none
	}
	s.main.Drain.Notice = notice
	return errors.Join(s.main.Serve(ctx, s.l), s.closeBus())
}

func newSingle(addr, redisURL string) (*single, error) {
	s, m := &single{}, newMetrics()
	var manager server.LifetimeManager
	if redisURL != "" {
		opts, err := redis.ParseURL(redisURL)
		if err != nil {
			return nil, err
		}
		s.client = redis.NewClient(opts)
		s.bus, err = backplane.New(s.client, &backplane.Options{HubName: "Demo.PostHub", ChannelPrefix: "Demo:", Observer: m.bus, Logger: slog.Default()})
		if err != nil {
			return nil, err
		}
		manager = s.bus
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(err, s.closeBus())
	}
	s.node = newNode(l, m)
	s.addHub("", manager, nil)
	s.main = &server.Node{Server: s.web}
	for _, hub := range s.hubs {
		s.main.Hubs = append(s.main.Hubs, hub)
	}
	if s.bus != nil {
		s.main.Checks = append(s.main.Checks, s.bus.Check)
	}
	s.mux.Handle("GET /healthz", s.main.Live())
	s.mux.Handle("GET /readyz", s.main.Ready())
	page{Backplane: s.bus != nil, Panes: []pane{{Name: "Client A", Hub: "/hub"}, {Name: "Client B", Hub: "/hub"}}}.serve(s.node)
	return s, nil
}

func (s *single) closeBus() error {
	if s.bus == nil {
		return nil
	}
	return errors.Join(s.bus.Close(), s.client.Close())
}
