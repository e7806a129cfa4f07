package backplane

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// Sessions on Redis: a hash for each session, with a field for each group and the
// time when it was joined, and a hash for each user that has groups of its own
// (server.Groups.AddUser). Every change is one script on one key, so that a Redis
// Cluster can spread them. Scripts are sent whole: a Redis that has just started
// knows none.
//
// The connection's own node writes what it joins and leaves. What could not be
// written stays in kept.unsaved until it is; the keeper (sessionkeeper.go) writes
// it, keeps the sessions alive, and reads what was missed while Redis was
// unavailable.

// sessions is what a Redis has once its hub has sessions.
type sessions struct {
	opts    server.SessionOptions
	channel string                 // where nodes are told that the groups of a user have changed
	changes chan wire.GroupCommand // received there; ConnectionID is a user
	work    chan struct{}          // wakes the keeper

	mu  sync.Mutex // guards opts and all; comes after Redis.mu
	all map[*connection]struct{}

	grants grants // guarded by Redis.mu
}

// kept is what a node knows of a connection of a hub with sessions. Guarded by
// Redis.mu.
type kept struct {
	key     string            // of the session on Redis; empty: none
	synced  bool              // the state on Redis was read
	reread  bool              // it must be read again: Redis was lost, or has lost it
	maker   string            // of the session on Redis, when it was last read
	read    int64             // when the groups of its user were, by the clock of Redis
	left    map[string]bool   // groups that it left before the session was read
	unsaved map[string]uint64 // groups whose state on Redis may be outdated, and the number of the change
	changes uint64
	// A group is written by one goroutine at a time, or an older state could overwrite
	// a newer one: the keeper skips groups that calls are changing, and a call waits
	// for a write that the keeper has begun.
	changing map[string]int           // groups that calls change, and how many
	keeping  map[string]chan struct{} // groups that the keeper writes; closed when it has
	granted  map[string]time.Time     // groups that come from the user alone, and when they end; zero is never
	ended    time.Time                // when the connection ended; zero means not yet
}

var _ server.SessionKeeper = (*Redis)(nil)

// The script of a new connection: ARGV are the key's time to live and an id of this
// script run. It creates the session if needed, and returns whether it existed, and its
// fields. The field s is the id of the run that created it: so the connection does
// not mistake it for an older one if go-redis sends the script twice, and others see
// that Redis had lost it. It also keeps a session without groups in existence.
const resumeScript = `
local known = redis.call('EXISTS', KEYS[1])
redis.call('HSETNX', KEYS[1], 's', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {tostring(known), redis.call('HGETALL', KEYS[1])}`

// The script of a join: ARGV are the key's time to live, an id of this script run, the
// field of the group, and the maximum of groups. It returns 0 if there are too many.
const joinScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then return 0 end
local t = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 's', ARGV[2])
redis.call('HSET', KEYS[1], ARGV[3], string.format('%.0f', t[1] * 1000000 + t[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`

// The script that reads the groups of a user, and the time.
const userScript = `
local t = redis.call('TIME')
return {string.format('%.0f', t[1] * 1000000 + t[2]), redis.call('HGETALL', KEYS[1])}`

// The script that changes the groups of a user: ARGV are the group, whether it is
// added, for how long (0 is forever), how many there may be, and how long a
// removal must be remembered: as long as a session that has the group may live.
// A value is the time when the membership ends, 0 for never, or, negative, when it
// was removed.
const changeUserScript = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function ends(value)
  if value < 0 then return ARGV[5] - value end
  return value
end
local members, last = 0, 0
local function count(value)
  if value >= 0 then members = members + 1 end
  if value == 0 then last = math.huge end
  last = math.max(last, ends(value))
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local value = tonumber(all[i + 1])
  if value ~= 0 and ends(value) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then
    count(value)
  end
end
local value = -now
if ARGV[2] == '1' then
  if members >= tonumber(ARGV[4]) then return 0 end
  value = tonumber(ARGV[3])
  if value > 0 then value = now + value end
end
count(value)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', value))
if last == math.huge then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((last - now) / 1000)))
end
return 1`

// KeepSessions implements server.SessionKeeper.
func (r *Redis) KeepSessions(o server.SessionOptions) {
	s := &sessions{
		opts: o, channel: r.channels.Extra("users"), changes: make(chan wire.GroupCommand, commandQueue),
		work: make(chan struct{}, 1), all: map[*connection]struct{}{},
	}
	if !r.sessions.CompareAndSwap(nil, s) {
		r.sessions.Load().setOptions(o)
		return
	}
	r.hear(s.channel)
	r.running.Go(func() { r.keepSessions(s) })
}

// setOptions is for another hub that gets the manager after the first one was shut
// down.
func (s *sessions) setOptions(o server.SessionOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts = o
}

func (s *sessions) options() server.SessionOptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts
}

// life is how long a session is kept on Redis without being renewed, in milliseconds:
// nodes renew it every third of the TTL.
func (s *sessions) life() int64 { return max(1, (s.options().TTL * 3 / 2).Milliseconds()) }

func (r *Redis) sessionKey(key string) string   { return r.channels.Extra("session:" + key) }
func (r *Redis) userGroupsKey(id string) string { return r.channels.Extra("usergroups:" + id) }

// ConnectedSession implements server.SessionKeeper. The session is read in one
// round trip, while Redis confirms the connection's own channels. While Redis is
// unavailable the client is let in, as by Connected, and its session is read once
// Redis is back.
func (r *Redis) ConnectedSession(ctx context.Context, c server.Receiver, key string) (resumed bool, err error) {
	s := r.sessions.Load()
	own, entered := r.admit(c, &kept{key: key, unsaved: map[string]uint64{}, left: map[string]bool{}})
	s.add(own)
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	r.expectReady(ctx)
	resumed, lost := r.firstSync(ctx, s, own)
	if err := r.awaitOwn(ctx, entered); err != nil {
		return resumed, err
	}
	if lost != nil {
		wake(s.work)
		return false, fmt.Errorf("%w: %w", server.ErrSessionNotKept, lost)
	}
	return resumed, nil
}

// firstSync reads the session of a new connection. It tries again as long as
// this node is ready: after a restart of Redis the connections of go-redis' pool
// fail one after the other.
func (r *Redis) firstSync(ctx context.Context, s *sessions, c *connection) (resumed bool, err error) {
	err = ErrUnavailable
	for r.state.ready() {
		var states []savedState
		if states, err = r.sync(ctx, s, []*connection{c}); err == nil {
			return states[0].resumed, nil
		}
		var answered redis.Error
		if errors.As(err, &answered) || ctx.Err() != nil {
			break
		}
		sleep(ctx, retryPause)
	}
	return false, err
}

func (s *sessions) add(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[c] = struct{}{}
}

// sync reads the state of connections of this node from Redis, and adds them to the
// groups that they should be in.
func (r *Redis) sync(ctx context.Context, s *sessions, list []*connection) (states []savedState, err error) {
	states, err = r.readStates(ctx, s, list)
	if err != nil {
		return nil, err
	}
	var entered []*subscription
	for i, c := range list {
		entered = append(entered, r.adopt(s, c, states[i])...)
	}
	for _, sub := range entered {
		if e := r.await(ctx, sub, true); e != nil && err == nil {
			err = e
		}
	}
	return states, err
}

// adopt applies the state on Redis to c, and returns the new subscriptions.
func (r *Redis) adopt(s *sessions, c *connection, state savedState) (entered []*subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := c.kept
	if r.connections[c.ID()] != c || state.now < k.read {
		return nil // it has gone, or a newer state was adopted meanwhile
	}
	enter := func(group string) bool {
		if server.CheckJoin(c.Receiver, group, len(c.groups)+len(c.joining)) != nil {
			return false
		}
		c.groups[group] = struct{}{}
		r.present(c, group, true)
		sub, _ := r.enterLocked(r.channels.Group(group), c.Receiver)
		entered = append(entered, sub)
		return true
	}
	for group, joined := range state.groups {
		_, member := c.groups[group]
		removed := state.user[group] < 0 && joined <= -state.user[group]
		switch _, changed := k.unsaved[group]; {
		case changed || k.left[group]: // what this node knows is newer
		case removed:
			k.change(group)
			if member && k.explicit(group) {
				r.exitLocked(c, group)
			}
		case !member && !k.synced:
			enter(group)
		}
	}
	r.grantLocked(s, c, state, enter)
	if k.key != "" && (!state.known || k.synced && state.maker != k.maker) { // the session is new, or Redis has lost it and a script has created it again
		for group := range c.groups {
			if k.explicit(group) {
				k.change(group)
			}
		}
	}
	k.synced, k.maker, k.read, k.left = true, state.maker, state.now, nil
	if len(k.unsaved) > 0 {
		wake(s.work)
	}
	return entered
}

// grantLocked adds c to the groups of its user, and removes it from those that have
// expired. Redis.mu is held.
func (r *Redis) grantLocked(s *sessions, c *connection, state savedState, enter func(group string) bool) {
	k := c.kept
	for group := range k.granted {
		if end, has := state.user[group]; !has || end < 0 {
			delete(k.granted, group)
			r.exitLocked(c, group)
		}
	}
	for group, end := range state.user {
		_, member := c.groups[group]
		_, granted := k.granted[group]
		if end < 0 || end > 0 && end <= state.now || member && !granted || !member && !enter(group) {
			continue
		}
		until := time.Time{}
		if end > 0 {
			until = time.Now().Add(time.Duration(end-state.now) * time.Microsecond)
			s.grants.add(c.UserID(), group, until)
			wake(s.work)
		}
		if k.granted == nil {
			k.granted = map[string]time.Time{}
		}
		k.granted[group] = until
	}
}

// explicit reports whether the connection itself joined a group that it is in.
func (k *kept) explicit(group string) bool {
	_, granted := k.granted[group]
	return !granted
}

// change records that a group has to be written to Redis.
func (k *kept) change(group string) uint64 {
	k.changes++
	k.unsaved[group] = k.changes
	return k.changes
}

// exitLocked ends a membership. Redis.mu is held.
func (r *Redis) exitLocked(c *connection, group string) {
	delete(c.groups, group)
	r.present(c, group, true)
	if sub := r.subscribed[r.channels.Group(group)]; sub != nil {
		sub.members.Remove(c.ID())
		r.markLocked(sub)
	}
}

// maker returns a new id for a script run of c, in case it creates the session.
func (r *Redis) maker(c *connection) string {
	return c.ID() + " " + strconv.FormatUint(r.scripts.Add(1), 10)
}

// hasSession reports whether the joins and leaves of c belong to a session.
func (c *connection) hasSession() bool { return c.kept != nil && c.kept.key != "" }

// changing records that a group is about to change on Redis. saved ends it.
// Without a session it returns 0. Redis.mu is held.
func (r *Redis) changing(c *connection, group string, leaving bool) (number uint64) {
	if !c.hasSession() {
		return 0
	}
	if !c.kept.synced {
		c.kept.left[group] = leaving
	}
	if c.kept.changing == nil {
		c.kept.changing = map[string]int{}
	}
	c.kept.changing[group]++
	return c.kept.change(group)
}

// changedLocked ends a change, once the node's own state is updated. Redis.mu is
// held.
func (r *Redis) changedLocked(c *connection, group string, number uint64, ok bool) {
	if c.kept.changing[group]--; c.kept.changing[group] == 0 {
		delete(c.kept.changing, group)
	}
	r.savedLocked(c, group, number, ok)
}

// awaitKeeper waits until the keeper has finished a write of a group that is
// changing, or ctx is done.
func (r *Redis) awaitKeeper(ctx context.Context, c *connection, group string) {
	r.mu.Lock()
	written := c.kept.keeping[group]
	r.mu.Unlock()
	if written != nil {
		select {
		case <-written:
		case <-ctx.Done():
		}
	}
}

// savedLocked records that Redis has the state of the change with that number. If the
// write failed, or another change came after it, the keeper writes the current state.
// Redis.mu is held.
func (r *Redis) savedLocked(c *connection, group string, number uint64, ok bool) {
	k := c.kept
	if ok && k.unsaved[group] == number {
		delete(k.unsaved, group)
		return
	}
	k.change(group)
	wake(r.sessions.Load().work)
}

// saveJoin writes to Redis that c joins group.
func (r *Redis) saveJoin(ctx context.Context, c *connection, group string) error {
	r.awaitKeeper(ctx, c, group)
	var space int
	err := r.attempt(ctx, func() (err error) {
		space, err = r.joinCommand(ctx, r.client, r.sessions.Load(), c, group).Int()
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("backplane: the session cannot be written: %w", err)
	case space == 0:
		return server.ErrTooManyGroups
	}
	return nil
}

func (r *Redis) joinCommand(ctx context.Context, on redis.Cmdable, s *sessions, c *connection, group string) *redis.Cmd {
	return on.Eval(ctx, joinScript, []string{r.sessionKey(c.kept.key)}, s.life(), r.maker(c), "g"+group, s.options().MaximumGroups)
}

// saveLeave writes to Redis that c has left group, as the change with that number.
func (r *Redis) saveLeave(ctx context.Context, c *connection, group string, number uint64) error {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	r.awaitKeeper(ctx, c, group)
	err := r.attempt(ctx, func() error { return r.client.HDel(ctx, r.sessionKey(c.kept.key), "g"+group).Err() })
	r.mu.Lock()
	r.changedLocked(c, group, number, err == nil)
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("backplane: the connection has left the group, but its session has not yet: %w", err)
	}
	return nil
}

// attempt runs f, whose commands may be sent twice, until Redis has answered them, or
// ctx is done. It waits for a Redis that is unavailable.
func (r *Redis) attempt(ctx context.Context, f func() error) error {
	for {
		if err := r.denied(); err != nil {
			return err
		}
		err := r.state.wait(ctx)
		if err == nil {
			err = f()
		}
		var answered redis.Error
		switch {
		case err == nil, errors.As(err, &answered), errors.Is(err, ErrClosed):
			return err
		case r.ctx.Err() != nil:
			return ErrClosed
		}
		sleep(ctx, retryPause)
		if ctx.Err() != nil {
			return r.late(ctx)
		}
	}
}
