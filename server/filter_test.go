package server_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// Every call is logged with its method, its caller, its time and its end.
func ExampleFilter_logging() {
	logging := server.Filter{
		Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			start := time.Now()
			result, err := next(call)
			call.Logger().Info("called", "method", call.Method(), "user", call.User().ID, "took", time.Since(start), "error", err)
			return result, err
		},
	}
	server.MustHub(Chat{}, &server.Options{Filters: []server.Filter{logging}})
}

// Each connection may make ten calls a second. What belongs to a connection is
// kept in its items.
func ExampleFilter_rateLimit() {
	server.MustHub(Chat{}, &server.Options{Filters: []server.Filter{rateLimit(10)}})
}

func rateLimit(most int) server.Filter {
	type window struct {
		mu    sync.Mutex
		start time.Time
		calls int
	}
	return server.Filter{
		OnConnected: func(call *server.Call, next func(*server.Call) error) error {
			call.Items().Store("window", &window{})
			return next(call)
		},
		Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			item, _ := call.Items().Load("window")
			w := item.(*window)
			w.mu.Lock()
			if now := time.Now(); now.Sub(w.start) >= time.Second {
				w.start, w.calls = now, 0
			}
			w.calls++
			tooMany := w.calls > most
			w.mu.Unlock()
			if tooMany {
				return nil, server.NewHubError("no more than %d calls a second", most)
			}
			return next(call)
		},
	}
}

// Who may call a method at all is said by MethodOptions.Authorize. A filter can
// decide by what the method is given, too: arguments are pointers.
func ExampleFilter_authorization() {
	server.MustHub(Chat{}, &server.Options{
		Filters: []server.Filter{moderation},
		Methods: map[string]server.MethodOptions{"Say": {Authorize: server.RequireUser}},
	})
}

var moderation = server.Filter{
	Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
		if call.Method() == "Say" && *call.Arguments()[0].(*string) == "staff" && !strings.HasPrefix(call.User().ID, "staff-") {
			return nil, server.NewHubError("only staff speaks in this room")
		}
		return next(call)
	},
}

// notes is what happened, in order. It is safe for concurrent use.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// A filteredHub notes what reaches it.
type filteredHub struct{ *notes }

func (h filteredHub) Echo(text string) string { h.add("Echo"); return text }
func (h filteredHub) Fail() error             { h.add("Fail"); return server.NewHubError("as told") }
func (h filteredHub) OnConnected(call *server.Call) error {
	h.add("OnConnected")
	if call.Request().URL.Query().Has("refuse") {
		return server.NewHubError("not you")
	}
	return nil
}
func (h filteredHub) OnDisconnected(call *server.Call, cause error) {
	h.add("OnDisconnected %v", cause)
}

// noting is a filter that notes what goes through it both ways.
func noting(n *notes, name string) server.Filter {
	return server.Filter{
		Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			n.add("%s > %s/%d", name, call.Method(), len(call.Arguments()))
			result, err := next(call)
			n.add("%s < %v %v", name, result, err)
			return result, err
		},
		OnConnected: func(call *server.Call, next func(*server.Call) error) error {
			n.add("%s > connected", name)
			err := next(call)
			n.add("%s < %v", name, err)
			return err
		},
		OnDisconnected: func(call *server.Call, cause error, next func(*server.Call, error)) {
			n.add("%s > disconnected", name)
			next(call, cause)
			n.add("%s <", name)
		},
	}
}

func TestFiltersStandAroundAllThatAHubDoesTheFirstOutermost(t *testing.T) {
	var n notes
	url := serve(t, newHub(filteredHub{&n}, &server.Options{Filters: []server.Filter{noting(&n, "a"), {}, noting(&n, "b")}}))
	c := connect(t, url)
	c.call("1", "Echo", `["x"]`, `"result":"x"`)
	c.call("2", "Fail", `[]`, `"error":"An unexpected error occurred invoking 'Fail' on the server. HubException: as told"`)
	c.call("3", "Nothing", `[]`, `"error":"Failed to invoke 'Nothing' due to an error on the server. HubException: Method does not exist."`)
	c.call("4", "Echo", `[1,2]`, `"error":"Failed to invoke 'Echo' due to an error on the server."`)
	c.send(`{"type":7}`)
	want := []string{
		"a > connected", "b > connected", "OnConnected", "b < <nil>", "a < <nil>",
		"a > Echo/1", "b > Echo/1", "Echo", "b < x <nil>", "a < x <nil>",
		"a > Fail/0", "b > Fail/0", "Fail", "b < <nil> as told", "a < <nil> as told",
		"a > disconnected", "b > disconnected", "OnDisconnected <nil>", "b <", "a <",
	}
	eventually(t, "OnDisconnected", func() bool { return len(n.all()) >= len(want) })
	if got := n.all(); !slices.Equal(got, want) {
		t.Errorf("happened %q\n    want %q", got, want)
	}
}

func TestFiltersDecide(t *testing.T) {
	var n notes
	swallow := server.Filter{
		Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
			text := call.Arguments()[0].(*string)
			switch *text {
			case "not run":
				return "instead", nil
			case "refused":
				return nil, server.NewHubError("no")
			case "secret":
				return nil, errors.New("what clients do not see")
			}
			*text += "!"
			result, err := next(call)
			return strings.ToUpper(result.(string)), err
		},
		OnConnected: func(call *server.Call, next func(*server.Call) error) error { _ = next(call); return nil },
	}
	url := serve(t, newHub(filteredHub{&n}, &server.Options{Filters: []server.Filter{swallow}}))
	c := dial(t, url, "?refuse") // the hub does, the filter does not
	c.handshake()
	c.call("1", "Echo", `["run"]`, `"result":"RUN!"`)
	c.call("2", "Echo", `["not run"]`, `"result":"instead"`)
	c.call("3", "Echo", `["refused"]`, `"error":"An unexpected error occurred invoking 'Echo' on the server. HubException: no"`)
	c.call("4", "Echo", `["secret"]`, `"error":"An unexpected error occurred invoking 'Echo' on the server."`)
	if got, want := n.all(), []string{"OnConnected", "Echo"}; !slices.Equal(got, want) {
		t.Errorf("the hub saw %q, want %q", got, want)
	}
}

func TestAFilterRefusesConnections(t *testing.T) {
	var n notes
	refuse := server.Filter{OnConnected: func(*server.Call, func(*server.Call) error) error { return server.NewHubError("full") }}
	c := connect(t, serve(t, newHub(filteredHub{&n}, &server.Options{Filters: []server.Filter{refuse}})))
	c.expect(`{"type":7,"error":"Connection closed with an error. HubException: full"}`)
	if got := n.all(); len(got) > 0 && got[0] == "OnConnected" {
		t.Errorf("the hub saw %q", got)
	}
}

func TestExampleFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the window of the rate limit has a clock
		var n notes
		node := hubtest.New(t, Chat{}, &server.Options{
			Filters: []server.Filter{noting(&n, "log"), rateLimit(3), moderation},
			Methods: map[string]server.MethodOptions{"Say": {Authorize: server.RequireUser}},
		})
		c := node.Connect(hubtest.User(server.User{ID: "mallory"}))
		refused := func(want, method string, args ...any) {
			t.Helper()
			var call *hubtest.CallError
			if err := c.Invoke(nil, method, args...); !errors.As(err, &call) || call.Text != want {
				t.Errorf("%s = %v, want %s", method, err, want)
			}
		}
		refused("An unexpected error occurred invoking 'Say' on the server. HubException: only staff speaks in this room", "Say", "staff", "x")
		c.Do("Say", "lobby", "x")
		c.Do("Join", "lobby")
		refused("An unexpected error occurred invoking 'Join' on the server. HubException: no more than 3 calls a second", "Join", "lobby")
		if got := n.all(); len(got) != 10 {
			t.Errorf("logged %q", got)
		}
		time.Sleep(time.Second)
		c.Do("Join", "lobby")
		node.Connect(hubtest.User(server.User{ID: "staff-ann"})).Do("Say", "staff", "x")
	})
}
