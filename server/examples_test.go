package server_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/server"
)

// Files is a hub that takes uploads.
type Files struct{}

// Save takes a file in pieces, each of them a message: a client passes a stream
// of them in place of the argument. What wants an io.Reader gets one.
func (Files) Save(name string, pieces iter.Seq2[[]byte, error]) (string, error) {
	next, stop := iter.Pull2(pieces)
	defer stop()
	sum := sha256.New() // or a file
	size, err := io.Copy(sum, &upload{next: next})
	if err != nil {
		return "", err // the client has ended the stream with an error, or is gone
	}
	return fmt.Sprintf("%s: %d bytes, sha256 %x", name, size, sum.Sum(nil)[:4]), nil
}

// upload is the io.Reader of a stream.
type upload struct {
	next  func() ([]byte, error, bool)
	piece []byte // what is left of it
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.piece) == 0 {
		piece, err, more := u.next()
		if !more {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		u.piece = piece
	}
	n := copy(p, u.piece)
	u.piece = u.piece[n:]
	return n, nil
}

// A file arrives as a stream of pieces and is read as an io.Reader. In
// JavaScript: hub.invoke("Save", "notes.txt", subject), with a Subject that is
// given a Uint8Array (MessagePack) or base64 text (JSON) for each piece.
func ExampleNewHub_upload() {
	server.MustHub(Files{}, nil)

	pieces := func(yield func([]byte, error) bool) { // as a client sends them
		_ = yield([]byte("hello, "), nil) && yield([]byte("world"), nil)
	}
	fmt.Println(Files{}.Save("notes.txt", pieces))
	broken := func(yield func([]byte, error) bool) { yield(nil, errors.New("the client has left")) }
	fmt.Println(Files{}.Save("notes.txt", broken))
	// Output:
	// notes.txt: 12 bytes, sha256 09ca7e4e <nil>
	//  the client has left
}

// A user is who Options.Authenticate has found; a send to one reaches all of
// the user's connections, on all nodes.
func ExampleClients_User() {
	hub := server.MustHub(Chat{}, &server.Options{
		Authenticate: func(r *http.Request) (server.User, error) {
			session, err := r.Cookie("session")
			if err != nil {
				return server.User{}, nil // anonymous
			}
			return server.User{ID: session.Value}, nil // from the session store
		},
	})
	err := hub.Clients().User("alice").Send(context.Background(), "Said", "your order is on its way")
	fmt.Println(err) // a user without connections is no error
	// Output: <nil>
}

// The compiler checks what is sent, and hubgen writes the handlers of the clients
// from the same declarations.
func ExampleClientMethod2() {
	// A post was published: its id and title.
	const published = server.ClientMethod2[int, string]("PostPublished")

	hub := server.MustHub(Chat{}, nil)
	err := published.Send(context.Background(), hub.Clients().Group("readers"), 42, "What a hub is")
	fmt.Println(err)
	// Output: <nil>
}

// Any router works, if it passes on the hub's path and what is below it.
// docs/routers.md has the lines for chi, gorilla/mux, gin and echo. Route stands
// in front of a router and needs no support from it.
func ExampleRoute() {
	hub := server.MustHub(Chat{}, nil)
	var router http.Handler = http.NotFoundHandler() // the app's own
	handler := server.Route("/chat", hub)(router)
	_ = &http.Server{Handler: handler}
}

// Cart has a value for each connection.
type Cart struct {
	mu    sync.Mutex // streams and calls that wait for their client run beside others
	items []string
}

// Put takes one more item.
func (c *Cart) Put(item string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, item)
	return len(c.items)
}

// The fields of a hub are the state of one connection. What they begin with may
// depend on the request that opened it.
func ExampleNewHubFunc() {
	hub, err := server.NewHubFunc(func(call *server.Call) (*Cart, error) {
		return &Cart{items: slices.Clone(call.Request().URL.Query()["item"])}, nil
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Mount(http.DefaultServeMux, "/cart", hub)
}
