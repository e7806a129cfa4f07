package server

import (
	"github.com/hubwire/hubwire/internal/replay"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// newReliable makes what a connection with stateful reconnect has in addition.
func newReliable(conn *transport.Conn, codec protocol.Codec, limit int) *replay.Buffer {
	return replay.New(conn, func(m protocol.Message) (transport.Frame, error) {
		f := encode(codec, m)
		return f.frame, f.err
	}, codec.Binary(), limit)
}

// Lost implements transport.Reconnector.
func (a *hubApp) Lost(cause error) {
	c := (*connection)(a)
	if c.state.Load() != open || c.reliable == nil { // before its handshake there is nothing to come back to
		c.bytes.Abort(cause)
		return
	}
	c.hub.log.Info("connection lost, waiting for the client to come back", "connection", c.ID(), "cause", cause)
	c.reliable.Lose()
}

// Reconnected implements transport.Reconnector. What the old socket has left
// incomplete is forgotten: the client sends the whole message again.
func (a *hubApp) Reconnected() {
	c := (*connection)(a)
	if c.state.Load() != open || c.reliable == nil {
		c.bytes.Abort(transport.ErrClosed)
		return
	}
	c.in.cut()
	c.hub.log.Info("connection resumed", "connection", c.ID())
	if err := c.reliable.Resume(); err != nil {
		c.end(ending{cause: err, allowReconnect: true})
	}
}
