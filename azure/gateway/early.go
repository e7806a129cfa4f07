package gateway

import "github.com/hubwire/hubwire/internal/transport"

// The SDK does not wait until its answer to a client's handshake has left before it
// calls OnConnectedAsync: what that sends to the client, to its user, its groups or to
// all is often here first, and so is the call that puts it into a group. A client is
// therefore one of the hub from when its app server is told of it, and what is sent to
// it meanwhile follows the answer.

// held is what was sent to a client before the answer to its handshake.
type held struct {
	pieces []piece
	bytes  int
}

// hold keeps a parcel, whose form for the client is f, until the client's handshake is
// answered, and reports false if that is done. No lock may be held.
func (c *client) hold(p *parcel, f transport.Frame) bool {
	pieces := []piece{{frame: f}}
	if c.replay != nil {
		pieces = p.piecesFor(c.codec, f)
	}
	c.mu.Lock()
	if c.ready.Load() {
		c.mu.Unlock()
		return false
	}
	if c.ended || c.closing {
		c.mu.Unlock()
		return true
	}
	fits := c.holdLocked(pieces)
	c.mu.Unlock()
	if !fits {
		g := c.hub.g
		g.log.Warn("client closed", "hub", c.hub.name, "connection", c.conn.ID(), "reason", "too much is sent to it before its handshake is answered")
		c.leave("", true)
	}
	return true
}

// holdLocked reports false if it is too much.
func (c *client) holdLocked(pieces []piece) bool {
	size := 0
	for _, p := range pieces {
		size += around + len(p.frame.Payload())
	}
	if c.held == nil {
		c.held = &held{}
	}
	if g := c.hub.g; c.held.bytes+size > g.opts.MaximumMessageSize || !g.keep(size) {
		return false
	}
	c.held.pieces = append(c.held.pieces, pieces...)
	c.held.bytes += size
	return true
}

// takeHeld returns what is held, which is kept no more. client.mu is held.
func (c *client) takeHeld() []piece {
	h := c.held
	if h == nil {
		return nil
	}
	c.held = nil
	c.hub.g.parts.Add(-int64(h.bytes))
	return h.pieces
}
