package server

import (
	"context"
	"net/http"

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
	h.main.SetElsewhere(elsewhereOf(remote, h.opts.Endpoint))
	return h.main
}

// An elsewhere is the remote for the clients of one endpoint.
type elsewhere struct {
	remote   seam.Remote
	endpoint seam.Endpoint
}

func elsewhereOf(remote seam.Remote, opts EndpointOptions) elsewhere {
	return elsewhere{remote, seam.Endpoint{
		Transports:    transport.Transport(opts.AllowedTransports),
		CloseOnExpiry: opts.CloseOnAuthenticationExpiration,
		Refreshes:     opts.EnableAuthenticationRefresh,
		OnRefresh:     onRefresh(opts.OnAuthenticationRefresh),
	}}
}

// Negotiate implements transport.Elsewhere.
func (e elsewhere) Negotiate(w http.ResponseWriter, r *http.Request, user any) {
	e.remote.Negotiate(w, r, user, e.endpoint)
}

// Refresh implements transport.Elsewhere.
func (e elsewhere) Refresh(w http.ResponseWriter, r *http.Request, user any, connectionToken string) {
	e.remote.Refresh(w, r, user, connectionToken, e.endpoint)
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
