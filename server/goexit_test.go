package server_test

import (
	"iter"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// An exiting value calls runtime.Goexit where it encodes or decodes itself.
type exiting struct{}

func (exiting) MarshalJSON() ([]byte, error) { runtime.Goexit(); return nil, nil }
func (*exiting) UnmarshalJSON([]byte) error  { runtime.Goexit(); return nil }

type exitHub struct{ left chan string }

func (h exitHub) OnConnected(call *server.Call) error {
	if call.Request().URL.Query().Has("exit") {
		runtime.Goexit()
	}
	return nil
}

func (h exitHub) OnDisconnected(call *server.Call, _ error) {
	h.left <- call.Request().URL.RawQuery
	runtime.Goexit()
}

func (exitHub) Take(exiting)  {}
func (exitHub) Give() exiting { return exiting{} }
func (exitHub) Method()       { runtime.Goexit() }
func (exitHub) Guarded()      {}
func (exitHub) Up(items <-chan exiting) {
	for range items {
	}
}
func (exitHub) Stream() iter.Seq[int] { return func(func(int) bool) { runtime.Goexit() } }
func (exitHub) Fine() string          { return "fine" }

// Code that ends its goroutine costs its call, or its connection where nobody
// could go on with that, and never the Shutdown.
func TestGoexitInUserCodeEndsOneConnectionAtMost(t *testing.T) {
	const failed = "An unexpected error occurred invoking "
	for name, test := range map[string]struct {
		query string
		say   []string
		want  string // the connection goes on; else it ends
	}{
		"OnConnected":            {query: "?exit"},
		"UnmarshalJSON":          {say: []string{`{"type":1,"invocationId":"1","target":"Take","arguments":[1]}`}},
		"MarshalJSON":            {say: []string{`{"type":1,"invocationId":"1","target":"Give","arguments":[]}`}},
		"UnmarshalJSON, uploads": {say: []string{`{"type":1,"target":"Up","arguments":[],"streamIds":["s"]}`, `{"type":2,"invocationId":"s","item":1}`}},
		"a method":               {say: []string{`{"type":1,"invocationId":"1","target":"Method","arguments":[]}`}, want: `{"type":3,"invocationId":"1","error":"` + failed + `'Method' on the server."}`},
		"Authorize":              {say: []string{`{"type":1,"invocationId":"1","target":"Guarded","arguments":[]}`}, want: `{"type":3,"invocationId":"1","error":"` + failed + `'Guarded' on the server."}`},
		"an iterator":            {say: []string{`{"type":4,"invocationId":"1","target":"Stream","arguments":[]}`}, want: `{"type":3,"invocationId":"1","error":"` + failed + `'Stream' on the server."}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := exitHub{make(chan string, 2)}
			url := serve(t, newHub(h, &server.Options{Methods: map[string]server.MethodOptions{
				"Guarded": {Authorize: func(*server.Call) error { runtime.Goexit(); return nil }},
			}}))
			other := connect(t, url)
			c := dial(t, url, test.query)
			c.handshake()
			if len(test.say) > 0 {
				c.send(test.say...)
			}
			switch {
			case test.want != "":
				c.expect(test.want)
				c.call("2", "Fine", "[]", `"result":"fine"`)
			case test.query != "":
				c.expect(`{"type":7,"error":"Connection closed with an error."}`, "close 1000")
			default:
				c.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`, "close 1000")
				<-h.left
			}
			other.call("1", "Fine", "[]", `"result":"fine"`)
		})
	}
}

func TestAPanicOfARawHandlerOrOfItsErrorEndsItsConnection(t *testing.T) {
	for name, serveOne := range map[string]func() error{
		"serve": func() error { panic("in serve") },
		"Is":    func() error { return evilError{} },
		"exit":  func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var calm atomic.Bool
			h := server.NewConnectionHandler(func(c *server.Connection) error {
				if calm.Load() {
					return nil
				}
				return serveOne()
			}, &server.ConnectionOptions{Logger: slog.New(slog.NewTextHandler(discard{}, nil))})
			url := serve(t, h)
			dial(t, url, "").expect("close 1011")
			calm.Store(true)
			dial(t, url, "").expect("close 1000")
		})
	}
}
