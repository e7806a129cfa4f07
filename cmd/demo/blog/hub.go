// Package blog is the hub of the demo: what an app writes.
package blog

import (
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/server"
)

// The TypeScript of the Angular page knows the hub by this:
//go:generate go run github.com/hubwire/hubwire/cmd/hubgen -lang ts -type PostHub -o ../angular/src/app/post-hub.ts .

// PostHub is a hub: its exported methods are what clients can call.
type PostHub struct{}

// A Post is what clients see of a blog post.
type Post struct {
	ID          int       `json:"id"`
	Title       string    `json:"title"`
	PublishedAt time.Time `json:"publishedAt"`
}

// The methods of clients that the server calls. The compiler knows the types of
// the arguments; the comments at the end of the lines are their names.
var (
	// PostPublished tells of a new post.
	PostPublished = server.ClientMethod1[Post]("PostPublished") // post

	// ReceiveMessage is for chat that everyone reads.
	ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage") // user, text

	// Receive is for chat in a room.
	Receive = server.ClientMethod1[string]("receive") // text
)

// SendMessage passes a chat message on to every client of every node.
func (PostHub) SendMessage(call *server.Call, user, text string) error {
	return ReceiveMessage.Send(call.Context(), call.Clients().All(), user, text)
}

// JoinGroup lets the caller into a room.
func (PostHub) JoinGroup(call *server.Call, room string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), room)
}

// Leave takes the caller out of a room.
func (PostHub) Leave(call *server.Call, room string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), room)
}

// SendToGroup passes a text on to those in a room, on whichever node they are.
func (PostHub) SendToGroup(call *server.Call, room, text string) error {
	return Receive.Send(call.Context(), call.Clients().Group(room), text)
}

// Clock streams the time of day to the client that asks for it, once a second,
// until that client has heard enough.
func (PostHub) Clock(call *server.Call) iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(time.Now().Format(time.TimeOnly)) && wait(call, time.Second) {
		}
	}
}

// Counter streams the numbers below count, with a pause before each.
func (PostHub) Counter(call *server.Call, count, milliseconds int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < count && wait(call, time.Duration(milliseconds)*time.Millisecond) && yield(i); i++ {
		}
	}
}

// wait reports false if the client has cancelled the stream or disconnected.
func wait(call *server.Call, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-call.Context().Done():
		return false
	}
}

// Publish serves POST /api/posts/{id}/publish. Any code that has the hub can
// send to its clients like this.
func Publish(hub *server.Hub) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The pages of both nodes may publish on either.
		w.Header().Set("Access-Control-Allow-Origin", "*")
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			http.Error(w, "a post has a number", http.StatusBadRequest)
			return
		}
		post := Post{id, "Post " + strconv.Itoa(id), time.Now().UTC().Truncate(time.Second)}
		if err := PostPublished.Send(r.Context(), hub.Clients().All(), post); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}
