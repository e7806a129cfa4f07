package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A lifeHub notes what becomes of its connections.
type lifeHub struct {
	mu     sync.Mutex
	events map[string][]string // by connection id
	ended  chan string         // ids
	calls  map[string]*server.Call
}

func newLifeHub() *lifeHub {
	return &lifeHub{events: map[string][]string{}, ended: make(chan string, 100), calls: map[string]*server.Call{}}
}

func (h *lifeHub) note(call *server.Call, event string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events[call.ConnectionID()] = append(h.events[call.ConnectionID()], event)
}

func (h *lifeHub) of(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.events[id], ", ")
}

func (h *lifeHub) OnConnected(call *server.Call) error {
	h.note(call, "connected")
	call.Items().Store("greeting", "hello "+call.UserID())
	return call.Clients().Caller().Send(call.Context(), "Welcome", call.UserID())
}

func (h *lifeHub) OnDisconnected(call *server.Call, cause error) {
	h.mu.Lock()
	h.calls[call.ConnectionID()] = call
	h.mu.Unlock()
	h.note(call, fmt.Sprintf("disconnected (%v)", cause))
	h.ended <- call.ConnectionID()
}

func (h *lifeHub) Note(call *server.Call, text string) { h.note(call, text) }
func (h *lifeHub) ID(call *server.Call) string         { return call.ConnectionID() }
func (h *lifeHub) Abort(call *server.Call)             { call.Abort() }

func (h *lifeHub) Greeting(call *server.Call) string {
	greeting, _ := call.Items().Load("greeting")
	return greeting.(string)
}

// Stay streams nothing until its connection has ended.
func (h *lifeHub) Stay(call *server.Call) iter.Seq[int] {
	return func(func(int) bool) {
		<-call.Context().Done()
		h.note(call, "stayed")
	}
}

func (h *lifeHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func TestAConnectionHasALife(t *testing.T) {
	endings := map[string]struct {
		end  func(n *hubtest.Node, c *hubtest.Client)
		want string // what OnDisconnected is told
	}{
		"the client leaves":    {func(_ *hubtest.Node, c *hubtest.Client) { c.Close() }, "<nil>"},
		"the network is cut":   {func(_ *hubtest.Node, c *hubtest.Client) { c.Cut() }, ""}, // depends on the transport
		"a method aborts":      {func(_ *hubtest.Node, c *hubtest.Client) { _ = c.Invoke(nil, "Abort") }, "<nil>"},
		"the hub is shut down": {func(n *hubtest.Node, _ *hubtest.Client) { _ = n.Hub().Shutdown(context.Background()) }, "<nil>"},
		"the client is silent": {func(_ *hubtest.Node, c *hubtest.Client) { c.Delay(time.Hour); time.Sleep(2 * time.Minute) }, ""},
	}
	forEachMode(t, func(t *testing.T, m mode) {
		for name, test := range endings {
			h := newLifeHub()
			n := m.node(t, h, nil)
			other := n.Connect()
			c := m.connect(n, hubtest.User(server.User{ID: "alice"}))
			c.Expect("Welcome", "alice") // before any answer
			id := hubtest.Result[string](c, "ID")
			wantResult(t, c, "hello alice", "Greeting")
			c.Do("Join", "g")
			c.Do("Note", "called")
			c.Stream("Stay")
			time.Sleep(20 * time.Second) // a ping of the server, and one of the client
			if got := h.of(id); got != "connected, called" {
				t.Fatalf("%s: it has %s", name, got)
			}
			test.end(n, c)
			for got := ""; got != id; got = <-h.ended { // the other client may end, too
			}
			synctest.Wait()
			got := h.of(id)
			if !strings.HasPrefix(got, "connected, called, ") || !strings.Contains(got, "stayed") || strings.Count(got, "disconnected (") != 1 || !strings.Contains(got, test.want) {
				t.Errorf("%s: it has %s", name, got)
			}
			h.mu.Lock()
			call := h.calls[id]
			h.mu.Unlock()
			if call.ConnectionContext().Err() == nil {
				t.Errorf("%s: the connection's context goes on", name)
			}
			if greeting, _ := call.Items().Load("greeting"); greeting != "hello alice" {
				t.Errorf("%s: OnDisconnected sees the items %v", name, greeting)
			}
			if name == "the hub is shut down" {
				if err := n.Hub().Clients().All().Send(t.Context(), "M"); !errors.Is(err, server.ErrShutdown) {
					t.Errorf("a send after Shutdown: %v", err)
				}
				continue
			}
			for _, to := range []server.ClientProxy{n.Hub().Clients().Client(id), n.Hub().Clients().Group("g"), n.Hub().Clients().User("alice")} {
				if err := to.Send(t.Context(), "M"); err != nil {
					t.Errorf("%s: a send to a client that is gone: %v", name, err)
				}
			}
			other.Expect("Welcome", "")
			other.ExpectNone()
		}
	})
}

// A client whose OnConnected fails sees why, is never known to others, and has
// no OnDisconnected.
type pickyHub struct {
	*lifeHub
	err error
}

func (h pickyHub) OnConnected(call *server.Call) error {
	if call.UserID() == "bob" {
		h.note(call, "refused")
		return h.err
	}
	return nil
}

func TestAConnectionThatIsRefused(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		for want, err := range map[string]error{
			"Connection closed with an error. HubException: not you": server.NewHubError("not you"),
			"Connection closed with an error.":                       errors.New("secret"),
		} {
			h := pickyHub{newLifeHub(), err}
			n := m.node(t, h, nil)
			bob := m.connect(n, hubtest.User(server.User{ID: "bob"}))
			end, ok := errors.AsType[*hubtest.CloseError](bob.Wait())
			if !ok || end.Text != want || end.AllowReconnect {
				t.Errorf("refused with %v: the end is %v", err, end)
			}
			m.connect(n).Do("Note", "others may come")
		}
	})
}

// Connections that come and go at once are each reported once, and the hub is
// empty afterwards.
func TestConnectionsComeAndGo(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := newLifeHub()
		n := m.node(t, h, nil)
		const clients = 20
		var running sync.WaitGroup
		ids := make([]string, clients)
		for i := range clients {
			c := m.connect(n)
			ids[i] = hubtest.Result[string](c, "ID")
			running.Go(func() {
				if i%2 == 0 {
					c.Close()
				} else {
					c.Cut()
				}
			})
		}
		running.Wait()
		for range clients {
			<-h.ended // within its own time: in a bubble it costs none
		}
		for _, id := range ids {
			if got := h.of(id); strings.Count(got, "disconnected (") != 1 {
				t.Errorf("a connection has %s", got)
			}
		}
		select {
		case id := <-h.ended:
			t.Errorf("%s has ended twice", id)
		default:
		}
	})
}

// Below: what clients see on the wire.

// An endHub notes how its connections end.
type endHub struct{ ended chan error }

func (h endHub) Abort(call *server.Call)                       { call.Abort() }
func (h endHub) OnDisconnected(call *server.Call, cause error) { h.ended <- cause }

func TestWaysAConnectionEnds(t *testing.T) {
	hub := endHub{make(chan error, 100)}
	url := serve(t, newHub(hub, nil))
	const closedWithError = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
	for _, test := range []struct {
		name, send string
		want       []string
		cause      string
	}{
		{"Abort", `{"type":1,"target":"Abort","arguments":[]}`, []string{`{"type":7}`, "close 1000"}, "<nil>"},
		{"the client's Close", `{"type":7}`, []string{`{"type":7}`, "close 1000"}, "<nil>"},
		{"the client's Close with an error", `{"type":7,"error":"mine"}`, []string{`{"type":7}`, "close 1000"}, "mine"},
		{"a malformed message", `x`, []string{closedWithError, "close 1000"}, "Error reading JSON."},
		{"a message over the limit", strings.Repeat("x", 40000), []string{closedWithError, "close 1000"}, "The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions."},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.send(test.send)
			c.expect(test.want...)
			if got := fmt.Sprint(<-hub.ended); got != test.cause {
				t.Errorf("OnDisconnected got %q, want %q", got, test.cause)
			}
		})
	}
}

func TestShutdownSaysFarewell(t *testing.T) {
	hub := newHub(endHub{make(chan error, 1)}, nil)
	c := connect(t, serve(t, hub))
	done := make(chan error, 1)
	go func() { done <- hub.Shutdown(t.Context()) }()
	c.expect(`{"type":7,"allowReconnect":true}`, "close 1000")
	_ = c.conn.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

// A blockHub has a method that returns when it is told to.
type blockHub struct{ begun, release chan struct{} }

func (h blockHub) Block() { h.begun <- struct{}{}; <-h.release }

func TestShutdownWaitsForMethodsThatOutliveTheirConnection(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := blockHub{make(chan struct{}), make(chan struct{})}
		n := m.node(t, h, nil)
		c := m.connect(n)
		c.Send("Block")
		<-h.begun
		time.Sleep(time.Second) // the method has kept its goroutine by now
		c.Cut()
		down := make(chan error, 1)
		go func() { down <- n.Hub().Shutdown(context.Background()) }()
		time.Sleep(time.Hour) // the connection has ended
		select {
		case err := <-down:
			t.Errorf("Shutdown returned %v while a method ran", err)
			down <- err
		default:
		}
		close(h.release)
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}
