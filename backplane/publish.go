package backplane

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of publishing. When the queue is full senders wait, for PublishTimeout
// at most.
const (
	publishQueue = 1024
	publishBatch = 128
)

// A publish is a PUBLISH on its way.
type publish struct {
	channel string
	payload []byte
	until   time.Time
	done    chan struct{}
	count   int64 // of subscribers
	err     error
}

func (r *Redis) enqueue(channel string, payload []byte) *publish {
	p := &publish{channel: channel, payload: payload, until: time.Now().Add(max(r.opts.PublishTimeout, 0)), done: make(chan struct{})}
	timeout := time.NewTimer(max(r.opts.PublishTimeout, 0))
	defer timeout.Stop()
	select {
	case r.publishes <- p:
		return p
	default:
	}
	select {
	case r.publishes <- p:
	case <-timeout.C:
		p.finish(0, ErrUnavailable)
	case <-r.ctx.Done():
		p.finish(0, ErrClosed)
	}
	return p
}

func (p *publish) finish(count int64, err error) {
	p.count, p.err = count, err
	close(p.done)
}

// published waits until p was answered.
func (r *Redis) published(ctx context.Context, p *publish) (int64, error) {
	select {
	case <-p.done:
		return p.count, p.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-r.ctx.Done():
		return 0, ErrClosed
	}
}

// publishAll publishes in the order of the calls. What waits together goes out
// in one pipeline. Nothing goes out while this node is not subscribed: its own
// clients would miss it.
func (r *Redis) publishAll() {
	batch := make([]*publish, 0, publishBatch)
	for {
		batch = batch[:0]
		select {
		case p := <-r.publishes:
			batch = append(batch, p)
		case <-r.ctx.Done():
			return
		}
	more:
		for len(batch) < publishBatch {
			select {
			case p := <-r.publishes:
				batch = append(batch, p)
			default:
				break more
			}
		}
		r.publishBatch(batch)
	}
}

func (r *Redis) publishBatch(batch []*publish) {
	for len(batch) > 0 {
		ctx, cancel := context.WithDeadlineCause(r.ctx, batch[0].until, ErrUnavailable)
		err := r.state.wait(ctx)
		if err == nil {
			batch, err = r.pipeline(ctx, batch)
		}
		cancel()
		switch {
		case len(batch) == 0:
			return
		case r.ctx.Err() != nil:
			err = ErrClosed
		case !time.Now().After(batch[0].until):
			sleep(r.ctx, retryPause)
			continue
		}
		batch[0].finish(0, errors.Join(ErrUnavailable, err))
		batch = batch[1:]
	}
}

// pipeline writes the batch at once. It returns what was not written.
func (r *Redis) pipeline(ctx context.Context, batch []*publish) (rest []*publish, err error) {
	pipe := r.client.Pipeline()
	answers := make([]*redis.IntCmd, len(batch))
	for i, p := range batch {
		answers[i] = pipe.Publish(ctx, p.channel, p.payload)
	}
	_, err = pipe.Exec(ctx)
	if err != nil && neverWritten(err) {
		return batch, err
	}
	for i, p := range batch {
		count, err := answers[i].Result()
		var answered redis.Error
		switch {
		case err == nil:
			p.finish(count, nil)
		case errors.As(err, &answered):
			p.finish(0, err)
		default:
			p.finish(0, errors.Join(ErrOutcomeUnknown, err))
		}
	}
	return nil, nil
}

// neverWritten reports whether err came before anything was written.
func neverWritten(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
