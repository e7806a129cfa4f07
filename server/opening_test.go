package server

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/internal/transport"
)

// A spyLink notes the state of its connection when the answer to the handshake
// goes to the client.
type spyLink struct {
	conn  *connection
	state chan int32
}

func (l *spyLink) Write(f transport.Frame) bool {
	if f.Kind() == transport.KindHandshake {
		l.state <- l.conn.state.Load()
	}
	return true
}

func (*spyLink) Closed(bool) {}

// As soon as the client has its answer it may lose its socket, come back, or
// refresh its authentication, beside the goroutine that has just answered. All
// of these need an open connection.
func TestAConnectionIsOpenBeforeItsHandshakeIsAnswered(t *testing.T) {
	hub, err := NewHub(struct{}{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	link := &spyLink{state: make(chan int32, 1)}
	conn, err := hub.main.Open(transport.Virtual{ID: "a", Request: httptest.NewRequest("GET", "/hub", nil), Link: link})
	if err != nil {
		t.Fatal(err)
	}
	link.conn = (*connection)(hub.main.App("a").(*hubApp))
	if err := conn.Received([]byte(`{"protocol":"json","version":1}`+"\x1e"), 1<<10); err != nil {
		t.Fatal(err)
	}
	if s := <-link.state; s != open {
		t.Errorf("answered in state %d, want %d", s, open)
	}
	conn.Left()
}

// TestAShutdownDuringTheHandshakeEndsTheConnection, whichever of them comes first. The
// hub would wait for the client else, for as long as it likes.
func TestAShutdownDuringTheHandshakeEndsTheConnection(t *testing.T) {
	hub, err := NewHub(struct{}{}, &Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest("GET", "/hub", nil)
	for i := range 10_000 {
		id := strconv.Itoa(i)
		link := &spyLink{state: make(chan int32, 1)}
		conn, err := hub.main.Open(transport.Virtual{ID: id, Request: request, Link: link})
		if err != nil {
			t.Fatal(err)
		}
		app := hub.main.App(id).(*hubApp)
		link.conn = (*connection)(app)
		var both sync.WaitGroup
		both.Go(func() { _ = conn.Received([]byte(`{"protocol":"json","version":1}`+"\x1e"), 1<<10) })
		both.Go(app.Shutdown)
		both.Wait()
		if !app.leaving() {
			t.Fatalf("round %d: the connection goes on after Shutdown", i)
		}
		conn.Left()
	}
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
