package hubtest

import (
	"errors"
	"fmt"

	"github.com/hubwire/hubwire/internal/hubclient"
)

// ErrClosed is what calls return when the connection ends before their answer.
var ErrClosed = errors.New("hubtest: connection closed")

// ErrNoAnswer is what calls return when Patience is over.
var ErrNoAnswer = errors.New("hubtest: no answer")

// A CallError is the error that the server answers a call with. Its text is what
// clients see.
type CallError struct {
	Text string // of the completion, as it came
}

func (e *CallError) Error() string { return e.Text }

// A RefusedError says why a client could not connect.
type RefusedError struct {
	Status int    // of HTTP, as 401; 0 if the handshake was refused
	Text   string // of the answer
}

func (e *RefusedError) Error() string {
	if e.Status == 0 {
		return "hubtest: the handshake is refused: " + e.Text
	}
	return fmt.Sprintf("hubtest: refused with status %d: %s", e.Status, e.Text)
}

// A CloseError says how the server has ended a connection: by a Close message,
// or by a close frame whose code is not the normal one.
type CloseError struct {
	Text           string // of the message or frame; it may be empty
	AllowReconnect bool   // of the message
	Code           int    // of the frame; 0 for a message
}

func (e *CloseError) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("hubtest: closed with code %d: %s", e.Code, e.Text)
	}
	return fmt.Sprintf("hubtest: closed: %q, allowReconnect %t", e.Text, e.AllowReconnect)
}

// publicError returns an error of hubclient as one of this package.
func publicError(err error) error {
	if e, ok := errors.AsType[*hubclient.CallError](err); ok {
		return &CallError{e.Text}
	}
	if e, ok := errors.AsType[*hubclient.StatusError](err); ok {
		return &RefusedError{e.Code, e.Body}
	}
	if e, ok := errors.AsType[*hubclient.HandshakeError](err); ok {
		return &RefusedError{0, e.Text}
	}
	if e, ok := errors.AsType[*hubclient.CloseMessage](err); ok {
		return &CloseError{Text: e.Close.Error, AllowReconnect: e.AllowReconnect}
	}
	if e, ok := errors.AsType[*hubclient.CloseFrame](err); ok {
		return &CloseError{Text: e.Reason, Code: e.Code}
	}
	if errors.Is(err, hubclient.ErrClosed) {
		return ErrClosed
	}
	return err
}
