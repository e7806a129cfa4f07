package backplane

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// A subscription is a channel and the connections of this node that hear it.
type subscription struct {
	channel string
	turn    chan struct{} // holds one token: joins and leaves come one after the other

	mu       sync.RWMutex
	members  map[string]server.Receiver
	snapshot []server.Receiver // nil after a change
}

func newSubscription(channel string) *subscription {
	return &subscription{channel: channel, turn: make(chan struct{}, 1), members: map[string]server.Receiver{}}
}

// add reports whether c is the first member.
func (s *subscription) add(c server.Receiver) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = len(s.members) == 0
	s.members[c.ID()] = c
	s.snapshot = nil
	return first
}

// remove reports whether c was a member, and the last one.
func (s *subscription) remove(id string) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, member := s.members[id]; !member {
		return false
	}
	delete(s.members, id)
	s.snapshot = nil
	return len(s.members) == 0
}

func (s *subscription) empty() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.members) == 0
}

// send delivers m to every member but those in except. It never waits.
func (s *subscription) send(m *server.Message, except []string) {
	s.mu.RLock()
	list := s.snapshot
	s.mu.RUnlock()
	if list == nil {
		s.mu.Lock()
		if s.snapshot == nil {
			s.snapshot = make([]server.Receiver, 0, len(s.members))
			for _, c := range s.members {
				s.snapshot = append(s.snapshot, c)
			}
		}
		list = s.snapshot
		s.mu.Unlock()
	}
	for _, c := range list {
		if len(except) == 0 || !slices.Contains(except, c.ID()) {
			_ = c.Send(m) // a client that cannot take it ends itself
		}
	}
}

// subscription returns that of channel with its turn taken; release gives the
// turn back, and forgets a subscription that nobody needs.
func (r *Redis) subscription(ctx context.Context, channel string) (*subscription, error) {
	for {
		r.mu.Lock()
		s := r.subscribed[channel]
		if s == nil {
			s = newSubscription(channel)
			r.subscribed[channel] = s
		}
		r.mu.Unlock()
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		r.mu.Lock()
		current := r.subscribed[channel] == s
		r.mu.Unlock()
		if current {
			return s, nil
		}
		<-s.turn // it was forgotten meanwhile
	}
}

func (r *Redis) release(s *subscription) {
	if s.empty() {
		r.mu.Lock()
		delete(r.subscribed, s.channel)
		r.mu.Unlock()
	}
	<-s.turn
}

// join makes c a member of channel. When it returns nil, Redis has confirmed
// the subscription. On an error c is no member.
func (r *Redis) join(ctx context.Context, channel string, c server.Receiver) error {
	s, err := r.subscription(ctx, channel)
	if err != nil {
		return err
	}
	defer r.release(s)
	if !s.add(c) { // before SUBSCRIBE: no message may come between
		return nil
	}
	confirmed := r.confirms.expect(channel)
	defer r.confirms.forget(channel)
	err = r.pubsub.Subscribe(ctx, channel)
	if err == nil {
		select {
		case <-confirmed:
			return nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-r.ctx.Done():
			err = ErrClosed
		}
	}
	s.remove(c.ID())
	_ = r.pubsub.Unsubscribe(r.ctx, channel) // go-redis must not subscribe it at the next reconnect
	return errors.Join(ErrUnavailable, err)
}

// leave ends a membership.
func (r *Redis) leave(ctx context.Context, channel, id string) error {
	s, err := r.subscription(ctx, channel)
	if err != nil {
		return err
	}
	defer r.release(s)
	if !s.remove(id) {
		return nil
	}
	return r.pubsub.Unsubscribe(ctx, channel)
}

// read reads what Redis sends, until Close. go-redis connects again by itself
// and subscribes all channels again; this node is ready once it has seen all
// the confirmations.
func (r *Redis) read() {
	r.subscribeBase()
	for r.ctx.Err() == nil {
		m, err := r.pubsub.Receive(r.ctx)
		if r.ctx.Err() != nil {
			return
		}
		switch m := m.(type) {
		case *redis.Subscription:
			r.confirmed(m)
		case *redis.Message:
			r.route(m.Channel, []byte(m.Payload))
		}
		if err != nil {
			r.missing()
			r.state.set(Health{State: Degraded, Err: err})
			sleep(r.ctx, retryPause)
		}
	}
}

// subscribeBase subscribes the channels that every node has. Where Redis is
// away go-redis remembers them.
func (r *Redis) subscribeBase() {
	r.missing()
	if err := r.pubsub.Subscribe(r.ctx, r.baseChannels()...); err != nil && r.ctx.Err() == nil {
		r.state.set(Health{State: Connecting, Err: err})
	}
}

// missing notes that no channel is confirmed any more.
func (r *Redis) missing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	channels := make([]string, 0, len(r.subscribed))
	for channel, s := range r.subscribed {
		if !s.empty() || slices.Contains(r.baseChannels(), channel) {
			channels = append(channels, channel)
		}
	}
	r.confirms.reset(channels)
}

func (r *Redis) confirmed(m *redis.Subscription) {
	switch m.Kind {
	case "subscribe":
		if r.confirms.confirm(m.Channel) {
			r.state.set(Health{State: Ready})
		}
	case "unsubscribe":
		if r.confirms.drop(m.Channel) {
			r.state.set(Health{State: Ready})
		}
	}
}

// confirmations knows which channels Redis has not confirmed yet, and who waits
// for one.
type confirmations struct {
	mu      sync.Mutex
	missing map[string]struct{} // after a loss; nil: none
	waiting map[string]chan struct{}
}

func (c *confirmations) expect(channel string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]chan struct{}{}
	}
	ch := make(chan struct{})
	c.waiting[channel] = ch
	return ch
}

func (c *confirmations) forget(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, channel)
}

func (c *confirmations) reset(channels []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missing = make(map[string]struct{}, len(channels))
	for _, channel := range channels {
		c.missing[channel] = struct{}{}
	}
}

// confirm reports whether that was the last one missing.
func (c *confirmations) confirm(channel string) (complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.waiting[channel]; ch != nil {
		close(ch)
		delete(c.waiting, channel)
	}
	return c.dropLocked(channel)
}

// drop is confirm for a channel that is no longer needed.
func (c *confirmations) drop(channel string) (complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropLocked(channel)
}

func (c *confirmations) dropLocked(channel string) (complete bool) {
	if c.missing == nil {
		return false
	}
	delete(c.missing, channel)
	if len(c.missing) > 0 {
		return false
	}
	c.missing = nil
	return true
}
