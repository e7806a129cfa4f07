package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/cmd/demo/blog"
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
	return errors.Join(s.main.Serve(ctx, s.l), s.close())
}

func newSingle(addr, redisURL string) (_ *single, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "node"
	}
	s := &single{node: newNode(name, l)}
	if err := s.addBlog(redisURL); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.main = &server.Node{Server: s.web}
	for _, hub := range s.hubs {
		s.main.Hubs = append(s.main.Hubs, hub)
	}
	if s.bus != nil {
		s.main.Checks = append(s.main.Checks, s.bus.Check)
	}
	s.mux.Handle("GET /healthz", s.main.Live())
	s.mux.Handle("GET /readyz", s.main.Ready())
	addPage(s.node, func() page {
		return page{
			Backplane: s.bus != nil, Here: name, Nodes: []pageNode{{Name: name, Running: true}},
			Panes: []pane{{"A", "Ada", 0, ""}, {"B", "Grace", 0, ""}},
		}
	})
	return s, nil
}

// addBlog adds the hub, joined with those of other nodes if there is a Redis.
func (s *single) addBlog(redisURL string) error {
	if redisURL == "" {
		s.addHub("", nil, blog.NewPeople(), nil)
		return nil
	}
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		return err
	}
	client := redis.NewClient(opts)
	bus, err := backplane.New(client, &backplane.Options{HubName: "Demo.PostHub", ChannelPrefix: "Demo:", Observer: s.metrics.bus, Logger: slog.Default()})
	if err != nil {
		return errors.Join(err, client.Close())
	}
	s.client, s.bus = client, bus
	s.addHub("", bus, newSharedPeople(client, "Demo:people"), nil)
	return nil
}

// close ends what the hub needed, after it.
func (s *single) close() error {
	err := s.closeParts()
	if s.client != nil {
		err = errors.Join(err, s.client.Close())
	}
	return err
}
