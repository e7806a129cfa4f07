// Package blog is the hub of the demo: what an app writes.
package blog

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/server"
)

// The Angular page knows the hub by these, for either protocol:
//go:generate go run github.com/hubwire/hubwire/cmd/hubgen -lang angular -type PostHub -o ../angular/src/app/post-hub.ts .
//go:generate go run github.com/hubwire/hubwire/cmd/hubgen -lang angular -protocol messagepack -type PostHub -o ../angular/src/app/post-hub.messagepack.ts .

// PostHub is a hub: its exported methods are what clients can call. New makes one.
type PostHub struct {
	node   string
	people People
}

// New returns the hub of one node. node is what clients are told about where
// they are; people is the register that all nodes share.
func New(node string, people People) PostHub { return PostHub{node, people} }

// A Post is what clients see of a blog post. Its members have the same names in
// both protocols.
type Post struct {
	ID          int       `json:"id" msgpack:"id"`
	Title       string    `json:"title" msgpack:"title"`
	PublishedAt time.Time `json:"publishedAt" msgpack:"publishedAt"`
}

// The methods of clients that the server calls. The compiler knows the types of
// the arguments; the comments at the end of the lines are their names.
var (
	// PostPublished tells of a new post.
	PostPublished = server.ClientMethod1[Post]("PostPublished") // post

	// ReceiveMessage is for chat that everyone reads.
	ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage") // user, text

	// Receive is for a text in a room that its sender does not sign.
	Receive = server.ClientMethod1[string]("receive") // text

	// Said is for chat in a room.
	Said = server.ClientMethod3[string, string, string]("Said") // room, name, text

	// PeopleChanged has everyone who is here, on all nodes.
	PeopleChanged = server.ClientMethod1[[]Person]("PeopleChanged") // people

	// NodeChanged says that a node has stopped, or runs again.
	NodeChanged = server.ClientMethod2[string, bool]("NodeChanged") // node, running

	// Question asks the user, who answers.
	Question = server.ClientFunction2[string, string, string]("Question") // from, question
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

// Say passes a text on to those in a room, with the name of the caller.
func (PostHub) Say(call *server.Call, room, text string) error {
	return Said.Send(call.Context(), call.Clients().Group(room), room, caller(call).Name, text)
}

// answerTime is how long a user may think about a question.
const answerTime = 30 * time.Second

// Ask asks another user, on whichever node, and returns the answer.
func (PostHub) Ask(call *server.Call, id, question string) (string, error) {
	ctx, cancel := context.WithTimeout(call.Context(), answerTime)
	defer cancel()
	answer, err := Question.Invoke(ctx, call.Clients().Client(id), caller(call).Name, question)
	var gone *server.ConnectionError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", server.NewHubError("no answer within %v", answerTime)
	case errors.As(err, &gone):
		return "", server.NewHubError("who was asked is not here any more")
	}
	return answer, err
}

// Memory streams how many megabytes this node's process has in use, four times a
// second.
func (PostHub) Memory(call *server.Call) iter.Seq[float64] {
	return func(yield func(float64) bool) {
		inUse := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for metrics.Read(inUse); yield(float64(inUse[0].Value.Uint64()) / 1e6); metrics.Read(inUse) {
			if !wait(call, 250*time.Millisecond) {
				return
			}
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
