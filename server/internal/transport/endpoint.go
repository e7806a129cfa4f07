package transport

import (
	"context"
	"net/http"
)

// stub: replaced by the transport work

type Conn struct{ stub }
type stub interface {
	ID() string
	Token() string
	Transport() Transport
	TextOnly() bool
	Request() *http.Request
	User() any
	Stateful() bool
	Send(f Frame) error
	SendWait(ctx context.Context, f Frame) error
	WouldWait() bool
	Cork()
	Uncork()
	ReadOn()
	Finish()
	FinishError()
	Abort(cause error)
	Done() <-chan struct{}
}

// An Endpoint serves one route: negotiate below it and connect, send, delete on it.
type Endpoint struct{}

// NewEndpoint returns an endpoint whose connections are served by what newApp
// returns; newApp is called right before App.Start.
func NewEndpoint(opts Options, newApp func(*Conn) App) *Endpoint { return &Endpoint{} }

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Shutdown refuses new connections, asks every App to end, waits for them until ctx is done, then cuts what is left.
func (e *Endpoint) Shutdown(ctx context.Context) error { return nil }
