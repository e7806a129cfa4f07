package backplane

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// gatherTime bounds how long sends that have waited for Redis wait for the
	// other nodes, too. ASP.NET Core nodes try to connect once a second.
	gatherTime = 1100 * time.Millisecond
	// gatherPause is the time between two looks at who is there.
	gatherPause = 20 * time.Millisecond
	// countEvery is how often a pipeline of sends counts the nodes.
	countEvery = time.Second
)

// A gathering lets sends wait, after a loss of Redis, until as many nodes hear
// the hub as before it: a message that goes out earlier is lost to the others,
// though its send was done. Every node, ASP.NET Core's too, hears the channel
// of group commands. Only the publisher uses it, but for lost.
type gathering struct {
	lost    atomic.Bool // since the last gathering
	nodes   int64       // heard the hub when last counted
	counted time.Time   // the last time
	until   time.Time   // the end of the present gathering; zero if there is none
}

// gather waits until the other nodes are back, for gatherTime at most: some may
// have gone for good. It reports false if Redis was lost meanwhile, or the time
// of ctx is over.
func (r *Redis) gather(ctx context.Context) bool {
	g := &r.gathering
	if lost := g.lost.Swap(false); r.cluster || !lost && g.until.IsZero() {
		return true // a node of a cluster counts only its own subscribers
	}
	if g.until.IsZero() {
		g.until = time.Now().Add(min(gatherTime, r.opts.PublishTimeout/2))
	}
	limited, cancel := context.WithDeadline(ctx, g.until)
	defer cancel()
	channel := r.channels.Groups()
	for {
		count, err := r.client.PubSubNumSub(limited, channel).Result()
		switch {
		case g.lost.Load():
			g.until = time.Time{}
			return false
		case err == nil && count[channel] >= g.nodes, !time.Now().Before(g.until):
			g.until = time.Time{}
			return true
		case ctx.Err() != nil:
			return false // the next send goes on with it
		}
		sleep(limited, gatherPause)
	}
}

// count adds a count of the nodes to a pipeline, once in a while.
func (r *Redis) count(ctx context.Context, pipe redis.Pipeliner) (done func()) {
	now := time.Now()
	if r.cluster || now.Sub(r.gathering.counted) < countEvery {
		return func() {}
	}
	channel := r.channels.Groups()
	cmd := pipe.PubSubNumSub(ctx, channel)
	return func() {
		if counts, err := cmd.Result(); err == nil && !r.gathering.lost.Load() {
			r.gathering.nodes, r.gathering.counted = counts[channel], now
		}
	}
}
