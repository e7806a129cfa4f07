package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// connectLocked registers a connection of an app server.
func (h *hub) connectLocked(s *serverConn) {
	server := h.servers[s.server]
	if server == nil {
		server = &appServer{id: s.server}
		h.servers[s.server] = server
	}
	for _, other := range server.conns {
		s.leaving = s.leaving || other.leaving
	}
	server.conns = append(server.conns, s)
	s.connected = true
}

// disconnectLocked removes it.
func (h *hub) disconnectLocked(s *serverConn) {
	s.carries, s.connected = false, false
	server := h.servers[s.server]
	if server == nil {
		return
	}
	server.conns = slices.DeleteFunc(server.conns, func(one *serverConn) bool { return one == s })
	if len(server.conns) == 0 {
		delete(h.servers, s.server)
		h.dropCallerLocked(s.server)
		h.noteLeftLocked(s)
	}
}

// connLocked returns a connection of an app server to tell it something, better
// the one given than another; nil for none.
func (h *hub) connLocked(server string, better *serverConn) *serverConn {
	of := h.servers[server]
	switch {
	case of == nil:
		return nil
	case better != nil && better.connected:
		return better
	}
	return of.conns[0]
}

// A stickiness says which app server a client must have.
type stickiness uint8

const (
	stickyNone stickiness = iota
	stickyPreferred
	stickyRequired
)

// chooseLocked finds the connection for a new client: the one with the fewest, of
// the app server that it sticks to where there is one.
func (h *hub) chooseLocked(who *clientToken) *serverConn {
	if who.sticky != stickyNone {
		if s := h.servers[who.server].fewest(); s != nil || who.sticky == stickyRequired {
			return s
		}
	}
	return h.fewestLocked(func(*serverConn) bool { return true })
}

func (h *hub) fewestLocked(allowed func(*serverConn) bool) (best *serverConn) {
	for _, server := range h.servers {
		if s := server.fewest(); s != nil && allowed(s) && (best == nil || len(s.clients) < len(best.clients)) {
			best = s
		}
	}
	return best
}

// fewest returns the connection with the fewest clients that takes new ones.
func (s *appServer) fewest() (best *serverConn) {
	if s == nil {
		return nil
	}
	for _, one := range s.conns {
		if one.carries && !one.leaving && (best == nil || len(one.clients) < len(best.clients)) {
			best = one
		}
	}
	return best
}

// open gives a client to an app server, and reports false if there is none.
func (h *hub) open(c *client) bool {
	open, hello := c.openMessage(""), c.hello()
	h.mu.Lock()
	s := h.chooseLocked(c.who)
	if s == nil {
		h.mu.Unlock()
		return false
	}
	c.mu.Lock()
	if !c.ended { // else its time was over just now
		h.bindLocked(c, s)
		h.addLocked(c)
		s.queue(open)
		s.queue(hello)
	}
	c.mu.Unlock()
	h.mu.Unlock()
	s.conn.Relieve()
	return true
}

// bindLocked makes s the connection of a client. client.mu is held, too.
func (h *hub) bindLocked(c *client, s *serverConn) {
	if c.server != nil {
		delete(c.server.clients, c)
	}
	c.server = s
	s.clients[c] = struct{}{}
	h.clients[c.conn.ID()] = c
}

// migrate moves the clients of a connection to other app servers, each as soon as
// what it sends is at the end of a message.
func (h *hub) migrate(s *serverConn) {
	h.mu.RLock()
	if !s.mayMove {
		h.mu.RUnlock()
		return
	}
	all := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		all = append(all, c)
	}
	h.mu.RUnlock()
	for _, c := range all {
		c.mu.Lock()
		c.moving = true
		now := c.ready.Load() && c.border.reached()
		c.mu.Unlock()
		if now {
			h.move(c)
		}
	}
}

// move gives a client to another app server: the one that it had is told that it
// is gone, the other gets its handshake request again, and does not answer it. A
// client for which there is no other stays where it is.
func (h *hub) move(c *client) {
	h.mu.Lock()
	c.mu.Lock()
	from := c.server
	if c.ended || !c.moving || !c.ready.Load() || c.closing || from == nil || !c.border.reached() {
		c.mu.Unlock()
		h.mu.Unlock()
		return
	}
	c.moving = false
	to := h.fewestLocked(func(s *serverConn) bool { return s.mayMove && s.server != from.server })
	if to == nil {
		c.mu.Unlock()
		h.mu.Unlock()
		return
	}
	from.queue(&wire.CloseConnection{ConnectionID: c.conn.ID(), Headers: []wire.Header{{Name: headerMigrateTo, Values: []string{to.server}}}})
	h.bindLocked(c, to)
	c.takeParts()
	to.queue(c.openMessage(from.server))
	to.queue(c.hello())
	c.mu.Unlock()
	h.mu.Unlock()
	from.conn.Relieve()
	h.g.counts.migrated.Add(1)
}

// ping answers what an app server asks by a ping.
func (s *serverConn) ping(m *wire.Ping) {
	for i := 0; i+1 < len(m.Messages); i += 2 {
		switch key, value := m.Messages[i], m.Messages[i+1]; key {
		case "status":
			s.send(s.hub.status())
		case "servers":
			s.send(&wire.Ping{Messages: []string{"servers", s.hub.serverList(time.Now())}})
		case "shutdown":
			s.shutdown(value)
		}
	}
}

// status says whether the hub has clients, and how full the gateway is.
func (h *hub) status() *wire.Ping {
	has := "0"
	if len(h.allClients()) > 0 {
		has = "1"
	}
	stats := h.g.Stats()
	answer := []string{"status", has, "clientcount", strconv.Itoa(stats.Clients), "servercount", strconv.Itoa(stats.ServerConnections)}
	if most := h.g.opts.MaximumClients; most > 0 {
		answer = append(answer, "capacity", strconv.Itoa(most))
	}
	return &wire.Ping{Messages: answer}
}

// ticksAtUnixEpoch is 1970 in .NET's ticks of 100 ns since the year 1.
const ticksAtUnixEpoch = 621355968000000000

// serverList is when it was made, and the ids of the hub's app servers.
func (h *hub) serverList(now time.Time) string {
	h.mu.RLock()
	ids := make([]string, 0, len(h.servers))
	for id := range h.servers {
		ids = append(ids, id)
	}
	h.mu.RUnlock()
	slices.Sort(ids)
	list := strconv.FormatInt(ticksAtUnixEpoch+now.UnixNano()/100, 10) + ":"
	for i, id := range ids {
		if i > 0 {
			list += ";"
		}
		list += id
	}
	return list
}

// shutdown is how an app server leaves: no new clients go to it. With fin:1 those
// that it has are moved; else it ends them, or waits for them, itself.
func (s *serverConn) shutdown(how string) {
	if how != "fin:0" && how != "fin:1" && how != "fin:2" {
		return // finack, and what is not known
	}
	s.hub.mu.Lock()
	s.leaving = true
	all := []*serverConn{s}
	if server := s.hub.servers[s.server]; server != nil { // the SDK does not say it on all, for a hub that is mapped twice
		all = slices.Clone(server.conns)
	}
	for _, one := range all {
		one.leaving = true
	}
	s.hub.mu.Unlock()
	s.hub.g.log.Info("app server shuts down", "hub", s.hub.name, "server", s.server, "connection", s.conn.ID(), "how", how)
	s.send(&wire.Ping{Messages: []string{"shutdown", "finack"}})
	if how == "fin:1" {
		for _, one := range all {
			s.hub.migrate(one)
		}
	}
}

// A leftServer is an app server that had connections to this gateway just now.
type leftServer struct {
	endpoint string
	until    time.Time
}

// leftTime is how long what an app server has sent by another endpoint may still be
// on its way here when its connections to this gateway have ended.
const leftTime = 30 * time.Second

// noteLeftLocked notes an app server whose last connection is s.
func (h *hub) noteLeftLocked(s *serverConn) {
	if h.g.fleet == nil {
		return
	}
	now := time.Now()
	for id, left := range h.left {
		if left.until.Before(now) {
			delete(h.left, id)
		}
	}
	if h.left == nil {
		h.left = map[string]leftServer{}
	}
	h.left[s.server] = leftServer{s.endpoint, now.Add(leftTime)}
}

// tells reports whether an app server sends its messages to this gateway itself,
// beside the one where it has come by an endpoint.
func (h *hub) tells(server, endpoint string) bool {
	if server == "" {
		return false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if here := h.servers[server]; here != nil {
		return slices.ContainsFunc(here.conns, func(s *serverConn) bool { return s.endpoint != endpoint })
	}
	left, ok := h.left[server]
	return ok && left.endpoint != endpoint && time.Now().Before(left.until)
}
