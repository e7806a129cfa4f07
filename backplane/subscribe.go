package backplane

import (
	"context"
	"fmt"

	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// A subscription is a channel and its members, connections of this node. A join
// or leave changes the members and marks the channel; the writer, which alone
// writes on the link, then subscribes or unsubscribes (see writer.go).
type subscription struct {
	channel string
	base    bool // of the node itself: wanted without members
	extra   bool // of the node itself, too; it can do without
	held    bool // wanted by the fleet, without members; guarded by Redis.mu

	// Guarded by Redis.mu, on the present link:
	requested bool          // SUBSCRIBE was the last that was written
	pending   int           // confirmations of SUBSCRIBE on their way
	leaving   int           // and those of UNSUBSCRIBE
	initial   bool          // the node is not ready before it is confirmed
	refused   error         // by Redis; it is not tried again before the next join
	alone     bool          // subscribed by a command of its own, as a refusal asks for
	changed   chan struct{} // closed at the next change; nil while nothing waits

	members members.Set[server.Receiver]
}

// confirmed reports whether Redis has confirmed the subscription. Redis.mu is
// held.
func (s *subscription) confirmed() bool { return s.requested && s.pending == 0 }

// wake wakes the goroutines that wait for a change. Redis.mu is held.
func (s *subscription) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// wanted reports whether this node should be subscribed.
func (s *subscription) wanted() bool { return s.base || s.extra || s.held || s.members.Len() > 0 }

// send delivers m to every member but those in except. It never waits.
func (s *subscription) send(m *server.Message, except []string) {
	list, _ := s.members.All()
	excepted := members.Except(except)
	for _, c := range list {
		if len(except) == 0 || !excepted(c.ID()) {
			_ = c.Send(m) // a client that cannot take it ends itself
		}
	}
}

// enter makes c a member of channel, which the writer subscribes to. It reports
// whether c is a new one.
func (r *Redis) enter(channel string, c server.Receiver) (s *subscription, added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enterLocked(channel, c)
}

// enterLocked is enter with Redis.mu held.
func (r *Redis) enterLocked(channel string, c server.Receiver) (s *subscription, added bool) {
	s = r.channelLocked(channel)
	added = s.members.Add(c)
	s.refused = nil
	r.markLocked(s)
	return s, added
}

// channelLocked returns the subscription of a channel, which is a new one if there
// is none. Redis.mu is held.
func (r *Redis) channelLocked(channel string) *subscription {
	s := r.subscribed[channel]
	if s == nil {
		s = &subscription{channel: channel}
		r.subscribed[channel] = s
	}
	return s
}

// hear subscribes this node itself to a channel that it can do without.
func (r *Redis) hear(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.channelLocked(channel)
	s.extra = true
	r.markLocked(s)
}

// leave ends a membership.
func (r *Redis) leave(channel, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaveLocked(channel, id)
}

// leaveLocked is leave with Redis.mu held.
func (r *Redis) leaveLocked(channel, id string) {
	if s := r.subscribed[channel]; s != nil {
		s.members.Remove(id)
		r.markLocked(s)
	}
}

// markLocked has the writer look at s if it is subscribed and should not be, or
// the other way round.
func (r *Redis) markLocked(s *subscription) {
	if wanted := s.wanted(); wanted && !s.requested && s.refused == nil || !wanted && s.requested {
		r.marked[s.channel] = struct{}{}
		wake(r.work)
	} else if !wanted && !s.requested && s.pending == 0 && s.leaving == 0 {
		delete(r.subscribed, s.channel)
		if r.link.giveUp(s) {
			wake(r.work)
		}
	}
}

// join makes c a member of the channel of a group. When it returns nil, Redis has
// confirmed the subscription, and has the group in the session of c, if it has
// one. On an error the caller ends the membership, unless there is another reason for
// it. A join that Redis refuses fails at once, with Redis' reason.
func (r *Redis) join(ctx context.Context, channel string, c *connection, group string) error {
	s, _ := r.enter(channel, c.Receiver)
	if c.hasSession() { // while Redis confirms the channel
		if err := r.saveJoin(ctx, c, group); err != nil {
			return err
		}
	}
	return r.await(ctx, s, false)
}

// await waits until Redis has confirmed s; if whileReady, only as long as this
// node is ready: what it lacks then is subscribed before it is ready again.
func (r *Redis) await(ctx context.Context, s *subscription, whileReady bool) error {
	for {
		if r.ctx.Err() != nil {
			return ErrClosed
		}
		if err := r.denied(); err != nil && !whileReady {
			return err
		}
		r.mu.Lock()
		if err := s.refused; err != nil {
			r.mu.Unlock()
			return fmt.Errorf("backplane: Redis has refused to subscribe to %q: %w", s.channel, err)
		}
		if s.confirmed() || whileReady && !r.state.ready() {
			r.mu.Unlock()
			return nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return r.late(ctx)
		case <-r.ctx.Done():
			return ErrClosed
		}
	}
}

// denied is the error of joins while Redis lets this node subscribe to nothing:
// its password or its rights are wrong, which waiting does not change.
func (r *Redis) denied() error {
	if h := r.Health(); h.State != Ready && isDenial(h.Err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, h.Err)
	}
	return nil
}

// isDenial reports whether Redis has refused err for want of rights.
func isDenial(err error) bool {
	for _, code := range []string{"NOPERM", "NOAUTH", "WRONGPASS"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}

// wake gives a token to a channel that has space for one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
