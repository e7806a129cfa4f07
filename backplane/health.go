package backplane

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// State says how this node stands with Redis.
type State int

const (
	Connecting State = iota // never been ready yet
	Ready                   // subscribed to everything
	Degraded                // the connection was lost: messages of other nodes are missed
	Closed
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

// Health is the state, since when it lasts, and what has caused it.
type Health struct {
	State State
	Since time.Time
	Err   error // nil when ready
}

// Health returns the present state.
func (r *Redis) Health() Health {
	r.state.mu.Lock()
	defer r.state.mu.Unlock()
	return r.state.health
}

// Ready waits until this node is subscribed to everything it needs: a node that
// is not ready should not be given clients. It returns the cause of ctx, or
// ErrClosed.
func (r *Redis) Ready(ctx context.Context) error { return r.state.wait(ctx) }

type state struct {
	mu      sync.Mutex
	health  Health
	changed chan struct{} // closed at the next change, where somebody waits
	tell    func(Health)
	log     *slog.Logger
}

func (s *state) init(tell func(Health), log *slog.Logger) {
	s.health.Since = time.Now()
	s.tell, s.log = tell, log
}

// set tells a change once; what it was before and the cause of a state that
// goes on are kept.
func (s *state) set(h Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.State == Degraded && s.health.State == Connecting {
		h.State = Connecting
	}
	if h.State == s.health.State {
		if s.health.Err == nil && h.Err != nil {
			s.health.Err = h.Err
			s.log.Error("cannot connect to Redis", "error", h.Err)
		}
		return
	}
	h.Since = time.Now()
	was := s.health
	s.health = h
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	switch h.State {
	case Ready:
		s.log.Info("subscribed to Redis", "was", was.State, "for", h.Since.Sub(was.Since))
	case Degraded:
		s.log.Error("connection to Redis lost", "error", h.Err)
	}
	if s.tell != nil {
		s.tell(h)
	}
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
