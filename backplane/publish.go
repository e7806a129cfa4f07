package backplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of publishing. When the queue is full senders wait, for PublishTimeout
// or until their context ends.
const (
	publishQueue = 1024
	publishBatch = 128
)

// retryPause is the time after an attempt to publish that wrote nothing, before
// the next one.
const retryPause = 100 * time.Millisecond

// A publish is a PUBLISH on its way.
type publish struct {
	channel string
	payload []byte
	fenced  bool // done only when this node has received it, too
	again   bool // may be delivered twice, so it is written again where the outcome is unknown
	until   time.Time
	status  atomic.Int32
	done    chan struct{}
	count   int64 // of subscribers
	err     error
	then    func(count int64, err error) // called when it is done; nil: nobody asks
}

// Statuses of a publish. The sender abandons what is queued, the publisher claims
// it; the first one decides.
const (
	queued  int32 = iota
	claimed       // it may be written
	abandoned
)

func newPublish(channel string, payload []byte, until time.Time) *publish {
	return &publish{channel: channel, payload: payload, until: until, done: make(chan struct{})}
}

// publish publishes one payload, and waits until Redis has answered. It returns
// the number of subscribers.
func (r *Redis) publish(ctx context.Context, channel string, payload []byte) (int64, error) {
	ctx, until, cancel := r.publishTime(ctx)
	defer cancel()
	p := newPublish(channel, payload, until)
	if err := r.enqueue(ctx, p); err != nil {
		return 0, err
	}
	return r.published(ctx, p)
}

// publishOn publishes one payload on each channel, as many at a time as the
// queue has space for. Where Redis has not answered in time, the rest is not
// tried: the whole send takes one PublishTimeout then, however many channels
// there are.
func (r *Redis) publishOn(ctx context.Context, payload []byte, channels []string) error {
	var failed failures
	for some := range slices.Chunk(channels, publishQueue) {
		if !r.publishSome(ctx, payload, some, &failed) {
			break
		}
	}
	return failed.join()
}

// publishSome reports whether Redis has answered in time.
func (r *Redis) publishSome(ctx context.Context, payload []byte, channels []string, failed *failures) bool {
	ctx, until, cancel := r.publishTime(ctx)
	defer cancel()
	waiting, published := make([]*publish, 0, len(channels)), r.observePublished()
	for _, channel := range channels {
		p := newPublish(channel, payload, until)
		p.fenced = r.hears(channel)
		if err := r.enqueue(ctx, p); err != nil {
			published(err)
			failed.add(err)
			break
		}
		waiting = append(waiting, p)
	}
	for _, p := range waiting {
		_, err := r.published(ctx, p)
		if published(err); err != nil {
			failed.add(err)
		}
	}
	return len(waiting) == len(channels) && ctx.Err() == nil && time.Now().Before(until) && r.ctx.Err() == nil
}

// publishTime bounds what waits for the publisher. The publisher gives up at
// until; the context ends a little later.
func (r *Redis) publishTime(ctx context.Context) (limited context.Context, until time.Time, cancel context.CancelFunc) {
	until = time.Now().Add(r.patience())
	limited, cancel = context.WithDeadlineCause(ctx, until.Add(publisherSlack), ErrUnavailable)
	return limited, until, cancel
}

// patience is how long what begins now waits for Redis. A negative PublishTimeout does not
// wait for one that is away; of one that is there the answer is awaited.
func (r *Redis) patience() time.Duration {
	if t := r.opts.PublishTimeout; t > 0 {
		return t
	}
	if r.state.ready() {
		return defaultPublishTimeout
	}
	return 0
}

// failures are the errors of one send to many: each text once, and few of them.
type failures struct {
	list []error
	seen map[string]struct{}
}

// mostFailures is how many different texts the error of one send has.
const mostFailures = 8

func (f *failures) add(err error) {
	text := err.Error()
	if _, known := f.seen[text]; known || len(f.list) == mostFailures {
		return
	}
	if f.seen == nil {
		f.seen = map[string]struct{}{}
	}
	f.seen[text] = struct{}{}
	f.list = append(f.list, err)
}

func (f *failures) join() error { return errors.Join(f.list...) }

// enqueue waits for space in the queue. An error says that p is not queued.
func (r *Redis) enqueue(ctx context.Context, p *publish) error {
	select {
	case r.publishes <- p:
		return nil
	default:
	}
	select {
	case r.publishes <- p:
		return nil
	case <-ctx.Done():
		r.stats.failed.Add(1)
		return r.late(ctx)
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// late says why the time of ctx is over, with Redis' own reason where the time
// was PublishTimeout.
func (r *Redis) late(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, r.cause(errOverdue))
	}
	return err
}

// replyTime is how long an ack or a client result for another node waits for Redis.
const replyTime = 30 * time.Second

// post publishes an ack or a client result for another node without waiting for
// anything. One that comes twice does no harm: only the first is waited for. Where
// the queue is full, it is dropped with a line in the log: the other node has a
// time limit of its own.
func (r *Redis) post(channel string, payload []byte) {
	p := newPublish(channel, payload, time.Now().Add(replyTime))
	p.again = true
	if !r.offer(p) {
		r.drop(slog.LevelError, "ack or client result for another node dropped: too many wait", "channel", channel, "limit", publishQueue)
	}
}

// offer queues p if there is space.
func (r *Redis) offer(p *publish) bool {
	select {
	case r.publishes <- p:
		return true
	default:
		return false
	}
}

func (p *publish) finish(count int64, err error) {
	p.count, p.err = count, err
	close(p.done)
	if p.then != nil {
		p.then(count, err)
	}
}

// published waits until p was answered, or the time of ctx is over.
func (r *Redis) published(ctx context.Context, p *publish) (int64, error) {
	select {
	case <-p.done:
		return p.count, p.err
	case <-ctx.Done():
	case <-r.ctx.Done():
		return 0, ErrClosed
	}
	r.stats.failed.Add(1)
	unwritten := p.status.CompareAndSwap(queued, abandoned)
	if err := r.late(ctx); unwritten || !errors.Is(err, ErrUnavailable) {
		return 0, err
	}
	return 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, errOverdue)
}

// publisherSlack is the time for the publisher, which knows more, to say first
// why a send failed.
const publisherSlack = 50 * time.Millisecond

var errOverdue = errors.New("the answer of Redis is overdue")

// runPublisher publishes in the order of the calls. What waits together goes out
// in one pipeline. Nothing goes out while this node is not subscribed: its own
// clients would miss it.
func (r *Redis) runPublisher() {
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
		_ = r.guard("publish to Redis", func() error { r.publishBatch(batch); return nil }) // after a panic the senders' own time limits end their waits
	}
}

// publishBatch ends when every publish of the batch has been written, or has
// waited for too long.
func (r *Redis) publishBatch(batch []*publish) {
	for len(batch) > 0 {
		ctx, cancel := context.WithDeadlineCause(r.ctx, batch[0].until, ErrUnavailable)
		err := r.reachable(ctx)
		written := false
		if err == nil {
			if batch = claim(batch); len(batch) > 0 {
				written, err = r.pipeline(ctx, batch)
			}
		}
		cancel()
		switch {
		case written || len(batch) == 0:
			return
		case r.ctx.Err() != nil:
			err = ErrClosed
		case time.Now().Before(batch[0].until):
			sleep(r.ctx, retryPause)
			continue
		default:
			err = fmt.Errorf("%w: %w", ErrUnavailable, r.cause(err))
		}
		r.stats.failed.Add(1)
		batch[0].finish(0, err)
		batch = batch[1:]
	}
}

// reachable waits until this node is subscribed and, after something went wrong,
// until Redis answers: what is written only then is surely not late.
func (r *Redis) reachable(ctx context.Context) error {
	if err := r.state.wait(ctx); err != nil {
		return err
	}
	if r.unanswered {
		if err := r.client.Ping(ctx).Err(); err != nil {
			return err
		}
		r.unanswered = false
		if err := r.state.wait(ctx); err != nil {
			return err
		}
	}
	if !r.awaitPeers(ctx) {
		return errOverdue
	}
	return nil
}

// claim removes from the batch what its sender has abandoned.
func claim(batch []*publish) []*publish {
	return slices.DeleteFunc(batch, func(p *publish) bool {
		if p.status.CompareAndSwap(queued, claimed) || p.status.Load() == claimed {
			return false
		}
		p.finish(0, ErrUnavailable)
		return true
	})
}

// cause says why Redis is away, if that is known; else it is err.
func (r *Redis) cause(err error) error {
	if h := r.Health(); h.Err != nil {
		return h.Err
	}
	return err
}

// pipeline writes the batch at once. It reports false if nothing was written:
// then the batch may be tried again.
func (r *Redis) pipeline(ctx context.Context, batch []*publish) (written bool, err error) {
	generation := r.fence.current()
	pipe := r.client.Pipeline()
	commands := make([]*publishCmd, len(batch))
	for i, p := range batch {
		commands[i] = &publishCmd{IntCmd: newPublishCmd(ctx, p.channel, p.payload)}
		_ = pipe.Process(ctx, commands[i]) // it only queues
	}
	counted := r.count(ctx, pipe)
	_, err = pipe.Exec(ctx)
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		r.unanswered = true
	}
	counted()
	if err != nil && !commands[0].written {
		return false, err
	}
	var fenced []*publish
	for i, p := range batch {
		count, err := commands[i].Result()
		var answered redis.Error
		switch {
		case err == nil && p.fenced:
			p.count = count
			fenced = append(fenced, p)
		case err == nil:
			p.finish(count, nil)
		case errors.As(err, &answered):
			r.stats.failed.Add(1)
			p.finish(0, fmt.Errorf("backplane: Redis has refused the message: %w", err))
		case p.again && time.Now().Before(p.until) && r.offer(p):
		default:
			r.stats.failed.Add(1)
			p.finish(0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		}
	}
	r.stats.published.Add(uint64(len(batch)))
	r.fence.add(generation, fenced)
	return true, nil
}

// newPublishCmd returns a PUBLISH that goes, in a Redis Cluster, by the master of the
// channel's slot. go-redis would send one to any of them, and a pipeline to all at once, so
// that messages of one sender overtook each other.
func newPublishCmd(ctx context.Context, channel string, payload []byte) *redis.IntCmd {
	c := redis.NewIntCmd(ctx, "publish", channel, payload)
	c.SetFirstKeyPos(1)
	return c
}

// A publishCmd is a PUBLISH that is written once at most: go-redis would write
// it again after an error, and clients would get the message twice.
type publishCmd struct {
	*redis.IntCmd
	written bool // perhaps
}

// NoRetry keeps go-redis from writing the pipeline again.
func (c *publishCmd) NoRetry() bool { return true }

// Args is called by go-redis when it writes the command.
func (c *publishCmd) Args() []any {
	c.written = true
	return c.IntCmd.Args()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
