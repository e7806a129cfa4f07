package server

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"
	"weak"
)

// localSessions are the sessions of a localManager, and the groups of its users.
// Everything is guarded by localManager.mu. It has no goroutine: sessions that
// are over are dropped when the next client connects.
type localSessions struct {
	opts    SessionOptions
	users   map[string]*localUser
	of      map[string]*localSession // by connection id
	granted map[string]map[string]struct{}
	count   int
	ended   list.List // of *localSession without connections, the first to end in front
	grants  uint64    // numbers the grants
}

// A localUser is what is kept of a user, or, with an empty id, of all that are
// anonymous.
type localUser struct {
	sessions map[string]*localSession // by key
	groups   map[string]grant         // of AddUser
}

// A grant is a group of a user, until its timer removes it.
type grant struct {
	number uint64
	timer  *time.Timer // nil: without end
}

type localSession struct {
	userID, key string
	groups      map[string]struct{}
	connections int
	until       time.Time     // without connections
	place       *list.Element // in ended, without connections
}

var _ SessionKeeper = (*localManager)(nil)

// KeepSessions implements SessionKeeper.
func (m *localManager) KeepSessions(o SessionOptions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = &localSessions{
		opts: o, users: map[string]*localUser{}, of: map[string]*localSession{}, granted: map[string]map[string]struct{}{},
	}
}

// ConnectedSession implements SessionKeeper.
func (m *localManager) ConnectedSession(ctx context.Context, c Receiver, key string) (resumed bool, err error) {
	if err := m.Connected(ctx, c); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions
	s.dropEnded(time.Now())
	if key != "" {
		if resumed, err = s.connect(c, key); err != nil {
			err = fmt.Errorf("%w: %w", ErrSessionNotKept, err)
		}
	}
	if session := s.of[c.ID()]; session != nil {
		for group := range session.groups {
			m.enterGroup(c, group)
		}
	}
	if u := s.users[c.UserID()]; u != nil {
		for group := range u.groups {
			if e := m.grantLocked(c, group); e != nil {
				err = errors.Join(err, fmt.Errorf("%w: group of the user: %w", ErrSessionNotKept, e))
			}
		}
	}
	return resumed, err
}

// connect counts c for its session.
func (s *localSessions) connect(c Receiver, key string) (known bool, err error) {
	u := s.users[c.UserID()]
	session := (*localSession)(nil)
	if u != nil {
		session = u.sessions[key]
	}
	known = session != nil
	if !known {
		if s.count >= s.opts.MaximumSessions {
			return false, ErrTooManySessions
		}
		s.count++
		session = &localSession{userID: c.UserID(), key: key, groups: map[string]struct{}{}}
		s.user(c.UserID()).sessions[key] = session
	}
	if session.connections == 0 && known {
		s.ended.Remove(session.place)
		session.place = nil
	}
	session.connections++
	s.of[c.ID()] = session
	return known, nil
}

func (s *localSessions) user(id string) *localUser {
	u := s.users[id]
	if u == nil {
		u = &localUser{sessions: map[string]*localSession{}, groups: map[string]grant{}}
		s.users[id] = u
	}
	return u
}

// forgetUser drops a user of whom nothing is kept.
func (s *localSessions) forgetUser(id string) {
	if u := s.users[id]; u != nil && len(u.sessions) == 0 && len(u.groups) == 0 {
		delete(s.users, id)
	}
}

// dropEnded drops the sessions whose time is over.
func (s *localSessions) dropEnded(now time.Time) {
	for e := s.ended.Front(); e != nil; e = s.ended.Front() {
		session := e.Value.(*localSession)
		if now.Before(session.until) {
			return
		}
		s.ended.Remove(e)
		delete(s.users[session.userID].sessions, session.key)
		s.forgetUser(session.userID)
		s.count--
	}
}

// disconnected lets the session of a connection end after its time.
func (s *localSessions) disconnected(id string) {
	if s == nil {
		return
	}
	delete(s.granted, id)
	session := s.of[id]
	if session == nil {
		return
	}
	delete(s.of, id)
	if session.connections--; session.connections == 0 {
		session.until = time.Now().Add(s.opts.TTL)
		session.place = s.ended.PushBack(session)
	}
}

// joined notes that a connection is in group by itself, or says why it may not
// be.
func (s *localSessions) joined(id, group string) error {
	if s == nil {
		return nil
	}
	if session := s.of[id]; session != nil {
		if _, known := session.groups[group]; !known {
			if len(session.groups) >= s.opts.MaximumGroups {
				return ErrTooManyGroups
			}
			session.groups[group] = struct{}{}
		}
	}
	delete(s.granted[id], group)
	return nil
}

func (s *localSessions) left(id, group string) {
	if s == nil {
		return
	}
	if session := s.of[id]; session != nil {
		delete(session.groups, group)
	}
	delete(s.granted[id], group)
}

// enterGroup makes c a member of group, whatever its session says. m.mu is held.
func (m *localManager) enterGroup(c Receiver, group string) {
	groups := m.joined[c.ID()]
	if groups == nil {
		groups = map[string]struct{}{}
		m.joined[c.ID()] = groups
	}
	groups[group] = struct{}{}
	join(m.groups, group, c)
}

// grantLocked makes c a member of a group of its user. m.mu is held.
func (m *localManager) grantLocked(c Receiver, group string) error {
	id := c.ID()
	if _, member := m.joined[id][group]; member {
		return nil
	}
	if err := CheckJoin(c, group, len(m.joined[id])); err != nil {
		return err
	}
	if m.sessions.granted[id] == nil {
		m.sessions.granted[id] = map[string]struct{}{}
	}
	m.sessions.granted[id][group] = struct{}{}
	m.enterGroup(c, group)
	return nil
}

// exitGroup ends a membership. m.mu is held.
func (m *localManager) exitGroup(id, group string) {
	leave(m.groups, group, id)
	delete(m.joined[id], group)
	if len(m.joined[id]) == 0 {
		delete(m.joined, id)
	}
}

// AddUserToGroup implements SessionKeeper.
func (m *localManager) AddUserToGroup(_ context.Context, userID, group string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions
	u := s.users[userID]
	if u == nil && len(s.users) >= s.opts.MaximumSessions {
		return ErrTooManySessions
	}
	u = s.user(userID)
	old, known := u.groups[group]
	if !known && len(u.groups) >= s.opts.MaximumGroups {
		return ErrTooManyGroups
	}
	if old.timer != nil {
		old.timer.Stop()
	}
	s.grants++
	g := grant{number: s.grants}
	if ttl > 0 {
		own := weak.Make(m) // a hub that nobody uses any more must not live as long as the grant
		g.timer = time.AfterFunc(ttl, func() {
			if m := own.Value(); m != nil {
				m.endGrant(userID, group, g.number)
			}
		})
	}
	u.groups[group] = g
	var errs []error
	for _, c := range m.connectionsOf(userID) {
		errs = append(errs, m.grantLocked(c, group))
	}
	return errors.Join(errs...)
}

// connectionsOf are those of a user. m.mu is held.
func (m *localManager) connectionsOf(userID string) []Receiver {
	if set := m.users[userID]; set != nil {
		all, _ := set.All()
		return all
	}
	return nil
}

// endGrant ends a grant whose time is over.
func (m *localManager) endGrant(userID, group string, number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.sessions.users[userID]
	if u == nil || u.groups[group].number != number {
		return
	}
	delete(u.groups, group)
	m.sessions.forgetUser(userID)
	for _, c := range m.connectionsOf(userID) {
		if _, by := m.sessions.granted[c.ID()][group]; by {
			delete(m.sessions.granted[c.ID()], group)
			m.exitGroup(c.ID(), group)
		}
	}
}

// RemoveUserFromGroup implements SessionKeeper.
func (m *localManager) RemoveUserFromGroup(_ context.Context, userID, group string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.sessions.users[userID]; u != nil {
		if g := u.groups[group]; g.timer != nil {
			g.timer.Stop()
		}
		delete(u.groups, group)
		for _, session := range u.sessions {
			delete(session.groups, group)
		}
		m.sessions.forgetUser(userID)
	}
	for _, c := range m.connectionsOf(userID) {
		m.exitGroup(c.ID(), group)
		m.sessions.left(c.ID(), group)
	}
	return nil
}
