package main

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hubwire/hubwire/server"
)

// TestHub has a method for every feature of SignalR. Names, parameters and
// results are those of the reference node's class of the same name. Its int has
// 32 bits; where null is a value of its own, the type here is a pointer.
type TestHub struct{ ended *endings }

// endings remembers what OnDisconnected was given: connection id to text. It is
// safe for concurrent use.
type endings struct {
	mu    sync.Mutex
	texts map[string]string
}

func (e *endings) set(connectionID, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.texts == nil {
		e.texts = map[string]string{}
	}
	e.texts[connectionID] = text
}

// snapshot returns a copy.
func (e *endings) snapshot() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	texts := make(map[string]string, len(e.texts))
	for id, text := range e.texts {
		texts[id] = text
	}
	return texts
}

// OnConnected fails as the query says: ?connected=throw.
func (h *TestHub) OnConnected(call *server.Call) error {
	trouble, _ := query(call.Request(), "connected")
	switch trouble {
	case "throw":
		return invalidOperation("thrown in OnConnectedAsync")
	case "slow":
		time.Sleep(500 * time.Millisecond)
	case "anyone":
		acceptAnyone(call)
	case "abort":
		call.Abort()
	case "ask":
		_, err := server.Invoke[*string](call.Context(), call.Clients().Caller(), "Ask", "question")
		return err
	case "send":
		return call.Clients().Caller().Send(call.Context(), "M", "sent in OnConnectedAsync")
	}
	return nil
}

// OnDisconnected remembers how the connection has ended.
func (h *TestHub) OnDisconnected(call *server.Call, cause error) {
	h.ended.set(call.ConnectionID(), describe(cause))
}

// Calls and their results.

func (h *TestHub) Echo(text *string) *string              { return text }
func (h *TestHub) EchoSample(sample *Sample) *Sample      { return sample }
func (h *TestHub) MakeSample() *Sample                    { return newSample() }
func (h *TestHub) Add(a, b int32) int32                   { return a + b }
func (h *TestHub) AddLong(a, b int64) int64               { return a + b }
func (h *TestHub) EchoByte(value uint8) uint8             { return value }
func (h *TestHub) EchoDouble(value float64) float64       { return value }
func (h *TestHub) EchoColor(color Color) Color            { return color }
func (h *TestHub) EchoDateTime(value DateTime) DateTime   { return value }
func (h *TestHub) EchoBytes(bytes []byte) []byte          { return bytes }
func (h *TestHub) MakeRare() *Rare                        { return newRare() }
func (h *TestHub) EchoRare(rare *Rare) *Rare              { return rare }
func (h *TestHub) Describe(value object) string           { return value.describe() }
func (h *TestHub) Nothing()                               {}
func (h *TestHub) NullResult() *string                    { return nil }
func (h *TestHub) HasAnotherName() string                 { return "renamed" }
func (h *TestHub) Unserializable() unserializable         { return unserializable{} }
func (h *TestHub) OnlyUsers() string                      { return "for users" }
func (h *TestHub) Throw(message string) error             { return invalidOperation(message) }
func (h *TestHub) ThrowHubException(message string) error { return &server.HubError{Message: message} }
func (h *TestHub) Abort(call *server.Call)                { call.Abort() }

// Text returns a text of length letters.
func (h *TestHub) Text(length int32) (string, error) {
	if length < 0 {
		return "", server.WithErrorType("ArgumentOutOfRangeException", errors.New("'count' must be non-negative. (Parameter 'count')"))
	}
	return strings.Repeat("x", int(length)), nil
}

// Slow returns its text after a time. It cannot be cancelled.
func (h *TestHub) Slow(text *string, milliseconds int32) *string {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return text
}
