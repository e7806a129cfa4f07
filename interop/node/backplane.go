package main

import (
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

// newBackplane joins this node with others over Redis. It returns nil if there
// is no --redis.
func newBackplane(c *config) (interface {
	server.LifetimeManager
	io.Closer
}, error) {
	if c.redis == "" {
		return nil, nil
	}
	client := redis.NewClient(&redis.Options{Addr: c.redis})
	bp, err := backplane.New(client, &backplane.Options{HubName: "Interop.TestHub", ChannelPrefix: c.prefix})
	if err != nil {
		return nil, err
	}
	return closing{bp, client}, nil
}

// closing closes the Redis client with its backplane.
type closing struct {
	*backplane.Redis
	client *redis.Client
}

func (c closing) Close() error {
	err := c.Redis.Close()
	if e := c.client.Close(); err == nil {
		err = e
	}
	return err
}
