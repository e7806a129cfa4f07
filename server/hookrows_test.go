package server_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A hookTest says what becomes of a client while a hook panics, or ends its
// goroutine.
type hookTest struct {
	set     func(o *server.Options, boom func()) // puts the hook into o
	raw     bool                                 // it is served by a ConnectionHandler
	each    bool                                 // the function of NewHubFunc is the hook
	drive   func(t *testing.T, url string)       // meets the hook
	outside func(*server.Hub)                    // not nil: meets it, once drive has connected a client
	exit    func(t *testing.T, url string)       // meets it when it calls runtime.Goexit; nil: as drive
}

const (
	hookCall   = `{"type":1,"invocationId":"1","target":"Use","arguments":[""]}`
	hookFailed = `{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Use' on the server."}`
	hookUnfit  = `{"type":3,"invocationId":"1","error":"Failed to invoke 'Use' due to an error on the server."}`
	hookClosed = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
)

// records is a drive: it sends what a client says and expects what it hears.
func records(say string, want ...string) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		t.Helper()
		c := dial(t, url, "")
		c.send(`{"protocol":"json","version":1}`)
		if say != "" {
			c.send(say)
		}
		c.expect(want...)
	}
}

// noAnswer is a drive: net/http ends the connection of a request whose goroutine
// ends.
func noAnswer(method, path string, header ...string) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			t.Errorf("%s %s is answered %d", method, path, answer.StatusCode)
		}
	}
}

// negotiateUnanswered is a drive for hooks of every negotiate.
var negotiateUnanswered = noAnswer("POST", "/hub/negotiate?negotiateVersion=1")

// ends is a drive: the connection ends, whatever the client sees of it.
func ends(t *testing.T, url string) {
	t.Helper()
	c := dial(t, url, "")
	c.send(`{"protocol":"json","version":1}`, strings.Replace(hookCall, `""`, `"log"`, 1), `{"type":7}`)
	for got := ""; !strings.HasPrefix(got, "close ") && !strings.HasPrefix(got, "broken: "); {
		got = c.receive()
	}
}

// negotiateStatus is a drive: negotiate is answered with status.
func negotiateStatus(want int) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		t.Helper()
		if got, _, body := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", "a/b/0"); got != want {
			t.Errorf("negotiate is answered %d %s, want %d", got, body, want)
		}
	}
}

// managed is a row for a method of a LifetimeManager.
func managed(name, call string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.LifetimeManager = newPanicManager(name, boom)
		},
		drive: records(call, want...),
	}
}

// use calls a method of the hub that calls the manager's.
func use(name string) hookTest {
	return managed(name, strings.Replace(hookCall, `""`, `"`+name+`"`, 1), `{}`, hookFailed)
}

// coded is a row for a method of a Codec.
func coded(name, say string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			codec := panicCodec{protocol.JSON{}, name, boom}
			o.Protocols = []protocol.Codec{codec}
			if name == "Missing" {
				o.Protocols = []protocol.Codec{panicFramer{codec}}
			}
		},
		drive: records(say, want...),
	}
}

// valued is a row for a method of JSONValues.
func valued(name string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.Protocols = []protocol.Codec{protocol.JSON{Values: panicValues{name, boom}}}
		},
		drive: records(hookCall, append([]string{`{}`}, want...)...),
	}
}

// exitEnds is a row for code on the loop of its connection, which ends with its
// goroutine.
func exitEnds(test hookTest) hookTest {
	test.exit = records(hookCall, `{}`, hookClosed, "close 1000")
	return test
}

// metAtTimes is a row for code that is called when a message comes in pieces.
func metAtTimes(test hookTest) hookTest {
	test.exit = ends
	return test
}

// logged is a row for a method of a slog.Handler: nobody but the log notices.
func logged(name string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.Logger = slog.New(panicHandler{slog.DiscardHandler, name, boom})
		},
		drive: func(t *testing.T, url string) {
			c := connect(t, url)
			c.call("1", "Use", `["log"]`, `"result":"fine"`)
			c.call("2", "Use", `["fail"]`, `"error":"An unexpected error occurred invoking 'Use' on the server."`)
		},
		exit: ends,
	}
}
