package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
)

// hubName is the full name of the hub's class on ASP.NET Core nodes, which may
// share the Redis.
const hubName = "Interop.TestHub"

// readyTime is how long a node waits for Redis before it serves without.
const readyTime = time.Second

// A bus joins this node with others over Redis.
type bus struct {
	*backplane.Redis
	client *redis.Client
}

// openBus returns nil if there is no --redis.
func openBus(c *config) (*bus, error) {
	if c.redis == "" {
		return nil, nil
	}
	client := redis.NewClient(&redis.Options{Addr: c.redis})
	manager, err := backplane.New(client, &backplane.Options{HubName: hubName, ChannelPrefix: c.prefix, Logger: c.logger})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	if err := manager.Ready(ctx); err != nil {
		c.logger.Warn("serving without Redis for now", "error", err)
	}
	return &bus{manager, client}, nil
}

func (b *bus) close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.Redis.Close(), b.client.Close())
}
