package backplane

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// keeperBatch is how many sessions are read or written in one round trip.
const keeperBatch = 128

// keeperRetry is the time between two attempts to write to Redis.
const keeperRetry = time.Second

// keepSessions keeps the sessions of this node's connections alive on Redis, retries
// failed writes, reads everything again after Redis was lost, ends memberships of
// AddUser that have expired, and applies changes of users from other nodes.
func (r *Redis) keepSessions(s *sessions) {
	losses, refreshed := r.stats.losses.Load(), time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.work:
		case <-timer.C:
		case change := <-s.changes:
			_ = r.guard("a change of a user's groups", func() error { r.userChanged(s, change); return nil })
			continue
		case <-r.ctx.Done():
			return
		}
		next := time.Now().Add(keeperRetry)
		_ = r.guard("sessions", func() error {
			r.endGrants(s)
			if !r.state.ready() {
				return nil
			}
			if now := r.stats.losses.Load(); now != losses {
				losses = now
				s.forget(r)
			}
			done := r.syncAll(s) && r.writeUnsaved(s)
			every := s.options().TTL / 3
			if time.Since(refreshed) >= every {
				if r.refresh(s) {
					refreshed = time.Now()
				} else {
					done = false
				}
			}
			if done {
				next = refreshed.Add(every)
			}
			return nil
		})
		if end := r.nextGrant(s); !end.IsZero() && end.Before(next) {
			next = end
		}
		timer.Reset(max(time.Until(next), 0))
	}
}

// wakeKeepers makes this node update its sessions and its presence: Redis is back.
func (r *Redis) wakeKeepers() {
	if s := r.sessions.Load(); s != nil {
		wake(s.work)
	}
	if p := r.presence; p != nil {
		wake(p.work)
	}
}

// forget makes every connection read its state on Redis again.
func (s *sessions) forget(r *Redis) {
	for _, c := range s.list() {
		r.mu.Lock()
		c.kept.reread = true
		r.mu.Unlock()
	}
}

// list returns the connections, including ended ones that are not written yet.
func (s *sessions) list() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.all))
}

// some returns the connections for which is returns true. Redis.mu is held for one at
// a time.
func (s *sessions) some(r *Redis, is func(c *connection) bool) (list []*connection) {
	for _, c := range s.list() {
		r.mu.Lock()
		if is(c) {
			list = append(list, c)
		}
		r.mu.Unlock()
	}
	return list
}

// syncAll reads the sessions that were not read yet. It reports false if some are left.
func (r *Redis) syncAll(s *sessions) bool {
	for some := range slices.Chunk(s.some(r, func(c *connection) bool { return c.kept.ended.IsZero() && (!c.kept.synced || c.kept.reread) }), keeperBatch) {
		r.mu.Lock()
		for _, c := range some {
			c.kept.reread = false
		}
		r.mu.Unlock()
		ctx, cancel := r.bounded(r.ctx)
		_, err := r.sync(ctx, s, some)
		cancel()
		if err != nil {
			r.mu.Lock()
			for _, c := range some {
				c.kept.reread = true
			}
			r.mu.Unlock()
			r.drop(slog.LevelWarn, "sessions cannot be read", "error", err)
			return false
		}
	}
	return true
}

// An unsavedGroup is a change that is written to Redis.
type unsavedGroup struct {
	c      *connection
	group  string
	number uint64
	member bool
	cmd    redis.Cmder
}

// writeUnsaved writes the state of the groups in kept.unsaved. It reports false if some
// are left.
func (r *Redis) writeUnsaved(s *sessions) bool {
	var all []unsavedGroup
	life := time.Duration(s.life()) * time.Millisecond
	for _, c := range s.list() {
		r.mu.Lock()
		for group, number := range c.kept.unsaved {
			if c.kept.key == "" {
				delete(c.kept.unsaved, group)
				continue
			}
			if c.kept.changing[group] > 0 {
				continue // the call that changes it writes it, or wakes the keeper
			}
			_, member := c.groups[group]
			all = append(all, unsavedGroup{c: c, group: group, number: number, member: member && c.kept.explicit(group)})
		}
		over := !c.kept.ended.IsZero() && (len(c.kept.unsaved) == 0 || time.Since(c.kept.ended) > life)
		r.mu.Unlock()
		if over {
			s.remove(c)
		}
	}
	done := true
	for some := range slices.Chunk(all, keeperBatch) {
		done = r.writeSome(s, some) && done
	}
	return done
}

func (s *sessions) remove(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

func (r *Redis) writeSome(s *sessions, some []unsavedGroup) bool {
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	pipe := r.client.Pipeline()
	written := make(chan struct{})
	some = r.begin(some, written)
	for i, u := range some {
		if u.member {
			some[i].cmd = r.joinCommand(ctx, pipe, s, u.c, u.group)
		} else {
			some[i].cmd = pipe.HDel(ctx, r.sessionKey(u.c.kept.key), "g"+u.group)
		}
	}
	if len(some) == 0 {
		return true
	}
	_, err := pipe.Exec(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(written)
	for _, u := range some {
		delete(u.c.kept.keeping, u.group)
		if u.cmd.Err() == nil { // otherwise it stays unsaved
			r.savedLocked(u.c, u.group, u.number, true)
		}
	}
	if err != nil {
		r.drop(slog.LevelWarn, "sessions cannot be written", "error", err)
	}
	return err == nil
}

// begin makes calls that change a group from now on wait for written. It leaves out
// the groups that have begun to change since they were listed.
func (r *Redis) begin(some []unsavedGroup, written chan struct{}) []unsavedGroup {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(some, func(u unsavedGroup) bool {
		if u.c.kept.changing[u.group] > 0 || u.c.kept.unsaved[u.group] != u.number {
			return true
		}
		if u.c.kept.keeping == nil {
			u.c.kept.keeping = map[string]chan struct{}{}
		}
		u.c.kept.keeping[u.group] = written
		return false
	})
}

// refresh renews the sessions of this node on Redis. Those that are missing there are
// written again.
func (r *Redis) refresh(s *sessions) bool {
	life := time.Duration(s.life()) * time.Millisecond
	list := s.some(r, func(c *connection) bool { return c.kept.key != "" && c.kept.ended.IsZero() })
	for some := range slices.Chunk(list, keeperBatch) {
		ctx, cancel := r.bounded(r.ctx)
		pipe := r.client.Pipeline()
		known := make([]*redis.BoolCmd, len(some))
		for i, c := range some {
			known[i] = pipe.PExpire(ctx, r.sessionKey(c.kept.key), life)
		}
		_, err := pipe.Exec(ctx)
		cancel()
		if err != nil {
			r.drop(slog.LevelWarn, "sessions cannot be kept alive", "error", err)
			return false
		}
		for i, c := range some {
			if !known[i].Val() {
				r.mu.Lock()
				c.kept.reread = true
				r.mu.Unlock()
				wake(s.work)
			}
		}
	}
	return true
}

// endSession releases a connection that has ended. Its unsaved leaves are written
// later.
func (r *Redis) endSession(c *connection) {
	s := r.sessions.Load()
	if s == nil || c.kept == nil {
		return
	}
	r.mu.Lock()
	c.kept.ended = time.Now()
	unsaved := len(c.kept.unsaved) > 0 && c.kept.key != ""
	r.mu.Unlock()
	if !unsaved {
		s.remove(c)
	}
}
