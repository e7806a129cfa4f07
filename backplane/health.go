package backplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/fleet"
	"github.com/hubwire/hubwire/internal/rescue"
)

// State says whether this node is connected to Redis.
type State int

const (
	Connecting State = iota // never been ready yet
	Ready                   // subscribed to everything
	Degraded                // the connection was lost: messages of other nodes are missed
	Closed                  // Close was called: nothing is sent or received any more
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Ready:
		return "ready"
	case Degraded:
		return "degraded"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Health is the state, since when it has lasted, and its cause.
type Health struct {
	State State
	Since time.Time // of the State, by this node's clock
	Err   error     // the newest; nil when ready
}

// Health returns the current state.
func (r *Redis) Health() Health {
	r.state.mu.Lock()
	defer r.state.mu.Unlock()
	return r.state.health
}

// Check returns nil while this node is subscribed to everything it needs, and
// otherwise an error that names the State. It does not wait: it is for
// server.Node.Checks.
func (r *Redis) Check() error {
	if h := r.Health(); h.State != Ready {
		return fmt.Errorf("backplane: %v", h.State)
	}
	select {
	case <-r.keyed:
		return nil
	default:
		return errors.New("backplane: has no key of the fleet yet")
	}
}

// Ready waits until this node is subscribed to everything it needs, and with
// Options.AnyNode has the key of the fleet: a node that is not ready should not be
// given clients. It returns the cause of ctx, or ErrClosed.
func (r *Redis) Ready(ctx context.Context) error {
	select {
	case <-r.keyed:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.ctx.Done():
		return ErrClosed
	}
	return r.state.wait(ctx)
}

// Stats are counts since New, and gauges, for metrics.
type Stats struct {
	Published uint64 // messages that were written to Redis
	Failed    uint64 // sends that ended with an error, also those of unknown outcome
	Received  uint64 // messages from Redis, of this node and others
	Dropped   uint64 // messages from or for other nodes that could not be read or found a full queue
	Losses    uint64 // errors of the subscribing connection, failed attempts to connect included

	// With Options.AnyNode:
	Forwarded         uint64 // requests of clients that were passed on to the node of their connection
	ForwardedDirectly uint64 // those of them that went to AnyNode.NodeURL of that node
	ServedForOthers   uint64 // requests that other nodes have passed on to this one

	Connections   int // of this node
	Subscriptions int // channels of Redis that this node hears, or is about to
	Waiting       int // sends that Redis has not taken yet
}

// Stats returns the current counts.
func (r *Redis) Stats() Stats {
	var requests fleet.Counts
	if r.fleet != nil {
		requests = r.fleet.Counts()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{
		Published: r.stats.published.Load(), Failed: r.stats.failed.Load(), Received: r.stats.received.Load(),
		Dropped: r.stats.dropped.Load(), Losses: r.stats.losses.Load(),
		Forwarded: requests.Forwarded, ForwardedDirectly: requests.Directly, ServedForOthers: requests.Served,
		Connections: len(r.connections), Subscriptions: len(r.subscribed), Waiting: len(r.publishes),
	}
}

type counters struct {
	published, failed, received, dropped, losses atomic.Uint64
}

type state struct {
	telling sync.Mutex // held while tell runs, so that changes are reported in their order

	mu      sync.Mutex
	health  Health
	changed chan struct{} // closed at the next change; nil while nothing waits
	tell    func(Health)
	log     *slog.Logger
}

func (s *state) init(tell func(Health), log *slog.Logger) {
	s.health.Since = time.Now()
	s.tell, s.log = tell, log
}

// set reports a change once, in its order. Where the state stays the same its
// newest cause is kept, and not reported.
func (s *state) set(h Health) {
	s.telling.Lock()
	defer s.telling.Unlock()
	was, changed := s.change(&h)
	switch {
	case !changed && h.Err != nil && (was.Err == nil || isDenial(h.Err) && h.Err.Error() != was.Err.Error()):
		s.log.Error("cannot connect to Redis", "error", h.Err)
	case changed && h.State == Ready:
		s.log.Info("subscribed to Redis", "was", was.State, "for", h.Since.Sub(was.Since))
	case changed && h.State == Degraded:
		s.log.Error("connection to Redis lost", "error", h.Err)
	}
	if changed && s.tell != nil {
		_ = rescue.Call(s.log, "Options.OnStateChange", func() error { s.tell(h); return nil })
	}
}

// change returns what was before.
func (s *state) change(h *Health) (was Health, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.health
	if h.State == Degraded && was.State == Connecting {
		h.State = Connecting
	}
	if h.State == was.State || was.State == Closed {
		if h.Err != nil && was.State != Closed {
			s.health.Err = h.Err
		}
		return was, false
	}
	h.Since = time.Now()
	s.health = *h
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return was, true
}

func (s *state) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health.State == Ready
}

// wait returns nil once the state is Ready.
func (s *state) wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		state := s.health.State
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		switch state {
		case Ready:
			return nil
		case Closed:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
