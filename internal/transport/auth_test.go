package transport

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestAuthenticateComesBeforeTheMethod(t *testing.T) {
	for status, want := range map[int]string{401: "Bearer", 403: "", 500: ""} {
		opts := defaults()
		opts.Authenticate = func(*http.Request) (any, Refusal) { return nil, Refusal{Status: status} }
		n := serve(t, opts, nil)
		for _, request := range [][]string{{"POST", "/hub/negotiate"}, {"GET", "/hub/negotiate"}, {"GET", "/hub?id=x"}, {"POST", "/hub?id=x"}, {"DELETE", "/hub?id=x"}, {"PUT", "/hub"}} {
			r := n.do(request[0], request[1], "")
			if r.status != status || r.body != "" || r.header["Content-Type"] != nil || r.header.Get("WWW-Authenticate") != want {
				t.Errorf("%s %s = %v, want an empty %d", request[0], request[1], r, status)
			}
		}
		if r := n.do("POST", "/hub/x", ""); r.status != 404 {
			t.Errorf("POST /hub/x = %v, want 404", r)
		}
		if r := n.do("GET", "/hub", "", handshakeHeaders...); r.status != status || n.connections() != 0 {
			t.Errorf("upgrade = %v and %d connections, want %d and none", r, n.connections(), status)
		}
	}
}

func TestAccessTokenOfTheQuery(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	opts := defaults()
	opts.Authenticate = func(r *http.Request) (any, Refusal) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Authorization"))
		return nil, Refusal{}
	}
	n := serve(t, opts, nil)
	tests := []struct {
		name    string
		method  string
		path    string
		headers []string
		want    string
	}{
		{"WebSocket", "GET", "/hub?access_token=a%2Bb", handshakeHeaders, "Bearer a+b"},
		{"SSE", "GET", "/hub?id=x&access_token=abc", []string{"Accept: text/event-stream"}, "Bearer abc"},
		{"a header wins", "GET", "/hub?access_token=abc", append([]string{"Authorization: Bearer h"}, handshakeHeaders...), "Bearer h"},
		{"not for a poll", "GET", "/hub?id=x&access_token=abc", nil, ""},
		{"not for a POST", "POST", "/hub?id=x&access_token=abc", nil, ""},
		{"not for a POST that looks like an upgrade", "POST", "/hub?id=x&access_token=abc", handshakeHeaders, ""},
		{"not for negotiate", "POST", "/hub/negotiate?access_token=abc", nil, ""},
		{"not for DELETE", "DELETE", "/hub?id=x&access_token=abc", nil, ""},
	}
	for _, test := range tests {
		n.do(test.method, test.path, "", test.headers...)
		mu.Lock()
		got := seen[len(seen)-1]
		mu.Unlock()
		if got != test.want {
			t.Errorf("%s: Authorization = %q, want %q", test.name, got, test.want)
		}
	}
	for range 2 { // the two WebSockets, in any order
		if got := n.app().conn.Request().Header.Get("Authorization"); got == "Bearer a+b" {
			t.Error("the App's request carries a header that the client did not send")
		}
	}
}

func TestPanicsOfHooksAreAnswered500(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Options)
		method  string
		path    string
		headers []string
	}{
		{"Authenticate", func(o *Options) { o.Authenticate = func(*http.Request) (any, Refusal) { panic("hook") } }, "POST", "/hub/negotiate", nil},
		{"Redirect", func(o *Options) { o.Redirect = func(*http.Request) (string, string, bool) { panic("hook") } }, "POST", "/hub/negotiate", nil},
		{"SubProtocol", func(o *Options) { o.SubProtocol = func([]string) string { panic("hook") } }, "GET", "/hub", append([]string{"Sec-WebSocket-Protocol: a"}, handshakeHeaders...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := defaults()
			test.change(&opts)
			n := serve(t, opts, nil)
			if r := n.do(test.method, test.path, "", test.headers...); r.status != 500 || r.body != "" {
				t.Errorf("%s %s = %v, want an empty 500", test.method, test.path, r)
			}
		})
	}
}

// byHeader takes the user from a header of the tests.
func byHeader(o *Options) {
	o.Authenticate = func(r *http.Request) (any, Refusal) { return r.Header.Get("X-User"), Refusal{} }
	o.SameUser = func(old, new any) bool {
		if new == "panic" {
			panic("hook")
		}
		return old == new
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	opts := defaults()
	byHeader(&opts)
	n := serve(t, opts, nil)
	url := n.negotiateAs("a")
	if r := n.do("GET", url, "", "X-User: b"); r.status != 403 {
		t.Fatalf("first poll of another user than negotiated = %v", r)
	}
	if r := n.do("GET", url, "", "X-User: a"); r.status != 200 {
		t.Fatalf("first poll = %v", r)
	}
	for _, user := range []string{"b", "panic"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			r := n.do(method, url, "", "X-User: "+user)
			if r.status != 403 || r.body != "The user associated with this connection changed." || r.header.Get("Content-Type") != "text/plain" {
				t.Errorf("%s of another user = %v", method, r)
			}
		}
	}
	n.do("POST", url, "echo", "X-User: a")
	if r := n.do("GET", url, "", "X-User: a"); r.status != 200 || !strings.Contains(r.body, "echo") {
		t.Errorf("poll of the first user = %v, want what was posted", r)
	}
	if a := n.app(); a.conn.User() != "a" {
		t.Errorf("User() = %v, want the one of the first poll", a.conn.User())
	}
}
