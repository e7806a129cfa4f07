package backplane

import (
	"container/heap"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// AddUserToGroup implements server.SessionKeeper. It returns once all nodes that
// are subscribed have added their connections; ErrNoAck means that one did not
// confirm within AckTimeout; it catches up once it reaches Redis again. In a Redis
// Cluster it does not wait for other nodes.
func (r *Redis) AddUserToGroup(ctx context.Context, userID, group string, ttl time.Duration) error {
	return r.changeUser(ctx, wire.GroupCommand{Action: wire.ActionAdd, ConnectionID: userID, Group: group}, ttl)
}

// RemoveUserFromGroup implements server.SessionKeeper; see AddUserToGroup.
func (r *Redis) RemoveUserFromGroup(ctx context.Context, userID, group string) error {
	return r.changeUser(ctx, wire.GroupCommand{Action: wire.ActionRemove, ConnectionID: userID, Group: group}, 0)
}

// changeUser writes a change of a user's groups, and notifies the nodes.
func (r *Redis) changeUser(ctx context.Context, change wire.GroupCommand, ttl time.Duration) error {
	s := r.sessions.Load()
	added := 0
	if change.Action == wire.ActionAdd {
		added = 1
	}
	limited, cancel := r.bounded(ctx)
	defer cancel()
	if ttl > 0 {
		ttl = max(ttl, time.Millisecond)
	}
	var space int
	err := r.attempt(limited, func() (err error) {
		space, err = r.client.Eval(limited, changeUserScript, []string{r.userGroupsKey(change.ConnectionID)},
			change.Group, added, ttl.Microseconds(), s.options().MaximumGroups, s.life()*1000).Int()
		return err
	})
	switch {
	case err != nil:
		return err
	case space == 0:
		return server.ErrTooManyGroups
	}
	return r.tellAll(ctx, s.channel, change)
}

// tellAll publishes a command for every node of ours, and waits until all that
// received it have acknowledged it.
func (r *Redis) tellAll(ctx context.Context, channel string, command wire.GroupCommand) error {
	ack := r.expectAcks()
	defer r.forgetAcks(ack)
	command.ID, command.Server = ack.id, r.opts.ServerName
	count, err := r.publish(ctx, channel, wire.AppendGroupCommand(nil, command))
	if err != nil || r.cluster {
		return err
	}
	r.wantAcks(ack, int(count))
	return r.awaitAcks(ctx, ack)
}

// heardOfUser queues a change of a user's groups, from another node or this one.
func (r *Redis) heardOfUser(s *sessions, payload []byte) error {
	change, err := wire.ReadGroupCommand(payload)
	if err != nil {
		return err
	}
	select {
	case s.changes <- change:
	default:
		r.drop(slog.LevelError, "change of a user's groups dropped: too many wait", "from", change.Server, "limit", commandQueue)
		s.forget(r) // it is then read with all others
		wake(s.work)
	}
	return nil
}

// userChanged applies the user's groups on Redis to its connections, and acknowledges
// the change.
func (r *Redis) userChanged(s *sessions, change wire.GroupCommand) {
	list := r.connectionsOf(change.ConnectionID)
	if change.Action == wire.ActionRemove {
		for _, c := range list {
			r.removeOfUser(c, change.Group)
		}
	}
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	for some := range slices.Chunk(list, keeperBatch) {
		if _, err := r.sync(ctx, s, some); err != nil {
			r.drop(slog.LevelWarn, "change of a user's groups failed", "from", change.Server, "error", err)
			r.rereadLater(s, list)
			return
		}
	}
	wake(s.work)
	r.post(r.channels.Ack(change.Server), wire.AppendAck(nil, change.ID))
}

// connectionsOf returns the connections of a user on this node.
func (r *Redis) connectionsOf(userID string) (list []*connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sub := r.subscribed[r.channels.User(userID)]
	if sub == nil || userID == "" {
		return nil
	}
	members, _ := sub.members.All()
	for _, m := range members {
		if c := r.connections[m.ID()]; c != nil && c.kept != nil {
			list = append(list, c)
		}
	}
	return list
}

// removeOfUser ends a membership, however it came about.
func (r *Redis) removeOfUser(c *connection, group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, member := c.groups[group]; !member || r.connections[c.ID()] != c {
		return
	}
	if c.kept.explicit(group) {
		c.kept.change(group)
	}
	delete(c.kept.granted, group)
	r.exitLocked(c, group)
}

// rereadLater makes the keeper read the states of connections again.
func (r *Redis) rereadLater(s *sessions, list []*connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range list {
		c.kept.reread = true
	}
	wake(s.work)
}

// grants are the expiry times of the groups of this node's users, each once, the
// earliest on top. Guarded by Redis.mu.
type grants struct {
	ends  grantHeap
	known map[userGroup]time.Time
}

type userGroup struct{ user, group string }

type grantEnd struct {
	userGroup
	at time.Time
}

type grantHeap []grantEnd

func (h grantHeap) Len() int           { return len(h) }
func (h grantHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h grantHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *grantHeap) Push(v any)        { *h = append(*h, v.(grantEnd)) }
func (h *grantHeap) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	(*h)[last] = grantEnd{}
	*h = (*h)[:last]
	return v
}

// add records when a group of a user expires, unless an earlier time is recorded:
// that one will check again.
func (g *grants) add(user, group string, at time.Time) {
	which := userGroup{user, group}
	if known, ok := g.known[which]; ok && !at.Before(known) {
		return
	}
	if g.known == nil {
		g.known = map[userGroup]time.Time{}
	}
	g.known[which] = at
	heap.Push(&g.ends, grantEnd{which, at})
}

// next is the earliest expiry; zero if there is none.
func (g *grants) next() time.Time {
	if len(g.ends) == 0 {
		return time.Time{}
	}
	return g.ends[0].at
}

// endGrants ends the memberships that have expired.
func (r *Redis) endGrants(s *sessions) {
	for {
		r.mu.Lock()
		end := s.grants.next()
		if end.IsZero() || end.After(time.Now()) {
			r.mu.Unlock()
			return
		}
		over := heap.Pop(&s.grants.ends).(grantEnd)
		if s.grants.known[over.userGroup].Equal(over.at) {
			delete(s.grants.known, over.userGroup)
		}
		r.mu.Unlock()
		for _, c := range r.connectionsOf(over.user) {
			r.endGrant(s, c, over.group)
		}
	}
}

func (r *Redis) endGrant(s *sessions, c *connection, group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, granted := c.kept.granted[group]
	switch {
	case !granted || until.IsZero():
	case until.After(time.Now()): // it was extended
		s.grants.add(c.UserID(), group, until)
	default:
		delete(c.kept.granted, group)
		r.exitLocked(c, group)
	}
}

// nextGrant is when the next membership expires; zero is never.
func (r *Redis) nextGrant(s *sessions) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.grants.next()
}
