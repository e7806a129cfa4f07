package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/cmd/demo/blog"
	"github.com/hubwire/hubwire/server"
)

// A bus is the Redis between the nodes. A nil *bus is none: each node is alone.
type bus struct {
	name   string
	client *redis.Client
	inside *miniredis.Miniredis // nil for a real Redis
}

// openBus connects to a Redis, or starts one inside this program if url is
// empty.
func openBus(url string) (*bus, error) {
	b := &bus{name: url}
	if url == "" {
		inside, err := miniredis.Run()
		if err != nil {
			return nil, err
		}
		b.inside, b.name, url = inside, "inside this program (miniredis)", "redis://"+inside.Addr()
	}
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.client = redis.NewClient(opts)
	if err := b.client.Ping(context.Background()).Err(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// manager returns what carries the messages of one hub of one node, which closes
// it. The prefix keeps apps apart that share a Redis.
func (b *bus) manager(prefix string, measured *metrics) (server.LifetimeManager, error) {
	if b == nil {
		return nil, nil
	}
	m, err := backplane.New(b.client, &backplane.Options{
		HubName:       "Demo.PostHub",
		ChannelPrefix: prefix,
		AnyNode:       &backplane.AnyNode{}, // each node serves any request of a connection: see balancer.go
		Observer:      measured.bus,
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storyTime)
	defer cancel()
	if err := m.Ready(ctx); err != nil { // a node that is not subscribed yet should not be given clients
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// people returns a register of who is here, for one hub of one node, which closes
// it.
func (b *bus) people(prefix string) blog.People {
	if b == nil {
		return blog.NewPeople()
	}
	return newSharedPeople(b.client, prefix+"people")
}

// String says which Redis it is.
func (b *bus) String() string {
	if b == nil {
		return "none"
	}
	return b.name
}

func (b *bus) close() error {
	if b == nil {
		return nil
	}
	var errs []error
	if b.client != nil {
		errs = append(errs, b.client.Close())
	}
	if b.inside != nil {
		b.inside.Close()
	}
	return errors.Join(errs...)
}
