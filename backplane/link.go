package backplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Pauses between attempts to connect: doubled up to the last one, which is
// short enough for a node to be ready again within a second.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

var (
	errSilent   = errors.New("nothing was heard from Redis on the subscribing connection")
	errReplaced = errors.New("go-redis has replaced the subscribing connection")
)

// A link is one connection that subscribes to the channels. go-redis would
// connect again by itself, but does not say when, and forgets a SUBSCRIBE that
// failed; so here a link ends with its first error, and the next one begins
// with all channels that are wanted then.
//
// The reader goroutine owns the link and is the only one that receives. The
// writer goroutine is the only one that writes, so no join waits for the dial
// of another one.
type link struct {
	pubsub  *redis.PubSub
	pulse   pulse
	started chan struct{} // closed when the writer has written the first SUBSCRIBE
	err     error         // of that; read after started
	told    bool          // that it has all channels it began with; the reader's

	// Guarded by Redis.mu:
	missing int              // initial subscriptions that are not answered yet, and still wanted
	asks    bool             // for a PING: the last one that was missing is not wanted any more
	written []writtenCommand // and not answered yet, in their order
	why     error            // why this node has ended the link; nil if it has not
}

// A command is what the writer writes on a link.
type command struct {
	kind     commandKind
	channels []string
	base     bool // the channels of the node itself
}

type commandKind int

const (
	subscribing commandKind = iota
	unsubscribing
	pinging
)

// A writtenCommand waits for its answers: Redis answers one for each channel,
// in the order of the commands, or refuses the whole command with one error.
type writtenCommand struct {
	command
	left int
}

// answered counts one answer to a command of kind. It reports false if that is
// not what is waited for. Redis.mu is held.
func (l *link) answered(kind commandKind) bool {
	if len(l.written) == 0 || l.written[0].kind != kind {
		return false
	}
	if l.written[0].left--; l.written[0].left == 0 {
		l.written[0] = writtenCommand{}
		l.written = l.written[1:]
	}
	return true
}

// end closes l; the first why is kept for the reader, whose Receive fails now.
// Only the reader replaces a link, so that there is always one.
func (r *Redis) end(l *link, why error) {
	r.mu.Lock()
	if l.why == nil {
		l.why = why
	}
	r.mu.Unlock()
	_ = l.pubsub.Close()
}

// renew makes a link and marks all channels that are wanted now. The writer
// subscribes to them: that dials, and nothing waits while Redis.mu is held.
func (r *Redis) renew() *link {
	l := &link{pubsub: r.client.Subscribe(r.ctx), started: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = l
	for channel, s := range r.subscribed {
		s.requested, s.pending, s.leaving, s.initial, s.refused = false, 0, 0, false, nil
		if s.wanted() {
			s.initial = true
			l.missing++
			r.marked[channel] = struct{}{}
		} else {
			delete(r.subscribed, channel)
		}
		s.wake()
	}
	wake(r.work)
	return l
}

// read reads what Redis sends, on l and the links after it, until Close.
func (r *Redis) read(l *link) {
	pause := firstPause
	for ; ; l = r.renew() {
		if r.ctx.Err() != nil { // Close has ended the link before this one
			_ = l.pubsub.Close()
			return
		}
		err := r.receive(l)
		if r.ctx.Err() != nil {
			_ = l.pubsub.Close()
			return
		}
		if r.lost(l, err) {
			pause = firstPause
		}
		_ = l.pubsub.Close()
		sleep(r.ctx, pause)
		pause = min(2*pause, lastPause)
	}
}

// receive handles what comes on l until its first error. It never waits for
// anything else.
func (r *Redis) receive(l *link) error {
	select {
	case <-l.started:
		if l.err != nil {
			return l.err
		}
	case <-r.ctx.Done():
		return ErrClosed
	}
	for {
		err := r.guard("read from Redis", func() error { return r.receiveOne(l) })
		if err != nil {
			return err
		}
	}
}

// receiveOne handles the next message or answer. An error ends the link.
func (r *Redis) receiveOne(l *link) error {
	m, err := l.pubsub.Receive(r.ctx)
	var refusal redis.Error
	switch {
	case errors.As(err, &refusal):
		m = refusal
	case err != nil:
		return err
	}
	if l.pulse.hear() {
		l.pulse.revive(func() {
			if r.whole(l) { // it was only late
				r.state.set(Health{State: Ready})
				r.wakeKeepers()
			}
		})
	}
	switch m := m.(type) {
	case *redis.Message:
		r.stats.received.Add(1)
		r.route(m.Channel, []byte(m.Payload))
	case *redis.Subscription:
		err = r.confirm(l, m)
	case *redis.Pong:
		r.mu.Lock()
		expected := l.answered(pinging)
		r.mu.Unlock()
		if !expected {
			return errReplaced
		}
		r.fence.passed(m.Payload)
	case redis.Error:
		err = r.refused(l, m)
	}
	if err == nil && !l.told && r.whole(l) {
		l.told = true
		r.state.set(Health{State: Ready})
		r.wakeKeepers()
	}
	return err
}

// whole reports whether Redis has confirmed all channels that were wanted when
// l began, and still are.
func (r *Redis) whole(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.missing == 0
}

// confirm counts a confirmation. One that no command waits for means that go-redis has connected again by
// itself, and that what was sent meanwhile is lost.
func (r *Redis) confirm(l *link, m *redis.Subscription) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.subscribed[m.Channel]
	if m.Kind == "unsubscribe" { // only now nothing comes any more
		if !l.answered(unsubscribing) || s == nil || s.leaving == 0 {
			return errReplaced
		}
		s.leaving--
		r.markLocked(s)
		return nil
	}
	if !l.answered(subscribing) || s == nil || s.pending == 0 {
		return errReplaced
	}
	s.pending--
	if s.pending > 0 {
		return nil
	}
	l.begun(s)
	s.wake()
	r.markLocked(s)
	return nil
}

// begun counts a channel that l began with: it was answered, or is not wanted any
// more. Redis.mu is held.
func (l *link) begun(s *subscription) {
	if s.initial {
		s.initial = false
		l.missing--
	}
}

// giveUp forgets a channel that is neither wanted nor subscribed to. Where l waited
// for it alone, the reader, which alone says that l is whole, has nothing to hear:
// the writer is to write a PING then, whose answer tells it. Redis.mu is held.
func (l *link) giveUp(s *subscription) (ask bool) {
	if !s.initial {
		return false
	}
	l.begun(s)
	l.asks = l.missing == 0
	return l.asks
}

// mustAsk reports once that a PING is to be written.
func (r *Redis) mustAsk(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	asks := l.asks
	l.asks = false
	return asks
}

// refused handles an error that a command was answered with. A SUBSCRIBE of
// several channels is refused because of one of them: each is tried alone then,
// and a refusal of that ends the joins that wait for it. Without the channels of
// the node itself, and after any other error, the link ends.
func (r *Redis) refused(l *link, reason redis.Error) error {
	channel, err := r.refusedOf(l, reason)
	if channel != "" {
		r.log.Error("Redis refuses a subscription", "channel", channel, "error", reason)
	}
	return err
}

// refusedOf also returns the channel that was refused, where it is known.
func (r *Redis) refusedOf(l *link, reason redis.Error) (refused string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(l.written) == 0 || l.written[0].kind != subscribing {
		return "", reason
	}
	c := l.written[0].command
	l.written = l.written[1:]
	if c.base {
		return "", fmt.Errorf("subscribe to the channels of hub %s: %w", r.opts.HubName, reason)
	}
	for _, channel := range c.channels {
		s := r.subscribed[channel]
		if s == nil || s.pending == 0 {
			return "", errReplaced
		}
		s.pending--
		if s.pending > 0 || !s.requested {
			continue // what was written later decides
		}
		s.requested = false
		if len(c.channels) == 1 {
			s.refused, refused = reason, channel
			l.begun(s)
		}
		s.alone = true
		s.wake()
		r.markLocked(s)
	}
	return refused, nil
}

// lost notes that this node receives nothing any more, and reports whether it
// was ready until now. Sends that Redis has taken but that have not come back
// may be lost to the clients of this node.
func (r *Redis) lost(l *link, err error) (wasReady bool) {
	r.mu.Lock()
	if l.why != nil {
		err = l.why
	}
	r.mu.Unlock()
	l.pulse.die(false)
	r.peers.lost.Store(true)
	wasReady = r.state.ready()
	r.state.set(Health{State: Degraded, Err: err})
	r.stats.losses.Add(1)
	r.fence.fail(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
	return wasReady
}
