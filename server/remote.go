package server

import (
	"context"

	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// What package azure needs of a hub is no part of what users see; see seam.
func init() {
	seam.Attach = attach
	seam.RemoteOf = func(hub any) seam.Remote { return hub.(*Hub).remote }
}

func attach(hub any, remote seam.Remote) *transport.Endpoint {
	h := hub.(*Hub)
	h.remote = remote
	h.manager.remote = true
	h.main.SetElsewhere(remote.Negotiate)
	return h.main
}

// leave tells the remote, if there is one, that no more clients may come.
func (h *Hub) leave(ctx context.Context, gently bool) {
	if h.remote != nil {
		h.remote.Leave(ctx, gently)
	}
}

// baseContext is the context that a connection's is made from. A remote knows its
// client by a value of it.
func (h *Hub) baseContext(c *transport.Conn) context.Context {
	if h.remote == nil {
		return context.Background()
	}
	if ctx := c.RequestContext(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// frameKind is what a message is to a server that holds the client.
func frameKind(m protocol.Message) transport.Kind {
	switch m.(type) {
	case *protocol.Completion, *protocol.Invocation, *protocol.StreamItem, *protocol.StreamInvocation, *protocol.CancelInvocation:
		return transport.KindCall
	case *protocol.Close:
		return transport.KindClose
	}
	return transport.KindOther
}
