package backplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Heartbeat of the subscribing connection. A connection that breaks without a
// word, as one behind a firewall that forgets it, says nothing by itself.
const (
	beat        = time.Second // PING when nothing was heard for so long
	silentAfter = 5           // beats without anything heard
	lastChance  = time.Second // for a silent connection, once Redis can be reached again
)

// Pauses between tries to connect: doubled up to the last one, which is short
// enough to be whole again within a second.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

var (
	errSilent   = errors.New("nothing was heard from Redis on the subscribing connection")
	errReplaced = errors.New("the subscribing connection was replaced unasked")
)

// A link is one connection that hears the channels. go-redis would connect
// again by itself, but tells nobody when, and forgets a SUBSCRIBE that failed;
// so here a link ends with its first error, and the next one begins with all
// that is wanted then.
//
// The reader goroutine owns the link and is the only one that receives. The
// writer goroutine is the only one that writes, so no join waits for the dial
// of another one.
type link struct {
	pubsub  *redis.PubSub
	started chan struct{} // closed when the writer has written the first SUBSCRIBE
	err     error         // of that; read after started
	missing int           // initial subscriptions not confirmed yet; guarded by Redis.mu
}

// renew makes a link that is to hear all that is wanted now.
func (r *Redis) renew() *link {
	l := &link{pubsub: r.client.Subscribe(r.ctx), started: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = l
	for channel, s := range r.subscribed {
		s.requested, s.pending, s.leaving, s.initial = false, 0, 0, false
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

// read reads what Redis sends, until Close.
func (r *Redis) read() {
	pause := firstPause
	for {
		l := r.renew()
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
		m, err := l.pubsub.Receive(r.ctx)
		if err != nil {
			return err
		}
		r.heard.Add(1)
		if r.silent.Load() && r.silent.CompareAndSwap(true, false) && r.whole(l) {
			r.state.set(Health{State: Ready}) // it was only late
		}
		switch m := m.(type) {
		case *redis.Message:
			r.stats.received.Add(1)
			r.route(m.Channel, []byte(m.Payload))
		case *redis.Subscription:
			if m.Kind == "unsubscribe" {
				r.left(m.Channel)
				continue
			}
			asked, complete := r.confirm(l, m.Channel)
			if !asked {
				return errReplaced
			}
			if complete {
				r.state.set(Health{State: Ready})
			}
		case *redis.Pong:
			r.fence.passed(m.Payload)
		}
	}
}

// whole reports whether Redis hears all that was wanted when l began.
func (r *Redis) whole(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.missing == 0
}

// confirm counts a confirmation, and reports whether it was the last initial one.
// One that nobody has asked for says that go-redis has connected again, and what
// was sent meanwhile is lost.
func (r *Redis) confirm(l *link, channel string) (asked, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.subscribed[channel]
	if s == nil || s.pending == 0 {
		return false, false
	}
	s.pending--
	if s.pending > 0 {
		return true, false
	}
	if s.initial {
		s.initial = false
		l.missing--
		complete = l.missing == 0
	}
	s.wake()
	r.markLocked(s)
	return true, complete
}

// left counts a confirmation of UNSUBSCRIBE: only now nothing comes any more.
func (r *Redis) left(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.subscribed[channel]; s != nil && s.leaving > 0 {
		s.leaving--
		r.markLocked(s)
	}
}

// lost notes that this node hears nothing any more, and reports whether it was
// ready until now. Sends that Redis has taken but that have not come back are
// lost to the clients of this node, perhaps.
func (r *Redis) lost(l *link, err error) (wasReady bool) {
	if errors.Is(err, redis.ErrClosed) { // by the writer, which knows why
		r.mu.Lock()
		if r.condemned == l {
			err = errSilent
		}
		r.mu.Unlock()
	}
	r.silent.Store(false)
	r.gathering.lost.Store(true)
	wasReady = r.state.ready()
	r.state.set(Health{State: Degraded, Err: err})
	r.stats.losses.Add(1)
	r.fence.fail(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
	return wasReady
}

// write owns the writing side of the links: subscriptions, fences, heartbeat.
func (r *Redis) write() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	var heart heart
	for {
		select {
		case <-r.work:
		case <-ticker.C:
			r.beat(&heart)
		case <-r.ctx.Done():
			return
		}
		l, subscribe, unsubscribe := r.changes()
		err := r.apply(l, subscribe, unsubscribe)
		select {
		case <-l.started:
			if err != nil {
				_ = l.pubsub.Close() // the reader sees it
			}
		default:
			l.err = err
			close(l.started)
		}
		if err != nil {
			continue
		}
		if number := r.fence.raise(); number != "" {
			if err := l.pubsub.Ping(r.ctx, number); err != nil {
				_ = l.pubsub.Close()
			}
		}
	}
}

// changes takes the marked channels, as what is to be written.
func (r *Redis) changes() (l *link, subscribe, unsubscribe []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for channel := range r.marked {
		s := r.subscribed[channel]
		if s == nil {
			continue
		}
		switch wanted := s.wanted(); {
		case wanted && !s.requested:
			s.requested = true
			s.pending++
			subscribe = append(subscribe, channel)
		case !wanted && s.requested:
			s.requested = false
			s.leaving++
			unsubscribe = append(unsubscribe, channel)
		}
	}
	clear(r.marked)
	return r.link, subscribe, unsubscribe
}

func (r *Redis) apply(l *link, subscribe, unsubscribe []string) error {
	if len(subscribe) > 0 {
		if err := l.pubsub.Subscribe(r.ctx, subscribe...); err != nil {
			return err
		}
	}
	if len(unsubscribe) > 0 {
		return l.pubsub.Unsubscribe(r.ctx, unsubscribe...)
	}
	return nil
}

// heart knows what was heard at the last beats.
type heart struct {
	heard  uint64
	silent int
}

// beat asks a silent connection whether it lives. One that stays silent is not
// given up at once: if only the network is broken, all that was sent meanwhile
// comes when it heals.
func (r *Redis) beat(h *heart) {
	r.mu.Lock()
	l := r.link
	r.mu.Unlock()
	select {
	case <-l.started:
	default:
		return // still connecting, which has limits of its own
	}
	if heard := r.heard.Load(); heard != h.heard {
		h.heard, h.silent = heard, 0
		return
	}
	if h.silent++; h.silent < silentAfter {
		_ = l.pubsub.Ping(r.ctx) // the reader sees an error
		return
	}
	if r.silent.Load() {
		return
	}
	r.state.set(Health{State: Degraded, Err: errSilent})
	r.silent.Store(true) // from now on the reader says when it hears something
	if r.heard.Load() != h.heard && r.silent.CompareAndSwap(true, false) && r.whole(l) {
		r.state.set(Health{State: Ready}) // it did, in between
		return
	}
	r.running.Go(func() { r.doubt(l) })
}

// answers reports whether Redis greets a new connection. Those of the pool may be
// as dead as the silent one.
func (r *Redis) answers() bool {
	probe := r.client.Subscribe(r.ctx)
	defer probe.Close()
	return probe.Ping(r.ctx) == nil // connecting has waited for an answer
}

// doubt waits until Redis can be reached again over another connection. If the
// silent one then says nothing either, it is dead, and is replaced.
func (r *Redis) doubt(l *link) {
	for r.ctx.Err() == nil && r.silent.Load() {
		if !r.answers() {
			sleep(r.ctx, lastPause)
			continue
		}
		sleep(r.ctx, lastChance)
		if r.ctx.Err() != nil || !r.silent.Load() {
			return
		}
		r.mu.Lock()
		r.condemned = l
		r.mu.Unlock()
		_ = l.pubsub.Close()
		return
	}
}
