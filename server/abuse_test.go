package server_test

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/server"
)

// panicHub panics in one of its hooks, which the query names.
type panicHub struct{ disconnected chan struct{} }

func where(call *server.Call, place string) {
	if call.Request().URL.Query().Get("panic") == place {
		panic("in " + place)
	}
}

func (h panicHub) OnConnected(call *server.Call) error {
	where(call, "OnConnected")
	return nil
}

func (h panicHub) OnDisconnected(call *server.Call, _ error) {
	defer func() { h.disconnected <- struct{}{} }()
	where(call, "OnDisconnected")
}

func (h panicHub) Method(call *server.Call) string {
	where(call, "Method")
	return "fine"
}

func (h panicHub) Stream(call *server.Call) iter.Seq[int] {
	return func(yield func(int) bool) {
		yield(1)
		where(call, "Stream")
	}
}

func (h panicHub) Guarded() string { return "fine" }

func TestPanicsInUserHooksAreContained(t *testing.T) {
	hub := panicHub{make(chan struct{}, 20)}
	url := serve(t, newHub(hub, &server.Options{
		Methods: map[string]server.MethodOptions{"Guarded": {Authorize: func(call *server.Call) error {
			where(call, "Authorize")
			return nil
		}}},
		UserID: func(r *http.Request, _ server.User) string {
			if r.URL.Query().Get("panic") == "UserID" {
				panic("in UserID")
			}
			return ""
		},
		Filters: []server.Filter{{Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			where(call, "Filter")
			return next(call)
		}}},
	}))
	const failed = `{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Method' on the server."}`
	const call = `{"type":1,"invocationId":"1","target":"Method","arguments":[]}`
	for _, test := range []struct {
		place, send string
		want        []string
	}{
		{"Method", call, []string{`{}`, failed}},
		{"Filter", call, []string{`{}`, failed}},
		{"Authorize", `{"type":1,"invocationId":"1","target":"Guarded","arguments":[]}`, []string{`{}`, `{"type":3,"invocationId":"1","error":"Failed to invoke 'Guarded' because user is unauthorized"}`}},
		{"Stream", `{"type":4,"invocationId":"1","target":"Stream","arguments":[]}`, []string{`{}`, `{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1","error":"An error occurred on the server while streaming results."}`}},
		{"UserID", "", []string{`{"error":"An unexpected error occurred during connection handshake."}`, "close 1000"}},
		{"OnConnected", "", []string{`{}`, `{"type":7,"error":"Connection closed with an error."}`, "close 1000"}},
		{"OnDisconnected", `{"type":7}`, []string{`{}`, `{"type":7}`, "close 1000"}},
	} {
		t.Run("a panic in "+test.place, func(t *testing.T) {
			c := dial(t, url, "?panic="+test.place)
			c.send(`{"protocol":"json","version":1}`)
			if test.send != "" {
				c.send(test.send)
			}
			c.expect(test.want...)
			if last := test.want[len(test.want)-1]; last != "close 1000" {
				c.send(`{"type":6}`, `{"type":1,"invocationId":"2","target":"NoSuch","arguments":[]}`)
				c.expect(`{"type":3,"invocationId":"2","error":"Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist."}`)
			}
			other := connect(t, url)
			other.call("1", "Method", `[]`, `"result":"fine"`)
		})
	}
}

// chatHub sends what it is told.
type chatHub struct{ ended chan error }

func (h chatHub) OnDisconnected(_ *server.Call, cause error) { h.ended <- cause }
func (h chatHub) Echo(text string) string                    { return text }

func TestFloodBeforeTheHandshakeIsRefused(t *testing.T) {
	url := serve(t, newHub(chatHub{make(chan error, 1)}, nil))
	c := dial(t, url, "")
	for range 100 {
		if err := wsutil.WriteClientText(c.conn, []byte(strings.Repeat("x", 1000))); err != nil {
			break // closed already: that is the point
		}
	}
	c.expect(`{"error":"Handshake was canceled."}`, "close 1000")
}

func TestTenThousandBroadcastsArriveInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds; not with -short")
	}
	const messages = 10_000
	clients := 100
	if race.Enabled {
		clients = 20 // a million of frames take too long
	}
	// No client is too slow or too silent, however slow the machine is.
	hub := newHub(chatHub{make(chan error, clients)}, &server.Options{KeepAliveInterval: -1, SlowClientTimeout: -1, ClientTimeoutInterval: -1})
	url := serve(t, hub)
	var want []byte // all records
	for i := range messages {
		want = fmt.Appendf(want, `{"type":1,"target":"M","arguments":[%d]}`+"\x1e", i)
	}
	var ready, done sync.WaitGroup
	for range clients {
		c := connect(t, url)
		c.send(`{"type":6}`, `{"type":1,"invocationId":"0","target":"Echo","arguments":["x"]}`)
		ready.Add(1)
		done.Go(func() {
			if r := c.receive(); !strings.HasPrefix(r, `{"type":3`) {
				t.Errorf("received %s", r)
			}
			ready.Done()
			_ = c.conn.SetReadDeadline(time.Time{})
			for left := want; len(left) > 0; {
				_, p, err := readFrame(c.in)
				if err != nil || len(p) == 0 || !bytes.HasPrefix(left, p) {
					t.Errorf("received %.200q, %v, want %.200q", p, err, left)
					return
				}
				left = left[len(p):]
			}
		})
	}
	ready.Wait()
	for i := range messages {
		if err := hub.Clients().All().Send(t.Context(), "M", i); err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
}
