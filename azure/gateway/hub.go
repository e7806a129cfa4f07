package gateway

import (
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/members"
)

// A hub is what the clients and app servers of one hub name share.
type hub struct {
	g    *Gateway
	name string // in lower case

	all members.Set[*client] // as clients

	// mu guards what follows, what clients and servers say is guarded by it, and
	// who is in the sets: it is held while they change. It is never held while
	// anything is waited for. client.mu may be taken under it.
	mu      sync.RWMutex
	clients map[string]*client // by connection id, from when an app server is told of it
	users   map[string]*user
	groups  map[string]*members.Set[*client] // none is empty
	servers map[string]*appServer            // by server id; none has no connection
	left    map[string]leftServer            // app servers that were here just now; in a fleet only
	results results
}

// A user has clients, or is in groups, or both.
type user struct {
	clients members.Set[*client]
	groups  map[string]*userGroup
}

// A userGroup is the membership of a user, whose later clients are in the group as
// well.
type userGroup struct {
	ends  time.Time
	timer *time.Timer
}

func newHub(g *Gateway, name string) *hub {
	return &hub{
		g: g, name: name,
		clients: map[string]*client{},
		users:   map[string]*user{},
		groups:  map[string]*members.Set[*client]{},
		servers: map[string]*appServer{},
		results: newResults(),
	}
}

// client returns the client with an id, whose handshake may not be answered; nil for
// none.
func (h *hub) client(id string) *client {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.clients[id]
}

// userLocked returns the user with an id, and makes one if there is none.
func (h *hub) userLocked(id string) *user {
	u := h.users[id]
	if u == nil {
		u = &user{}
		h.users[id] = u
	}
	return u
}

// dropUserLocked removes a user without clients and groups.
func (h *hub) dropUserLocked(id string) {
	if u := h.users[id]; u != nil && u.clients.Len() == 0 && len(u.groups) == 0 {
		delete(h.users, id)
	}
}

// addLocked makes a client one that sends reach. It is in the groups of its user at
// once.
func (h *hub) addLocked(c *client) {
	h.all.Add(c)
	if !c.who.hasUser {
		return
	}
	u := h.userLocked(c.who.userID)
	u.clients.Add(c)
	for group := range u.groups {
		h.joinLocked(c, group, byUser)
	}
}

// forget removes a client from everything, and returns who waits for its results.
func (h *hub) forget(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[c.conn.ID()] != c {
		return
	}
	delete(h.clients, c.conn.ID())
	h.all.Remove(c.conn.ID())
	if u := h.users[c.who.userID]; u != nil && c.who.hasUser {
		u.clients.Remove(c.conn.ID())
		h.dropUserLocked(c.who.userID)
	}
	for group := range c.groups {
		h.leaveLocked(c, group, byItself|byUser)
	}
	c.mu.Lock()
	server := c.server
	c.mu.Unlock()
	if server != nil {
		delete(server.clients, c)
	}
	h.failResultsLocked(c)
}

// membership is why a client is in a group: each bit is a reason.
type membership uint8

const (
	byItself membership = 1 << iota
	byUser
)

func (h *hub) joinLocked(c *client, group string, why membership) {
	if c.groups == nil {
		c.groups = map[string]membership{}
	}
	set := h.groups[group]
	if set == nil {
		set = &members.Set[*client]{}
		h.groups[group] = set
	}
	set.Add(c)
	if c.groups[group] == 0 {
		h.g.memberships.Add(1)
	}
	c.groups[group] |= why
}

// leaveLocked takes reasons away; a client without any leaves the group.
func (h *hub) leaveLocked(c *client, group string, why membership) {
	left := c.groups[group] &^ why
	if left != 0 {
		c.groups[group] = left
		return
	}
	if c.groups[group] != 0 {
		h.g.memberships.Add(-1)
	}
	delete(c.groups, group)
	if set := h.groups[group]; set != nil && set.Remove(c.conn.ID()) {
		delete(h.groups, group)
	}
}
