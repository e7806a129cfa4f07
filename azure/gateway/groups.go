package gateway

import (
	"slices"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// longestGroup is how long a user is in a group if no time is given.
const longestGroup = 365 * 24 * time.Hour

// join adds a client to a group. All methods of this file return the status of an
// ack.
func (h *hub) join(id, group string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.clients[id]
	if c == nil {
		return wire.AckNotFound
	}
	if c.groups[group] == 0 && h.g.fullOfMembers() {
		return wire.AckForbidden
	}
	h.joinLocked(c, group, byItself)
	return wire.AckOK
}

// fullOfMembers reports whether there are as many memberships as there may be. Hubs
// that ask at the same time may come to some more.
func (g *Gateway) fullOfMembers() bool {
	return g.memberships.Load() >= int64(g.opts.MaximumMemberships)
}

// leave removes a client from a group; nil means all groups.
func (h *hub) leave(id string, group *string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.clients[id]
	if c == nil {
		return wire.AckNotFound
	}
	if group != nil {
		h.leaveLocked(c, *group, byItself|byUser)
		return wire.AckOK
	}
	for name := range c.groups {
		h.leaveLocked(c, name, byItself|byUser)
	}
	return wire.AckOK
}

// userJoin adds a user to a group for some seconds: the clients of now, and those
// that connect meanwhile. Nil means a year, 0 the clients of now only.
func (h *hub) userJoin(userID, group string, seconds *int) int {
	ttl := longestGroup
	if seconds != nil {
		ttl = time.Duration(min(max(0, *seconds), int(longestGroup/time.Second))) * time.Second
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ttl == 0 {
		if u := h.users[userID]; u != nil {
			if h.g.fullOfMembers() {
				return wire.AckForbidden
			}
			h.joinClientsLocked(u, group, byItself)
		}
		return wire.AckOK
	}
	u := h.userLocked(userID)
	old := u.groups[group]
	switch {
	case old != nil:
		old.timer.Stop()
	case len(u.groups) >= h.g.opts.MaximumUserGroups, h.g.fullOfMembers():
		h.dropUserLocked(userID)
		return wire.AckForbidden
	case u.groups == nil:
		u.groups = map[string]*userGroup{}
	}
	g := &userGroup{ends: time.Now().Add(ttl)}
	g.timer = time.AfterFunc(ttl, func() { h.userGroupEnds(userID, group, g) })
	u.groups[group] = g
	if old == nil {
		h.g.memberships.Add(1)
	}
	h.joinClientsLocked(u, group, byUser)
	return wire.AckOK
}

func (h *hub) joinClientsLocked(u *user, group string, why membership) {
	list, _ := u.clients.All()
	for _, c := range list {
		h.joinLocked(c, group, why)
	}
}

// userGroupEnds ends a membership that has expired. Clients that have joined by
// themselves stay.
func (h *hub) userGroupEnds(userID, group string, g *userGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.users[userID]; u != nil && u.groups[group] == g {
		h.endUserGroupLocked(userID, u, group, byUser)
	}
}

func (h *hub) endUserGroupLocked(userID string, u *user, group string, why membership) {
	if g := u.groups[group]; g != nil {
		g.timer.Stop()
		delete(u.groups, group)
		h.g.memberships.Add(-1)
	}
	list, _ := u.clients.All()
	for _, c := range list {
		h.leaveLocked(c, group, why)
	}
	h.dropUserLocked(userID)
}

// userLeave removes a user, with all clients, from a group; nil means all groups.
func (h *hub) userLeave(userID string, group *string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[userID]
	if u == nil {
		return wire.AckOK // there is nothing to leave
	}
	if group != nil {
		h.endUserGroupLocked(userID, u, *group, byItself|byUser)
		return wire.AckOK
	}
	for name := range u.groups {
		h.endUserGroupLocked(userID, u, name, byItself|byUser)
	}
	list, _ := u.clients.All()
	for _, c := range list {
		for name := range c.groups {
			h.leaveLocked(c, name, byItself|byUser)
		}
	}
	return wire.AckOK
}

func (h *hub) isUserInGroup(userID, group string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	u := h.users[userID]
	if u == nil {
		return false
	}
	if u.groups[group] != nil {
		return true
	}
	list, _ := u.clients.All()
	return slices.ContainsFunc(list, func(c *client) bool { return c.groups[group] != 0 })
}

func (h *hub) hasGroup(name string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.groups[name] != nil
}

func (h *hub) hasClient(id string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.clients[id] != nil
}

func (h *hub) hasUser(id string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	u := h.users[id]
	return u != nil && u.clients.Len() > 0
}

// Sizes of a page of a group's members.
const (
	defaultPage = 100
	largestPage = 200
)

// pageOf is how long a page may be, and whether there may be one after it.
func pageOf(m *wire.GroupMemberQuery) (size int, more bool) {
	size = defaultPage
	if m.MaxPageSize != nil && *m.MaxPageSize > 0 {
		size = min(*m.MaxPageSize, largestPage)
	}
	if m.Top != nil && *m.Top <= size {
		return max(0, *m.Top), false
	}
	return size, true
}

// membersPage lists members in the order of their ids; the token of a page is the
// last one.
func (h *hub) membersPage(m *wire.GroupMemberQuery) wire.GroupMembers {
	after := wire.Text(m.ContinuationToken)
	size, more := pageOf(m)
	var rest []*client
	for _, c := range h.membersOf(m.GroupName) {
		if c.conn.ID() > after {
			rest = append(rest, c)
		}
	}
	slices.SortFunc(rest, func(a, b *client) int {
		if a.conn.ID() < b.conn.ID() {
			return -1
		}
		return 1
	})
	page := wire.GroupMembers{}
	for _, c := range rest[:min(size, len(rest))] {
		member := wire.GroupMember{ConnectionID: c.conn.ID()}
		if c.who.hasUser {
			member.UserID = &c.who.userID
		}
		page.Members = append(page.Members, member)
	}
	if more && len(rest) > size && size > 0 {
		last := rest[size-1].conn.ID()
		page.ContinuationToken = &last
	}
	return page
}
