package gateway

import (
	"slices"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// A parcel is a hub message in the protocols in which an app server has encoded it.
// It becomes one frame for each protocol that a receiver uses, shared by all of them.
type parcel struct {
	payloads []wire.Payload
	made     []made
}

type made struct {
	name  string
	frame transport.Frame
	ok    bool // there is a payload

	pieces []piece // for clients that may reconnect statefully; nil: there was none yet
}

// frame returns the form for a codec; ok is false where the app server has written
// none.
func (p *parcel) frame(codec protocol.Codec) (f transport.Frame, ok bool) {
	name := codec.Name()
	for i := range p.made {
		if p.made[i].name == name {
			return p.made[i].frame, p.made[i].ok
		}
	}
	m := made{name: name}
	if payload, ok := wire.PayloadOf(p.payloads, name); ok && len(payload) > 0 {
		m.frame, m.ok = frameFor(codec, payload), true
	}
	p.made = append(p.made, m)
	return m.frame, m.ok
}

// piecesFor returns the pieces of what frame returns.
func (p *parcel) piecesFor(codec protocol.Codec, f transport.Frame) []piece {
	for i := range p.made {
		if m := &p.made[i]; m.name == codec.Name() {
			if m.pieces == nil {
				m.pieces = piecesOf(codec, f.Payload(), f)
			}
			return m.pieces
		}
	}
	return nil // frame has made it
}

func frameFor(codec protocol.Codec, payload []byte) transport.Frame {
	return transport.BuildFrame(append(transport.NewFrameBuffer(len(payload)), payload...), codec.Binary())
}

// deliver queues the parcel for one client. No lock may be held.
func (h *hub) deliver(p *parcel, c *client) {
	f, ok := p.frame(c.codec)
	if !ok {
		return
	}
	if !c.ready.Load() && c.hold(p, f) {
		return
	}
	var err error
	if c.replay == nil {
		err = c.conn.Send(f)
	} else {
		err = c.sendPieces(p.piecesFor(c.codec, f))
	}
	if err == nil {
		h.g.counts.out.Add(1)
	}
}

// sendToAll sends to every client but some.
func (h *hub) sendToAll(except []string, payloads []wire.Payload) {
	p, skip := parcel{payloads: payloads}, members.Except(except)
	for _, c := range h.allClients() {
		if !skip(c.conn.ID()) {
			h.deliver(&p, c)
		}
	}
}

// sendToClients sends to the clients with some ids, and reports whether all are
// known.
func (h *hub) sendToClients(ids []string, payloads []wire.Payload) (all bool) {
	p := parcel{payloads: payloads}
	all = true
	for _, id := range ids {
		h.mu.RLock()
		c := h.clients[id]
		h.mu.RUnlock()
		all = all && c != nil
		if c != nil {
			h.deliver(&p, c)
		}
	}
	return all
}

func (h *hub) sendToUsers(ids []string, payloads []wire.Payload) {
	p := parcel{payloads: payloads}
	for _, id := range ids {
		for _, c := range h.clientsOf(id) {
			h.deliver(&p, c)
		}
	}
}

func (h *hub) sendToGroup(group string, except, exceptUsers []string, payloads []wire.Payload) {
	p, skip, skipUser := parcel{payloads: payloads}, members.Except(except), members.Except(exceptUsers)
	for _, c := range h.membersOf(group) {
		if !skip(c.conn.ID()) && !(c.who.hasUser && skipUser(c.who.userID)) {
			h.deliver(&p, c)
		}
	}
}

// allClients returns the clients there are now; the list is to be read only. As
// every list of clients it is taken while hub.mu is held: a client that its app
// server has heard of is in it.
func (h *hub) allClients() []*client {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list, _ := h.all.All()
	return list
}

func (h *hub) clientsOf(userID string) (list []*client) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if u := h.users[userID]; u != nil {
		list, _ = u.clients.All()
	}
	return list
}

func (h *hub) membersOf(group string) (list []*client) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if set := h.groups[group]; set != nil {
		list, _ = set.All()
	}
	return list
}

// clientData passes on what an app server writes to one client.
func (s *serverConn) clientData(m *wire.ConnectionData) {
	c := s.hub.client(m.ConnectionID)
	if c == nil {
		return // it is gone; its app server will be told
	}
	c.mu.Lock()
	if c.server != s || c.ended {
		c.mu.Unlock()
		return
	}
	payload := m.Payload
	if m.IsPartial || c.partial != nil {
		if why := c.keepPart(payload); why != "" {
			c.mu.Unlock()
			s.hub.g.often.Warn("client closed", "hub", s.hub.name, "connection", m.ConnectionID, "reason", why)
			c.leave("The message of the app server is too long.", true)
			return
		}
		if m.IsPartial {
			c.mu.Unlock()
			return
		}
		payload = c.takeParts()
	}
	c.closing = c.closing || m.DataType == wire.DataClose
	ready := c.ready.Load()
	c.mu.Unlock()
	if len(payload) == 0 {
		return
	}
	if !ready && m.DataType == wire.DataHandshake && s.hub.accepted(c, payload) {
		return
	}
	if c.sendData(payload, m.DataType) == nil {
		s.hub.g.counts.out.Add(1)
	}
}

// keepPart adds to the message that comes in parts, and says why it does not. client.mu
// is held, as for takeParts.
func (c *client) keepPart(p []byte) (why string) {
	g := c.hub.g
	switch {
	case len(c.partial)+len(p) > g.opts.MaximumMessageSize:
		return "a message of its app server is longer than MaximumMessageSize"
	case !g.keep(len(p)):
		return "too many messages of app servers are not whole"
	}
	c.partial = append(c.partial, p...)
	return ""
}

// mostParts bounds what is kept for all clients together, because it comes in parts or
// before the answer to a handshake: times MaximumMessageSize.
const mostParts = 4

// keep counts bytes that are kept, and reports false if they are too many.
func (g *Gateway) keep(n int) bool {
	if g.parts.Add(int64(n)) > mostParts*int64(g.opts.MaximumMessageSize) {
		g.parts.Add(-int64(n))
		return false
	}
	return true
}

// takeParts returns the message that has come in parts, which is kept no more.
func (c *client) takeParts() []byte {
	whole := c.partial
	c.hub.g.parts.Add(-int64(len(whole)))
	c.partial = nil
	return whole
}

// accepted passes the answer to a client's handshake on, and what was sent to the
// client before it. It reports false for an answer that is a refusal.
func (h *hub) accepted(c *client, answer []byte) bool {
	text, rest, err := protocol.ParseHandshakeResponse(answer)
	if err != nil || text != "" {
		c.mu.Lock()
		c.closing = true
		c.takeHeld()
		c.mu.Unlock()
		return false
	}
	c.mu.Lock()
	if !c.ended {
		_ = c.conn.Queue(frameFor(c.codec, answer[:len(answer)-len(rest)]))
		if len(rest) > 0 {
			c.queueFirst(rest)
		}
		before := c.takeHeld()
		c.queuePieces(before)
		h.g.counts.out.Add(uint64(len(before)))
		c.ready.Store(true) // what is sent from now on comes after that
		h.g.counts.opened.Add(1)
	}
	move := c.moving && c.border.reached()
	c.mu.Unlock()
	c.conn.Relieve()
	c.conn.Opened()
	if move {
		h.move(c)
	}
	return true
}

// closeByServer ends a client because an app server says so, and reports whether
// there was one. The app server that has it is told, unless it has said farewell
// itself: its hub would run on.
func (h *hub) closeByServer(s *serverConn, id, reason string) bool {
	c := h.client(id)
	if c == nil {
		return false
	}
	c.mu.Lock()
	farewell := c.closing && c.server == s && s != nil // nil: not an app server at all
	c.mu.Unlock()
	if farewell {
		if c.end("", false) {
			c.conn.Finish()
		}
		return true
	}
	c.leave(reason, false)
	return true
}

// closeMany ends clients but some, and returns the status of its ack.
func (h *hub) closeMany(list []*client, reason *string, except []string) int {
	skip := members.Except(except)
	for _, c := range slices.Clone(list) { // each that ends changes the sets
		if !skip(c.conn.ID()) {
			c.leave(wire.Text(reason), false)
		}
	}
	return found(len(list) > 0)
}
