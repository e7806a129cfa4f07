package main

import (
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/server"
)

// PostHub is a hub: its exported methods are what clients can call.
type PostHub struct{}

// A Post is what clients see of a blog post.
type Post struct {
	ID          int       `json:"id"`
	Title       string    `json:"title"`
	PublishedAt time.Time `json:"publishedAt"`
}

// SendMessage passes a chat message on to every client of every node.
func (PostHub) SendMessage(call *server.Call, user, text string) error {
	return call.Clients().All().Send(call.Context(), "ReceiveMessage", user, text)
}

// Clock streams the time of day to the client that asks for it, once a second,
// until that client has heard enough.
func (PostHub) Clock(call *server.Call) iter.Seq[string] {
	return func(yield func(string) bool) {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for yield(time.Now().Format(time.TimeOnly)) {
			select {
			case <-ticker.C:
			case <-call.Context().Done():
				return
			}
		}
	}
}

// publish serves POST /api/posts/{id}/publish. Any code that has the hub can
// send to its clients like this.
func publish(hub *server.Hub) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			http.Error(w, "a post has a number", http.StatusBadRequest)
			return
		}
		post := Post{id, "Post " + strconv.Itoa(id), time.Now().UTC().Truncate(time.Second)}
		if err := hub.Clients().All().Send(r.Context(), "PostPublished", post); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}
