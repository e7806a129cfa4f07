package server_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/server"
)

// A waitHub is a hub whose methods and hooks return when the test says so.
type waitHub struct {
	hang    chan struct{} // what methods and authorizations wait for
	connect chan struct{} // what OnConnected waits for

	mu    sync.Mutex
	began []string
}

func (h *waitHub) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = append(h.began, what)
}

func (h *waitHub) has(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.began, what)
}

func (h *waitHub) OnConnected(*server.Call) error        { <-h.connect; h.note("OnConnected"); return nil }
func (h *waitHub) OnDisconnected(*server.Call, error)    { h.note("OnDisconnected") }
func (h *waitHub) Hang()                                 { h.note("Hang"); <-h.hang }
func (h *waitHub) Behind()                               { h.note("Behind") }
func (h *waitHub) Guarded()                              { h.note("Behind") }
func (h *waitHub) Items(items <-chan int)                { h.note("Items"); <-h.hang }
func (h *waitHub) GuardedStream(*server.Call) <-chan int { h.note("Behind"); return nil }

func (h *waitHub) authorize(*server.Call) error { h.note("authorize"); <-h.hang; return nil }

const (
	callBehind = `{"type":1,"target":"Behind","arguments":[]}`
	callHang   = `{"type":1,"target":"Hang","arguments":[]}`
)

// Ways in which calls come to wait, and whether OnDisconnected can come before
// what they wait for has returned.
var waitingCalls = []struct {
	name     string
	records  []string
	waitsFor string // what has begun then
	connect  bool   // OnConnected is what they wait for
}{
	{name: "behind a call that does not return", records: []string{callHang, callBehind}, waitsFor: "Hang"},
	{name: "behind two calls", records: []string{callHang, callBehind, callBehind}, waitsFor: "Hang"},
	{name: "for its own authorization", records: []string{`{"type":1,"target":"Guarded","arguments":[]}`}, waitsFor: "authorize"},
	{name: "for the authorization of its stream", records: []string{`{"type":4,"invocationId":"1","target":"GuardedStream","arguments":[]}`}, waitsFor: "authorize"},
	{name: "behind the authorization of a stream", records: []string{`{"type":4,"invocationId":"1","target":"GuardedStream","arguments":[]}`, callBehind}, waitsFor: "authorize"},
	{name: "behind an item that its stream does not take", records: []string{
		`{"type":1,"target":"Items","arguments":[],"streamIds":["s"]}`, `{"type":2,"invocationId":"s","item":1}`,
		`{"type":2,"invocationId":"s","item":2}`, callBehind}, waitsFor: "Items"},
	{name: "for OnConnected", records: []string{callBehind}, connect: true},
}

// What still waits when its client is gone never begins, and the connection
// ends without it.
func TestWhatWaitsWhenItsClientIsGoneNeverBegins(t *testing.T) {
	endings := map[string]func(t *testing.T, hub *server.Hub, c *fakeClient){
		"the client is lost": func(_ *testing.T, _ *server.Hub, c *fakeClient) { close(c.in) },
		"the client closes and what is before the calls takes too long": func(_ *testing.T, _ *server.Hub, c *fakeClient) {
			c.in <- ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
			time.Sleep(5 * time.Second)
			close(c.in)
		},
		"the hub is shut down": func(t *testing.T, hub *server.Hub, c *fakeClient) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			begin := time.Now()
			if err := hub.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
				t.Errorf("Shutdown returned %v after %v, want the end of its context", err, time.Since(begin))
			}
			close(c.in)
		},
	}
	for _, waiting := range waitingCalls {
		for name, end := range endings {
			t.Run(waiting.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := &waitHub{hang: make(chan struct{}), connect: make(chan struct{})}
					guarded := server.MethodOptions{Authorize: h.authorize}
					hub := newHub(h, &server.Options{
						StreamBufferCapacity: 1,
						Methods:              map[string]server.MethodOptions{"Guarded": guarded, "GuardedStream": guarded},
					})
					if !waiting.connect {
						close(h.connect)
					}
					c := openFake(t, hub)
					c.say(`{"protocol":"json","version":1}`)
					for _, record := range waiting.records {
						c.say(record)
						time.Sleep(time.Second)
					}
					if waiting.waitsFor != "" && !h.has(waiting.waitsFor) {
						t.Fatalf("began: %q, want %s", h.began, waiting.waitsFor)
					}
					end(t, hub, c)
					synctest.Wait()
					if waiting.connect {
						close(h.connect)
						synctest.Wait()
					}
					if !h.has("OnDisconnected") {
						t.Error("OnDisconnected was not called")
					}
					close(h.hang)
					if err := hub.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					if h.has("Behind") {
						t.Error("the call that waited was started")
					}
				})
			})
		}
	}
}

// A client may send and stop right afterwards, as with ASP.NET Core: what it sent
// before its close frame begins once what is before it returns.
func TestCallsBeforeAProperCloseStillBegin(t *testing.T) {
	for _, waiting := range waitingCalls {
		if waiting.waitsFor == "authorize" && len(waiting.records) == 1 && strings.Contains(waiting.records[0], `"type":1`) {
			continue // it does not hold the loop up: the connection ends at once
		}
		t.Run(waiting.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &waitHub{hang: make(chan struct{}), connect: make(chan struct{})}
				guarded := server.MethodOptions{Authorize: h.authorize}
				hub := newHub(h, &server.Options{
					StreamBufferCapacity: 1,
					Methods:              map[string]server.MethodOptions{"Guarded": guarded, "GuardedStream": guarded},
				})
				c := openFake(t, hub)
				if !waiting.connect {
					close(h.connect)
				}
				c.say(`{"protocol":"json","version":1}`)
				for _, record := range waiting.records {
					c.say(record)
				}
				c.in <- ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
				time.Sleep(4 * time.Second)
				if waiting.connect {
					close(h.connect)
				}
				close(h.hang)
				synctest.Wait()
				if !h.has("Behind") || !h.has("OnDisconnected") {
					t.Errorf("began: %q, want the call and OnDisconnected", h.began)
				}
				close(c.in)
				if err := hub.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
