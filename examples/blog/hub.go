package main

import (
	"github.com/hubwire/hubwire/server"
)

// What the server calls at its clients; cmd/hubgen reads the names of the
// arguments from the comments.
var (
	PostPublished = server.ClientMethod2[int, string]("PostPublished")     // id, title
	Commented     = server.ClientMethod3[int, string, string]("Commented") // id, user, text
)

// Blog is the hub: clients call its exported methods.
type Blog struct{}

// Read makes the caller see the comments on a post from now on.
func (Blog) Read(call *server.Call, id int) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), post(id))
}

// Comment shows a text to all who read the post. It is for users with a name.
func (Blog) Comment(call *server.Call, id int, text string) error {
	if text == "" || len(text) > 2000 {
		return server.NewHubError("a comment has 1 to 2000 bytes")
	}
	return Commented.Send(call.Context(), call.Clients().Group(post(id)), id, call.UserID(), text)
}

// rights says what a caller needs for a method.
var rights = map[string]server.MethodOptions{
	"Comment": {Authorize: server.RequireUser},
}
