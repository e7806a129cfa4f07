package gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/replay"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// Stateful reconnect is between client and gateway: app servers only say whether
// their clients may have it. For these clients alone the gateway has to know where
// messages begin and which are counted, in both directions.

// statefulBuffer is how many bytes are kept for a client before it has to catch up
// within SlowClientTimeout. Source: ASP.NET Core's StatefulReconnectBufferSize.
const statefulBuffer = 100_000

// firstStateful is the first version of the hub protocols that has Ack and Sequence.
const firstStateful = 2

// wantsReconnect is Options.WantsReconnect of /client. The .NET client asks for it twice:
// the app server's answer repeats its query, to which it adds the same again.
func wantsReconnect(r *http.Request, user any) bool {
	return strings.EqualFold(firstValue(r.URL.RawQuery, "useStatefulReconnect"), "true") && user.(*clientToken).hub.offersReconnect()
}

// offersReconnect reports whether an app server lets its clients reconnect
// statefully.
func (h *hub) offersReconnect() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, server := range h.servers {
		for _, s := range server.conns {
			if s.stateful {
				return true
			}
		}
	}
	return false
}

// newReplay returns what a client with stateful reconnect has in addition; nil
// where it was not negotiated, or the handshake does not ask for it.
func newReplay(conn *transport.Conn, codec protocol.Codec, version int) *replay.Buffer {
	if !conn.Stateful() {
		return nil
	}
	if _, unknown := codec.(foreign); unknown || version < firstStateful {
		conn.DisableReconnect()
		return nil
	}
	return replay.New(conn, func(m protocol.Message) (transport.Frame, error) {
		b, err := codec.Append(transport.NewFrameBuffer(32), m)
		return transport.BuildFrame(b, codec.Binary()), err
	}, codec.Binary(), statefulBuffer)
}

// A piece is a part of what an app server has sent at once: one message, or what is
// none.
type piece struct {
	frame   transport.Frame
	counted bool
}

// piecesOf divides what an app server has sent, which is one message in general: that
// has the frame whole.
func piecesOf(codec protocol.Codec, payload []byte, whole transport.Frame) []piece {
	pieces := make([]piece, 0, 1)
	for len(payload) > 0 {
		m, rest, err := codec.Next(payload)
		if err != nil { // the client is to see it
			rest = nil
		}
		p := piece{whole, err == nil && replay.Counts(m)}
		if len(rest) > 0 || len(pieces) > 0 {
			p.frame = frameFor(codec, payload[:len(payload)-len(rest)])
		}
		pieces = append(pieces, p)
		payload = rest
	}
	return pieces
}

// sendPieces sends to a client that may reconnect statefully.
func (c *client) sendPieces(pieces []piece) (err error) {
	for _, p := range pieces {
		if p.counted {
			err = c.replay.Send(p.frame)
		} else {
			err = c.conn.Send(p.frame)
		}
	}
	return err
}

// queueFirst queues what came at once with the answer to the handshake. client.mu is
// held.
func (c *client) queueFirst(payload []byte) {
	f := frameFor(c.codec, payload)
	if c.replay == nil {
		_ = c.conn.Queue(f) // it may be gone
		return
	}
	c.queuePieces(piecesOf(c.codec, payload, f))
}

// queuePieces is sendPieces while client.mu is held. It may be gone.
func (c *client) queuePieces(pieces []piece) {
	for _, p := range pieces {
		if p.counted {
			_ = c.replay.Queue(p.frame)
		} else {
			_ = c.conn.Queue(p.frame)
		}
	}
}

// sendData sends what an app server has written to this client alone. dataType is
// wire.DataUnknown where the message has to say itself what it is.
func (c *client) sendData(payload []byte, dataType int) error {
	f := frameFor(c.codec, payload)
	switch {
	case c.replay == nil:
		return c.conn.Send(f)
	case dataType == wire.DataUnknown:
		return c.sendPieces(piecesOf(c.codec, payload, f))
	}
	return c.sendPieces([]piece{{f, dataType == wire.DataInvocation}})
}

// receiveStateful takes bytes of a client that may reconnect statefully: whole messages go to
// the app server, but for Ack, Sequence and what came before its connection was lost.
func (c *client) receiveStateful(p []byte) bool {
	var run []byte // messages that follow each other
	alive := true
	pass := func() bool {
		alive = alive && c.forwardAll(run)
		run = nil
		return alive
	}
	rest, err := c.whole(p, func(m protocol.Message, raw []byte) bool {
		fresh, err := c.replay.Receive(m)
		switch {
		case err != nil:
			alive = c.fail(err.Error())
		case !fresh:
			return pass()
		case len(run) == 0:
			run = raw
		default:
			run = run[:len(run)+len(raw)]
		}
		if _, over := m.(*protocol.Close); over {
			c.conn.DisableReconnect() // as a hub does
		}
		return alive
	})
	if !pass() {
		return false
	}
	if err == nil {
		return true
	}
	if errors.Is(err, errTooLong) {
		return c.fail(err.Error())
	}
	c.early, c.seen = nil, 0
	return c.forwardAll(rest) // its app server says what is wrong, and ends it
}

// Lost implements transport.Reconnector.
func (a *clientApp) Lost(cause error) {
	c := (*client)(a)
	c.mu.Lock()
	r := c.replay
	stays := r != nil && c.ready.Load() && !c.ended
	c.mu.Unlock()
	if !stays { // before its handshake is answered there is nothing to come back to
		c.conn.Abort(cause)
		return
	}
	r.Lose()
}

// Reconnected implements transport.Reconnector.
func (a *clientApp) Reconnected() {
	c := (*client)(a)
	c.mu.Lock()
	r, server := c.replay, c.server
	stays := r != nil && c.ready.Load() && !c.ended
	if stays && server.stateful {
		server.queue(&wire.ConnectionReconnect{ConnectionID: c.conn.ID()})
	}
	c.mu.Unlock()
	if !stays {
		c.conn.Abort(transport.ErrClosed)
		return
	}
	server.conn.Relieve()
	c.early, c.seen = nil, 0 // the client sends the whole message again
	if err := r.Resume(); err != nil {
		c.leave(textClosedWithError, true)
	}
}
