package hubtest_test

import (
	"net/http"
	"testing"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A hub in memory, with two clients of different kinds.
func ExampleNew() {
	var t *testing.T // of the test

	n := hubtest.New(t, Chat{}, nil)
	alice := n.Connect(hubtest.User(server.User{ID: "alice"}))
	bob := n.Connect(hubtest.Over(server.LongPolling), hubtest.MessagePack())
	alice.Do("Join", "lobby")
	bob.Do("Join", "lobby")
	alice.Expect("Joined", "")
	alice.Do("Say", "lobby", "hello")
	bob.Expect("Said", "alice", "hello")
}

// A single method, without clients.
func ExampleCall() {
	var t *testing.T // of the test

	call, sent := hubtest.Call(t, hubtest.User(server.User{ID: "alice"}))
	if err := (Chat{}).Say(call, "lobby", "hello"); err != nil {
		t.Fatal(err)
	}
	sent.Expect(hubtest.ToGroup("lobby"), "Said", "alice", "hello")
	sent.ExpectNone()
}

// An application with its routes, as it is served.
func ExampleServe() {
	var t *testing.T // of the test

	hub := server.MustHub(Chat{}, &server.Options{Authenticate: hubtest.Authenticate(nil)})
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)

	n := hubtest.Serve(t, mux)
	n.Connect(hubtest.At("/chat"), hubtest.User(server.User{ID: "alice"})).Do("Join", "lobby")
}

// Items of a stream as they come; leaving the loop cancels it.
func ExampleItems() {
	var t *testing.T // of the test

	c := hubtest.New(t, Chat{}, nil).Connect()
	for n, err := range hubtest.Items[int](c, "Countdown", 10) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 5 {
			break
		}
	}
}

// The hub invokes the client, which returns a result.
func ExampleClient_On() {
	var t *testing.T // of the test

	c := hubtest.New(t, Chat{}, nil).Connect()
	c.On("Confirm", func(question string) bool { return question == "sure?" })
	if got := hubtest.Result[string](c, "Confirm", "sure?"); got != "confirmed" {
		t.Errorf("Confirm = %q", got)
	}
}
