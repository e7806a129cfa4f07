// Package seam is what package azure needs of package server and users do not: a
// hub whose clients are held by another server.
package seam

import (
	"context"
	"net/http"

	"github.com/hubwire/hubwire/internal/transport"
)

// A Remote holds the clients of a hub, which reach it as virtual connections.
// Its methods are safe for concurrent use.
type Remote interface {
	// Negotiate tells a client of an endpoint where to connect. user is who
	// Options.Authenticate said it is.
	Negotiate(w http.ResponseWriter, r *http.Request, user any, of Endpoint)

	// Refresh takes fresh credentials, which are those of user, for the connection
	// that the client has by a token, and answers.
	Refresh(w http.ResponseWriter, r *http.Request, user any, connectionToken string, of Endpoint)

	// Leave says that the hub ends and takes no new clients. It returns when no
	// more will come, or ctx is done. gently: the clients that there are stay
	// until the hub has told each to leave.
	Leave(ctx context.Context, gently bool)

	// Close lets go of what is left. No client of the hub is connected any more.
	Close()
}

// An Endpoint is what a Remote must know of one endpoint of a hub.
type Endpoint struct {
	Transports    transport.Transport // that clients may have; 0 means all
	CloseOnExpiry bool                // clients are closed when their authentication ends
	Refreshes     bool                // clients may refresh it

	// OnRefresh says whether a connection may go on with fresh credentials. Users
	// are those of package server. Nil means that it may.
	OnRefresh func(r *http.Request, old, fresh any) (accept bool, err error)
}

// Attach lets remote hold the clients of hub, a *server.Hub that has had none yet.
// It returns the endpoint at which the virtual connections are opened. Package
// server sets it.
var Attach func(hub any, remote Remote) *transport.Endpoint

// RemoteOf returns what Attach was given for hub, or nil. Package server sets it.
var RemoteOf func(hub any) Remote
