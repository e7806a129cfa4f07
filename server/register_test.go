package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/server"
)

// A lateHub waits in OnConnected, and ends it as the client's query says.
type lateHub struct {
	begun, over chan struct{}
	gone        chan error
}

func (h *lateHub) OnConnected(call *server.Call) error {
	query := call.Request().URL.Query()
	if !query.Has("late") {
		return nil
	}
	h.begun <- struct{}{}
	if query.Get("late") == "gone" {
		<-call.Context().Done()
		h.gone <- context.Cause(call.Context())
		return nil
	}
	<-h.over
	switch query.Get("late") {
	case "fail":
		return errors.New("late")
	case "exit":
		runtime.Goexit()
	case "panic":
		panic("late")
	}
	return call.Clients().Caller().Send(call.Context(), "Welcome")
}

func (h *lateHub) Echo(text string) string { return text }

// While OnConnected waits, its client has the answer to its handshake, is heard, and is seen
// to leave. Nothing of what it says is dispatched, and nobody else waits with it.
func TestAClientIsReadWhileOnConnectedWaits(t *testing.T) {
	const refused = `{"type":7,"error":"Connection closed with an error."}`
	for late, want := range map[string][]string{
		"return": {`{"type":1,"target":"Welcome","arguments":[]}`, `{"type":3,"invocationId":"1","result":"early"}`},
		"fail":   {refused, "close 1000"},
		"exit":   {refused, "close 1000"},
		"panic":  {refused, "close 1000"},
	} {
		t.Run(late, func(t *testing.T) {
			h := &lateHub{begun: make(chan struct{}), over: make(chan struct{})}
			url := serve(t, newHub(h, nil))
			other := connect(t, url)
			c := dial(t, url, "?late="+late)
			c.handshake()
			<-h.begun
			c.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["early"]}`)
			if err := wsutil.WriteClientMessage(c.conn, ws.OpPing, []byte("heard")); err != nil {
				t.Fatal(err)
			}
			if pong := c.frame(); pong != "heard" {
				t.Fatalf("a ping was answered by %q", pong)
			}
			other.call("1", "Echo", `["x"]`, `"result":"x"`)
			h.over <- struct{}{}
			c.expect(want...)
			if len(want) == 2 && want[1] != "close 1000" {
				c.call("2", "Echo", `["late"]`, `"result":"late"`)
			}
			other.call("2", "Echo", `["x"]`, `"result":"x"`)
		})
	}
	for name, leave := range map[string]func(*client){
		"closed": func(c *client) {
			if err := wsutil.WriteClientMessage(c.conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")); err != nil {
				c.t.Fatal(err)
			}
			c.expect("close 1000")
		},
		"lost": func(c *client) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h := &lateHub{begun: make(chan struct{}), gone: make(chan error)}
			url := serve(t, newHub(h, nil))
			c := dial(t, url, "?late=gone")
			c.handshake()
			<-h.begun
			leave(c)
			if err := <-h.gone; !errors.Is(err, context.Canceled) {
				t.Errorf("the context of OnConnected ended by %v", err)
			}
		})
	}
}

// More clients than the watch has room for wait in OnConnected, and none keeps others out.
func TestManyClientsWaitInOnConnected(t *testing.T) {
	const many = 100
	h := &lateHub{begun: make(chan struct{}, many), over: make(chan struct{})}
	url := serve(t, newHub(h, nil))
	var clients []*client
	for range many {
		c := dial(t, url, "?late=return")
		c.handshake()
		clients = append(clients, c)
	}
	connect(t, url).call("1", "Echo", `["x"]`, `"result":"x"`)
	close(h.over)
	for _, c := range clients {
		c.expect(`{"type":1,"target":"Welcome","arguments":[]}`)
		c.call("1", "Echo", `["x"]`, `"result":"x"`)
	}
}

// leavingManager makes no connection known before its client has left.
type leavingManager struct {
	server.LifetimeManager
	begun chan struct{}
}

func (m leavingManager) Connected(ctx context.Context, _ server.Receiver) error {
	m.begun <- struct{}{}
	<-ctx.Done()
	return fmt.Errorf("asking: %w", ctx.Err())
}

// A client that leaves before the manager knows it is no error.
func TestAClientThatLeavesBeforeItIsKnownIsNoError(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"closed": func(c *client) {
			if err := wsutil.WriteClientMessage(c.conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")); err != nil {
				c.t.Fatal(err)
			}
		},
		"lost": func(c *client) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			book, log := newLogBook()
			m := leavingManager{server.NewLifetimeManager(), make(chan struct{})}
			c := dial(t, serve(t, newHub(&lateHub{}, &server.Options{LifetimeManager: m, Logger: log})), "")
			c.send(`{"protocol":"json","version":1}`)
			<-m.begun
			leave(c)
			book.wait(t, `level=INFO msg="connection closed" .*how="client left before it was known".*`)
			if said := book.String(); strings.Contains(said, "level=ERROR") {
				t.Errorf("the log says:\n%s", said)
			}
		})
	}
}

// The goroutine of net/http, and what it has for the request, is not kept for a client, however
// that is read and whatever it says first.
func TestTheGoroutineOfARequestIsNotKept(t *testing.T) {
	for name, test := range map[string]struct {
		options server.EndpointOptions
		first   string
	}{
		"a quiet client":          {first: "{\"protocol\":\"json\",\"version\":1}\x1e"},
		"a client that says much": {first: "{\"protocol\":\"json\",\"version\":1}\x1e" + strings.Repeat("{\"type\":6}\x1e", 100)},
		"with a goroutine":        {options: server.EndpointOptions{GoroutinePerWebSocket: true}, first: "{\"protocol\":\"json\",\"version\":1}\x1e"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			hub := newHub(&lateHub{}, &server.Options{Endpoint: test.options})
			server.Mount(mux, "/hub", hub)
			served := make(chan string, 1)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mux.ServeHTTP(w, r)
				served <- r.URL.Path
			}))
			t.Cleanup(s.Close)
			t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
			c := dial(t, s.URL, "")
			if err := wsutil.WriteClientText(c.conn, []byte(test.first)); err != nil {
				t.Fatal(err)
			}
			c.expect(`{}`)
			<-served
			c.call("1", "Echo", `["x"]`, `"result":"x"`)
		})
	}
}
