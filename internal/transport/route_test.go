package transport

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestRoute(t *testing.T) {
	tests := []struct {
		name, mounted, pattern, path string
		want                         destination
	}{
		{"the pattern's own path", "/chat/", "/chat", "/chat", toConnect},
		{"the subtree's own path", "/chat/", "/chat/", "/chat/", toConnect},
		{"negotiate", "/chat/", "/chat/", "/chat/negotiate", toNegotiate},
		{"negotiate with a final slash", "/chat/", "/chat/", "/chat/negotiate/", toNegotiate},
		{"negotiate in capitals", "/chat/", "/chat/", "/chat/Negotiate", toNegotiate},
		{"refresh", "/chat/", "/chat/", "/chat/Refresh", toRefresh},
		{"longer than negotiate", "/chat/", "/chat/", "/chat/negotiate/x", toNowhere},
		{"something else below", "/chat/", "/chat/", "/chat/x", toNowhere},
		{"two slashes", "/chat/", "/chat/", "/chat//negotiate", toNowhere},
		{"host in the pattern", "example.com/chat/", "example.com/chat/", "/chat/x", toNowhere},
		{"wildcard in the pattern", "/{tenant}/chat/", "/{tenant}/chat/", "/a/chat/negotiate", toNegotiate},
		{"wildcard, something else below", "/{tenant}/chat/", "/{tenant}/chat/", "/a/chat/x", toNowhere},
		{"at the root", "/", "/", "/", toConnect},
		{"at the root, negotiate", "/", "/", "/negotiate", toNegotiate},
		{"at the root, something else below", "/", "/", "/x", toNowhere},
		{"the prefix was stripped", "/api/chat/", "/api/chat/", "/negotiate", toNegotiate},
		{"a router below another pattern", "", "/api/", "/api/v1/chat", toConnect},
		{"a router below another pattern, negotiate", "", "/api/", "/api/v1/chat/negotiate", toNegotiate},
		{"a router's own pattern", "", "/api/*", "/api/v1/chat/negotiate", toNegotiate},
		{"a router below a root pattern", "", "/", "/chat/negotiate", toNegotiate},
		{"negotiate registered by itself", "", "/chat/negotiate", "/chat/negotiate", toNegotiate},
		{"no pattern", "", "", "/chat", toConnect},
		{"no pattern, negotiate", "", "", "/chat/negotiate/", toNegotiate},
		{"no pattern, refresh", "", "", "/chat/refresh", toRefresh},
		{"no pattern, only negotiate", "", "", "/negotiate", toNegotiate},
		{"a name that only ends in negotiate", "", "", "/renegotiate", toConnect},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := defaults()
			opts.EnableRefresh = true
			e := NewEndpoint(opts, nil)
			if test.mounted != "" {
				e.MountedAt("/elsewhere/")
				e.MountedAt(test.mounted)
			}
			r := &http.Request{URL: &url.URL{Path: test.path}, Pattern: test.pattern}
			if got := e.route(r); got != test.want {
				t.Errorf("route(pattern %q, path %q) = %v, want %v", test.pattern, test.path, got, test.want)
			}
		})
	}
}

func TestPathsOutsideTheRouteAreTheHostsNotFound(t *testing.T) {
	n := serve(t, defaults(), nil)
	r := n.do("GET", "/hub/x", "")
	if r.status != 404 || r.body != "" || r.header["Content-Type"] != nil {
		t.Errorf("GET /hub/x = %v, want an empty 404 without Content-Type", r)
	}
}

func TestQueryValue(t *testing.T) {
	tests := []struct{ query, key, want string }{
		{"id=a", "id", "a"},
		{"ID=a", "id", "a"},
		{"x=1&Id=a&y=2", "id", "a"},
		{"id=a&id=b", "id", "a,b"},
		{"id=a&ID=b", "id", "a,b"},
		{"id=&id=", "id", ","},
		{"id", "id", ""},
		{"", "id", ""},
		{"identity=a", "id", ""},
		{"id=a;b", "id", "a;b"},
		{"id=%20a+b%2B", "id", " a b+"},
		{"%69d=a", "id", "a"},
		{"id=%zz", "id", "%zz"},
		{"id=a=b", "id", "a=b"},
	}
	for _, test := range tests {
		if got := queryValue(test.query, test.key); got != test.want {
			t.Errorf("queryValue(%q, %q) = %q, want %q", test.query, test.key, got, test.want)
		}
	}
}

func FuzzQueryValue(f *testing.F) {
	f.Add("negotiateVersion=1&useStatefulReconnect=true")
	f.Add("ID=%zz&id=a;b&&=&id")
	f.Fuzz(func(t *testing.T, query string) {
		got := queryValue(query, "id")
		if got != "" && !hasQuery(query, "id") {
			t.Errorf("queryValue(%q) = %q without a key", query, got)
		}
		if values, err := url.ParseQuery(query); err == nil && !strings.ContainsAny(query, "%+;") {
			var want []string
			for pair := range strings.SplitSeq(query, "&") {
				if k, v, _ := strings.Cut(pair, "="); strings.EqualFold(k, "id") {
					want = append(want, v)
				}
			}
			if joined := strings.Join(want, ","); got != joined {
				t.Errorf("queryValue(%q) = %q, want %q (%v)", query, got, joined, values)
			}
		}
	})
}

func TestMeaningOfAGet(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	upgrade := map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
	tests := []struct {
		name   string
		change map[string]string // of a good handshake; "-" removes
		want   Transport
	}{
		{"a good handshake", nil, WebSockets},
		{"several upgrades", map[string]string{"Upgrade": "h2c, WebSocket"}, WebSockets},
		{"several connection options", map[string]string{"Connection": "keep-alive , upgrade"}, WebSockets},
		{"several versions", map[string]string{"Sec-WebSocket-Version": "8, 13"}, WebSockets},
		{"version 12", map[string]string{"Sec-WebSocket-Version": "12"}, LongPolling},
		{"no version", map[string]string{"Sec-WebSocket-Version": "-"}, LongPolling},
		{"no key", map[string]string{"Sec-WebSocket-Key": "-"}, LongPolling},
		{"a key of 15 bytes", map[string]string{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}, LongPolling},
		{"a key of 17 bytes", map[string]string{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA="}, LongPolling},
		{"a key of 18 bytes", map[string]string{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAAA"}, LongPolling},
		{"a key that is not base64", map[string]string{"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, LongPolling},
		{"no Upgrade", map[string]string{"Upgrade": "-"}, LongPolling},
		{"no Connection", map[string]string{"Connection": "-"}, LongPolling},
		{"SSE wins over a good handshake", map[string]string{"Accept": "text/event-stream"}, ServerSentEvents},
		{"SSE in other letters", map[string]string{"Upgrade": "-", "Accept": "TEXT/Event-Stream"}, ServerSentEvents},
		{"SSE in a list", map[string]string{"Upgrade": "-", "Accept": "*/*, text/event-stream"}, ServerSentEvents},
		{"SSE with a quality is none", map[string]string{"Upgrade": "-", "Accept": "text/event-stream;q=0.9"}, LongPolling},
		{"SSE with a charset is none", map[string]string{"Upgrade": "-", "Accept": "text/event-stream; charset=utf-8"}, LongPolling},
		{"text/* is not SSE", map[string]string{"Upgrade": "-", "Accept": "text/*"}, LongPolling},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/hub", nil)
			for k, v := range upgrade {
				r.Header.Set(k, v)
			}
			for k, v := range test.change {
				if r.Header.Set(k, v); v == "-" {
					r.Header.Del(k)
				}
			}
			if got := kindOf(r).transport; got != test.want {
				t.Errorf("kindOf(%v) = %v, want %v", r.Header, got, test.want)
			}
		})
	}
	r := httptest.NewRequest("GET", "/hub", nil)
	for k, v := range upgrade {
		r.Header.Set(k, v)
	}
	for _, r.ContentLength = range []int64{5, -1} { // -1: chunked
		if kindOf(r).transport != LongPolling {
			t.Errorf("an upgrade with a body of %d bytes is none", r.ContentLength)
		}
	}
	r.ContentLength = 0
	if r.ProtoMajor = 2; kindOf(r).transport != LongPolling {
		t.Error("an upgrade over HTTP/2 is none")
	}
}
