package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// Chat is a hub: clients can call its exported methods.
type Chat struct{}

func (Chat) Join(call *server.Call, room string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), room)
}

func (Chat) Say(call *server.Call, room, text string) error {
	return call.Clients().Group(room).Send(call.Context(), "Said", text)
}

func (Chat) Countdown(from int) iter.Seq[int] { // streams to its caller
	return func(yield func(int) bool) {
		for n := from; n >= 0 && yield(n); n-- {
		}
	}
}

func Example() {
	hub := server.MustHub(Chat{}, nil)
	server.Mount(http.DefaultServeMux, "/chat", hub)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

// A program that is told to end (SIGTERM) first says that it is not ready, then
// lets its clients go to other nodes one after the other, and ends when the last
// one has gone. Official clients come back by themselves if they reconnect
// automatically.
func Example_shutdown() {
	hub := server.MustHub(Chat{}, nil)
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	node := &server.Node{
		Server: &http.Server{Addr: ":8080", Handler: mux},
		Hubs:   []server.Drainer{hub},
	}
	mux.Handle("GET /healthz", node.Live())
	mux.Handle("GET /readyz", node.Ready())
	if err := node.ListenAndServe(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// What an administrator's page shows of a node, and how it removes a client.
func ExampleHub_Connections() {
	hub := server.MustHub(Chat{}, nil)
	for c := range hub.Connections() {
		fmt.Println(c.ID, c.UserID, c.Transport, c.Protocol, time.Since(c.Since), c.QueuedBytes, c.Groups())
		if c.UserID == "mallory" {
			c.Close("Your account was closed.", false)
		}
	}
	fmt.Println(hub.Counts().Connected(), "connections")
	// Output: 0 connections
}

// A hub can send from outside any call, for instance when a post is published.
func ExampleHub_Clients() {
	hub := server.MustHub(Chat{}, nil)
	http.HandleFunc("POST /api/posts/{id}/publish", func(w http.ResponseWriter, r *http.Request) {
		if err := hub.Clients().All().Send(r.Context(), "PostPublished", r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// Score names a method of the clients with its types: a number for a game.
const Score = server.ClientFunction1[string, int]("Score")

// Clients can be asked for a result. They may never answer, so the question has
// a deadline.
func ExampleInvoke() {
	hub := server.MustHub(Chat{}, nil)
	ask := func(connectionID string) (int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return Score.Invoke(ctx, hub.Clients().Client(connectionID), "chess")
	}
	_, err := ask("nobody")
	fmt.Println(err)
	// Output: Connection 'nobody' does not exist.
}

// NewHub says everything that is wrong with a type at once; MustHub panics with
// the same error.
func ExampleNewHub_errors() {
	_, err := server.NewHub(wrongHub{}, nil)
	fmt.Println(err)
	// Output:
	// server: server_test.wrongHub: method Each: parameter 1: a func(int) cannot come from a client
	// method Many: variadic methods cannot be called by clients; take a slice
}

type wrongHub struct{}

func (wrongHub) Each(func(int))       {}
func (wrongHub) Many(texts ...string) {}

// Who a client is, an app finds out as for any HTTP request. Methods can ask for
// more.
func ExampleOptions_authenticate() {
	sessions := map[string]string{"token of alice": "alice"}
	server.MustHub(Chat{}, &server.Options{
		Authenticate: func(r *http.Request) (server.User, error) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if token == "" {
				return server.User{}, nil // anonymous
			}
			id, ok := sessions[token]
			if !ok {
				return server.User{}, server.ErrUnauthorized
			}
			return server.User{ID: id}, nil
		},
		Methods: map[string]server.MethodOptions{"Say": {Authorize: server.RequireUser}},
	})
}

// One hub for two kinds of clients: the app's with tokens, and the pages of the
// administration with a cookie.
func ExampleEndpointOptions_authenticate() {
	hub := server.MustHub(Chat{}, &server.Options{
		Authenticate: func(r *http.Request) (server.User, error) {
			id, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token of ")
			if !ok {
				return server.User{}, server.ErrUnauthorized
			}
			return server.User{ID: id}, nil
		},
	})
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	server.Mount(mux, "/admin/chat", hub.Endpoint(server.EndpointOptions{
		Authenticate: func(r *http.Request) (server.User, error) {
			session, err := r.Cookie("session")
			if err != nil {
				return server.User{}, server.ErrUnauthorized
			}
			return server.User{ID: session.Value, Claims: map[string]any{"role": "admin"}}, nil
		},
	}))
}

// A hub for clients that read JSON alone.
func ExampleOptions_protocols() {
	server.MustHub(Chat{}, &server.Options{Protocols: []protocol.Codec{protocol.JSON{}}})
}

// Methods ask for a role, or for a claim, of the user that Authenticate has
// found. jwtbearer finds both in tokens.
func ExampleRequireRole() {
	server.MustHub(Chat{}, &server.Options{
		Authenticate: func(r *http.Request) (server.User, error) {
			return server.User{ID: "alice", Claims: map[string]any{"role": []string{"editor", "admin"}}}, nil
		},
		Methods: map[string]server.MethodOptions{
			"Say": {Authorize: server.RequireRole("admin", "owner")},
		},
	})
}

// Clients see the text of a HubError. Other texts stay on the server, unless
// Options.EnableDetailedErrors is set; then clients see the type's name, too.
func ExampleWithErrorType() {
	told := server.NewHubError("room %q is full", "lobby")
	kept := server.WithErrorType("InvalidOperationException", errors.New("table rooms is locked"))
	fmt.Println(told, told.ErrorType())
	fmt.Println(kept)
	// Output:
	// room "lobby" is full HubException
	// table rooms is locked
}
