package backplane

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// peersGrace bounds how long sends that have waited for Redis wait for the
	// other nodes, too. ASP.NET Core nodes try to connect once a second.
	peersGrace = 1100 * time.Millisecond
	// peersPause is the time between two counts of the nodes.
	peersPause = 20 * time.Millisecond
	// countEvery is how often a pipeline of sends counts the nodes.
	countEvery = time.Second
)

// peers lets sends wait, after a loss of Redis, until as many nodes are
// subscribed as before it: a message that goes out earlier is lost to the
// others, though its send succeeded. Every node, ASP.NET Core's too, subscribes
// to the channel of group commands. Only the publisher's goroutine uses it,
// except for lost.
type peers struct {
	lost    atomic.Bool // since sends last waited for the others
	nodes   int64       // that were subscribed when last counted
	counted time.Time   // the last time
	until   time.Time   // when the present wait ends; zero if there is none
}

// awaitPeers waits until the other nodes are back, for peersGrace at most: some may
// have gone for good. It reports false if Redis was lost meanwhile, or the time
// of ctx is over.
func (r *Redis) awaitPeers(ctx context.Context) bool {
	p := &r.peers
	if lost := p.lost.Swap(false); r.cluster || !lost && p.until.IsZero() {
		return true // a node of a cluster counts only its own subscribers
	}
	if p.until.IsZero() {
		p.until = time.Now().Add(min(peersGrace, r.opts.PublishTimeout/2))
	}
	limited, cancel := context.WithDeadline(ctx, p.until)
	defer cancel()
	channel := r.channels.Groups()
	for {
		count, err := r.client.PubSubNumSub(limited, channel).Result()
		switch {
		case p.lost.Load():
			p.until = time.Time{}
			return false
		case err == nil && count[channel] >= p.nodes, !time.Now().Before(p.until):
			p.until = time.Time{}
			return true
		case ctx.Err() != nil:
			return false // the next send goes on with it
		}
		sleep(limited, peersPause)
	}
}

// count adds a count of the nodes to a pipeline, once in a while.
func (r *Redis) count(ctx context.Context, pipe redis.Pipeliner) (done func()) {
	now := time.Now()
	if r.cluster || now.Sub(r.peers.counted) < countEvery {
		return func() {}
	}
	channel := r.channels.Groups()
	cmd := pipe.PubSubNumSub(ctx, channel)
	return func() {
		if counts, err := cmd.Result(); err == nil && !r.peers.lost.Load() {
			r.peers.nodes, r.peers.counted = counts[channel], now
		}
	}
}
