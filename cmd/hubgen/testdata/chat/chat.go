// Package chat is a hub for the tests of hubgen.
package chat

import "github.com/hubwire/hubwire/server"

// ReceiveMessage shows a line to a client.
var ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage") // user, text

// Options gives Whisper another name.
var Options = &server.Options{Methods: map[string]server.MethodOptions{"Whisper": {Name: "whisper-to"}}}

// NewOptions is Options as a function.
func NewOptions() *server.Options { return Options }

// Version is no client method.
var Version = "1"

// Chat is a small hub.
type Chat struct{}

// SendMessage tells everyone.
func (*Chat) SendMessage(call *server.Call, user, text string) error {
	return ReceiveMessage.Send(call.Context(), call.Clients().All(), user, text)
}

// Whisper tells one user.
func (*Chat) Whisper(user, text string) {}

// Bad has a method that clients cannot call.
type Bad struct{}

// Say is variadic.
func (*Bad) Say(words ...string) {}
