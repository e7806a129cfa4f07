package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
)

// hubName is the full name of the hub's class on ASP.NET Core nodes, which may
// share the Redis.
const hubName = "Interop.TestHub"

// redisWait is how long a node waits for Redis before it serves without, where no
// flag says so. A node of a fleet without the fleet's key refuses what others gave out.
const redisWait = time.Minute

// A bus joins this node with others over Redis.
type bus struct {
	*backplane.Redis
	client     *redis.Client
	deliveries *deliveries // nil without --stamps
	door       *door       // nil without --direct
}

// deliveries counts what has come over Redis with the time when it was sent. It is
// safe for concurrent use.
type deliveries struct{ own, other atomic.Int64 }

// delivered implements backplane.Observer.Delivered.
func (d *deliveries) delivered(_ *backplane.Redis, _ time.Duration, own bool) {
	if own {
		d.own.Add(1)
	} else {
		d.other.Add(1)
	}
}

// ServeHTTP answers with the counts.
func (d *deliveries) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// An error means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(map[string]int64{"own": d.own.Load(), "other": d.other.Load()})
}

// openBus returns nil if there is no --redis. It waits for Redis until ctx is done.
func openBus(ctx context.Context, c *config) (*bus, error) {
	if c.redis == "" {
		return nil, nil
	}
	client := redis.NewClient(&redis.Options{Addr: c.redis})
	opts := &backplane.Options{HubName: hubName, ChannelPrefix: c.prefix, Logger: c.logger}
	var counts *deliveries
	if c.stamps {
		counts = &deliveries{}
		opts.Observer = &backplane.Observer{Delivered: counts.delivered}
	}
	b := &bus{client: client, deliveries: counts}
	if c.nodes > 1 {
		opts.AnyNode = &backplane.AnyNode{}
	}
	if c.direct {
		var err error
		if b.door, err = listen(); err != nil {
			return nil, errors.Join(err, client.Close())
		}
		opts.AnyNode.NodeURL = b.door.url()
	}
	manager, err := backplane.New(client, opts)
	if err != nil {
		return nil, errors.Join(err, b.door.close(), client.Close())
	}
	b.Redis = manager
	if b.door != nil {
		b.door.serve(manager.NodeHandler(), c)
	}
	ctx, cancel := context.WithTimeout(ctx, c.redisWait)
	defer cancel()
	if err := manager.Ready(ctx); err != nil {
		c.logger.Warn("serving without Redis for now", "error", err)
	}
	return b, nil
}

func (b *bus) close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.Redis.Close(), b.door.close(), b.client.Close())
}
