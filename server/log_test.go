package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A logBook is a log that tests wait for.
type logBook struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLogBook() (*logBook, *slog.Logger) {
	b := &logBook{changed: make(chan struct{}, 1)}
	return b, slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.text.Write(p)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// wait waits for a line that matches pattern.
func (b *logBook) wait(t *testing.T, pattern string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^time=\S+ ` + pattern + `$`)
	for late := time.After(patience); !line.MatchString(b.String()); {
		select {
		case <-b.changed:
		case <-late:
			t.Fatalf("no line matches %s in\n%s", pattern, b)
		}
	}
}

type loggedHub struct{}

type lockedError struct{}

func (lockedError) Error() string { return "table is locked" }

func (loggedHub) OnConnected(call *server.Call) error {
	if call.Request().URL.Query().Has("fail") {
		return errors.New("database is down")
	}
	return nil
}

func (loggedHub) OnDisconnected(call *server.Call, _ error) {
	if call.Request().URL.Query().Has("bye") {
		panic("no farewell")
	}
}
func (loggedHub) Fail() error           { return lockedError{} }
func (loggedHub) Answer() error         { return server.NewHubError("no such room") }
func (loggedHub) Panic() error          { panic("oh") }
func (loggedHub) Numbers(a int, b int8) {}
func (loggedHub) Text(string)           {}
func (loggedHub) Secret()               {}
func (loggedHub) Up(items <-chan int) {
	for range items {
	}
}
func (loggedHub) Give() any            { return func() {} }
func (loggedHub) Abort(c *server.Call) { c.Abort() }
func (loggedHub) Stream() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) { yield(0, lockedError{}) }
}
func (loggedHub) Canceled(call *server.Call) error {
	call.Abort()
	<-call.Context().Done()
	return call.Context().Err()
}

const secret = "53cr3t-of-the-client"

func loggedOptions(log *slog.Logger) *server.Options {
	return &server.Options{
		Logger:  log,
		Methods: map[string]server.MethodOptions{"Secret": {Authorize: func(*server.Call) error { return errors.New("only for admins") }}},
		Authenticate: func(r *http.Request) (server.User, error) {
			switch token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); {
			case strings.HasPrefix(token, "bad"):
				return server.User{}, fmt.Errorf("%w: what is %q?", server.ErrUnauthorized, token)
			case strings.HasPrefix(token, "low"):
				return server.User{}, fmt.Errorf("%w: %s has no role", server.ErrForbidden, token)
			case strings.HasPrefix(token, "broken"):
				return server.User{}, fmt.Errorf("no keys for %s", token)
			}
			return server.User{ID: "alice"}, nil
		},
	}
}

func TestTheLogTellsWhatTheLoggerOptionSaysAndNoSecret(t *testing.T) {
	call := func(target, args string) string {
		return `{"type":1,"invocationId":"1","target":"` + target + `","arguments":[` + args + `]}`
	}
	const id = `connection=\S+`
	for _, test := range []struct {
		name, query, say string
		want             []string
	}{
		{"a connection that its client ends", "", `{"type":7}`, []string{
			`level=INFO msg="connection opened" hub=loggedHub ` + id + ` transport=WebSockets protocol=json user=alice remote=127\.0\.0\.1:\d+`,
			`level=INFO msg="connection closed" hub=loggedHub ` + id + ` user=alice how="closed by the client" after=\d\S*`,
		}},
		{"one that it ends with an error", "", `{"type":7,"error":"lost my way"}`, []string{`level=INFO msg="connection closed" .* how="closed by the client" after=\S+ error="lost my way"`}},
		{"one that breaks the protocol", "", `{}`, []string{`level=INFO msg="connection closed" .* how=failed after=\S+ error="Missing required property 'type'\."`}},
		{"one that the hub aborts", "", call("Abort", ""), []string{`level=INFO msg="connection closed" .* how=aborted after=\S+`}},
		{"a refused connection", "?fail", "", []string{
			`level=ERROR msg="user code failed" hub=loggedHub in=OnConnected type=\*errors\.errorString ` + id + ` error="database is down"`,
			`level=INFO msg="connection closed" .* how="refused by OnConnected" after=\S+ error="database is down"`,
		}},
		{"a panic in OnDisconnected", "?bye", `{"type":7}`, []string{`level=ERROR msg="panic in user code" hub=loggedHub in=OnDisconnected ` + id + ` panic="no farewell" stack=.*`}},
		{"a method that fails", "", call("Fail", ""), []string{`level=ERROR msg="user code failed" hub=loggedHub in=Fail type=server_test\.lockedError ` + id + ` error="table is locked"`}},
		{"a stream that fails", "", `{"type":4,"invocationId":"1","target":"Stream","arguments":[]}`, []string{`level=ERROR msg="user code failed" .* in=Stream type=server_test\.lockedError .*`}},
		{"a HubError", "", call("Answer", ""), []string{`level=INFO msg="user code answered with an error" hub=loggedHub in=Answer type=\*server\.HubError ` + id + ` error="no such room"`}},
		{"a panic", "", call("Panic", ""), []string{`level=ERROR msg="panic in user code" hub=loggedHub in=Panic ` + id + ` panic=oh stack=.*loggedHub.*`}},
		{"the end of a call's own context", "", call("Canceled", ""), []string{`level=DEBUG msg="user code failed" .* in=Canceled .*`}},
		{"a result that cannot be encoded", "", call("Give", ""), []string{`level=ERROR msg="result cannot be encoded" hub=loggedHub type=\S+ ` + id + ` error=.*`}},
		{"a call that is not authorized", "", call("Secret", ""), []string{`level=INFO msg="call is not authorized" hub=loggedHub method=Secret ` + id + ` user=alice error="only for admins"`}},
		{"an unknown method", "", call("NoSuch", `"`+secret+`"`), []string{`level=DEBUG msg="unknown method" hub=loggedHub ` + id + ` target=NoSuch`}},
		{"an unknown method of a long name", "", call(strings.Repeat("x", 1000), ""), []string{`level=DEBUG msg="unknown method" .* target=x{100}\.\.\.`}},
		{"an argument that does not fit", "", call("Numbers", `1,"`+secret+`"`), []string{`level=DEBUG msg="argument does not fit" hub=loggedHub method=Numbers ` + id + ` argument=2 want=int8 got=string`}},
		{"a number out of range", "", call("Numbers", `1,531531`), []string{`level=DEBUG msg="argument does not fit" .* argument=2 want=int8 got=number`}},
		{"too many arguments", "", call("Text", `"`+secret+`","`+secret+`"`), []string{`level=DEBUG msg="arguments do not fit" hub=loggedHub method=Text ` + id + ` error="Invocation provides 2 argument\(s\) but target expects 1\."`}},
		{"a stream item that does not fit", "", `{"type":1,"target":"Up","arguments":[],"streamIds":["s"]}` + "\x1e" + `{"type":2,"invocationId":"s","item":{"` + secret + `":1}}`, []string{`level=DEBUG msg="stream item does not fit" hub=loggedHub ` + id + ` want=int got=object`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, logger := newLogBook()
			hub := newHub(loggedHub{}, loggedOptions(logger))
			query := "?access_token=" + secret + "&" + strings.TrimPrefix(test.query, "?")
			c := dial(t, serve(t, hub), query)
			c.send(`{"protocol":"json","version":1}`)
			if test.say != "" {
				c.send(test.say)
			}
			for _, want := range test.want {
				log.wait(t, want)
			}
			for _, word := range []string{secret, "access_token", "531531"} {
				if strings.Contains(log.String(), word) {
					t.Errorf("%q is in the log:\n%s", word, log)
				}
			}
		})
	}
}

func TestTheLogTellsOfRefusedHandshakesAndCredentialsWithoutThem(t *testing.T) {
	log, logger := newLogBook()
	hub := newHub(loggedHub{}, loggedOptions(logger))
	url := serve(t, hub)
	c := dial(t, url, "?access_token="+secret)
	c.send(`{"protocol":"fancy","version":1}`)
	log.wait(t, `level=INFO msg="handshake refused" hub=loggedHub connection=\S+ transport=WebSockets error="The protocol 'fancy' is not supported\."`)
	for token, want := range map[string]string{
		"bad-" + secret:    `level=INFO msg="credentials refused" hub=loggedHub type=\*fmt\.wrapError status=401 remote=\S+ error="server: unauthorized: what is \\"\[secret\]\\"\?"`,
		"low-" + secret:    `level=INFO msg="credentials refused" hub=loggedHub type=\*fmt\.wrapError status=403 remote=\S+ error="server: forbidden: \[secret\] has no role"`,
		"broken-" + secret: `level=ERROR msg="authentication is broken" hub=loggedHub type=\*errors\.errorString status=500 remote=\S+ error="no keys for \[secret\]"`,
	} {
		ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", token)
		log.wait(t, want)
	}
	// As in a browser: the token is in the query of a WebSocket.
	ask(t, "GET", url+"/hub?id=x&access_token=bad-"+secret, "")
	if strings.Contains(log.String(), secret) {
		t.Errorf("the token is in the log:\n%s", log)
	}
}

func TestTheLogTellsKindsOfMessagePackValues(t *testing.T) {
	log, logger := newLogBook()
	url := serve(t, newHub(loggedHub{}, &server.Options{Logger: logger}))
	s := speak(t, url, protocol.MessagePack{})
	for kind, value := range map[string]any{
		"number": 1, "boolean": true, "nil": nil, "array": []int{1}, "map": map[string]int{"a": 1}, "binary": []byte("x"),
	} {
		s.say(&protocol.Invocation{Target: "Text", Arguments: []any{value}})
		if kind == "nil" { // of five lines a second this is about another
			s.say(&protocol.Invocation{Target: "Numbers", Arguments: []any{value, 1}})
		}
	}
	s.say(&protocol.Invocation{InvocationID: "1", Target: "Numbers", Arguments: []any{1, "text"}})
	if got, _ := s.hear(); !strings.HasPrefix(got, "error: Failed to invoke 'Numbers'") {
		t.Fatal(got)
	}
	log.wait(t, `level=DEBUG msg="argument does not fit" .* method=Numbers .* argument=2 want=int8 got=string`)
}

func TestARawConnectionIsLoggedAsItBeginsAndEnds(t *testing.T) {
	log, logger := newLogBook()
	h := server.NewConnectionHandler(func(*server.Connection) error { return lockedError{} }, &server.ConnectionOptions{Logger: logger})
	dial(t, serve(t, h), "")
	log.wait(t, `level=INFO msg="connection opened" connection=\S+ transport=WebSockets user="" remote=\S+`)
	log.wait(t, `level=ERROR msg="connection handler failed" type=server_test\.lockedError connection=\S+ error="table is locked"`)
	log.wait(t, `level=INFO msg="connection closed" connection=\S+ after=\S+`)
}

func TestLinesOfHubMethodsAreAllThere(t *testing.T) {
	log, logger := newLogBook()
	url := serve(t, newHub(chattyHub{}, &server.Options{Logger: logger}))
	c := connect(t, url)
	c.call("1", "Chat", `[]`, `"result":null`)
	if n := strings.Count(log.String(), `msg="the same line"`); n != 20 {
		t.Errorf("%d of 20 lines are in the log", n)
	}
}

type chattyHub struct{}

func (chattyHub) Chat(call *server.Call) {
	for range 20 {
		call.Logger().Log(context.Background(), slog.LevelInfo, "the same line")
	}
}
