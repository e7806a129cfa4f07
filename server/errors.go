package server

import (
	"errors"
	"fmt"
)

// A HubError is a failure whose text the client may see. The text of every
// other error stays in the server's log unless Options.EnableDetailedErrors is
// set. Clients see it with "HubException: " in front, as from ASP.NET Core.
//
// It is also what a call of a client (Invoke) returns when that client
// answered with an error.
type HubError struct {
	Message string // as the client sees it, after "HubException: "
}

// NewHubError formats a HubError as fmt.Sprintf does.
func NewHubError(format string, args ...any) *HubError {
	return &HubError{Message: fmt.Sprintf(format, args...)}
}

func (e *HubError) Error() string { return e.Message }

// ErrorType returns "HubException".
func (e *HubError) ErrorType() string { return "HubException" }

// WithErrorType gives err the type name that clients see in front of its text
// when detailed errors are on, as in "InvalidOperationException: no such
// room". Without it that name is "Exception". It returns nil for a nil err.
//
// Any error may name its own type instead, with a method ErrorType() string.
func WithErrorType(name string, err error) error {
	if err == nil {
		return nil
	}
	return &typedError{error: err, name: name}
}

type typedError struct {
	error
	name string
}

func (e *typedError) ErrorType() string { return e.name }
func (e *typedError) Unwrap() error     { return e.error }

// Errors of connections and hubs. ErrConnectionClosed is what sends to one
// connection return once it has ended, whichever side ended it. ErrShutdown is
// what sends, client results and changes of groups return once Hub.Shutdown has
// returned. ErrTooSlow is what Receiver.Send and a send to the caller return once
// the client was found too slow: nothing but the Close is sent to it any more.
var (
	ErrConnectionClosed = errors.New("server: connection closed")
	ErrTooSlow          = errors.New("server: client is too slow")
	ErrShutdown         = errors.New("server: hub is shut down")

	// ErrNoClientResults is returned by Invoke in a hub whose LifetimeManager is
	// no ResultRouter.
	ErrNoClientResults = errors.New("server: the hub's LifetimeManager cannot ask clients for results: it is no ResultRouter")
)

// A ConnectionError says that a client that was asked for a result is not
// there: unknown, or gone before it answered.
type ConnectionError struct {
	ID   string // the connection id that was asked
	Gone bool   // it existed when it was asked
}

func (e *ConnectionError) Error() string {
	if e.Gone {
		return "Connection '" + e.ID + "' disconnected."
	}
	return "Connection '" + e.ID + "' does not exist."
}

// ErrorType returns "IOException".
func (e *ConnectionError) ErrorType() string { return "IOException" }

// errorType names err as a client sees it.
func errorType(err error) string {
	var typed interface{ ErrorType() string }
	if errors.As(err, &typed) {
		return typed.ErrorType()
	}
	return "Exception"
}

// errorText is the text that a client sees: prefix alone, or, if detailed is
// set or err is a HubError, prefix and the type and text of err.
// Source: docs/reference/hub-protocol.md, section 4.1.
func errorText(prefix string, err error, detailed bool) string {
	if err == nil {
		return prefix
	}
	d := describe(err)
	if !d.hub && !detailed {
		return prefix
	}
	return prefix + " " + d.kind + ": " + d.text
}
