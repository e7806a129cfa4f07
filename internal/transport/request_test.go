package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestTheRequestIsKeptWithAllThatAHubMayAsk(t *testing.T) {
	type key struct{}
	header := http.Header{"Cookie": {"a=b; c=d"}, "X-Many": {"1", "", "2"}, "X-None": {}, "X-Long": {strings.Repeat("x", 300)}, "x-odd \x00": {"\x00"}}
	for _, test := range []struct {
		name   string
		plain  bool
		change func(*http.Request)
	}{
		{"as it came", true, func(*http.Request) {}},
		{"HTTP/2", true, func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0 }},
		{"found by a plain pattern", true, func(r *http.Request) { r.Pattern = "GET /hub" }},
		{"of a browser", true, func(r *http.Request) { r.Header = browserHeader(); r.Header.Set("Cookie", "a=b; c=d") }},
		{"with values in the path", false, func(r *http.Request) { r.Pattern = "/{room}"; r.SetPathValue("room", "lobby") }},
		{"without the prefix of its path", false, func(r *http.Request) { r.URL.Path = "/" }},
		{"with a form", false, func(r *http.Request) { _ = r.ParseForm() }},
		{"over TLS", true, func(r *http.Request) { r.TLS = &tls.ConnectionState{ServerName: "hub"} }},
		{"with a form over TLS", false, func(r *http.Request) { r.TLS = &tls.ConnectionState{ServerName: "hub"}; _ = r.ParseForm() }},
		{"with a body", false, func(r *http.Request) { r.ContentLength = 4; r.Body = io.NopCloser(strings.NewReader("body")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/hub?id=1&a=%20", nil)
			r.Header = header.Clone()
			test.change(r)
			want := r.Clone(context.Background())
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "value"))
			r = r.WithContext(ctx)
			cancel()

			var k keptRequest
			if k.get() != nil {
				t.Error("a request before there is one")
			}
			k.keep(r, &sharedContext{})
			if plain := k.rest == nil || k.rest.request == nil; plain != test.plain {
				t.Errorf("packed whole: %v, want %v", plain, test.plain)
			}
			got := k.get()
			if got.Context().Err() != nil || got.Context().Value(key{}) != "value" {
				t.Errorf("context = %v, want one with the value that never ends", got.Context())
			}
			if n, _ := got.Body.Read(make([]byte, 1)); n != 0 {
				t.Error("there is a body")
			}
			if same := k.get(); same != got {
				t.Error("another one while the first is in use")
			}
			if c, err := got.Cookie("c"); err != nil || c.Value != "d" {
				t.Errorf("cookie = %v, %v", c, err)
			}
			if got := got.PathValue("room"); got != want.PathValue("room") {
				t.Errorf("room = %q", got)
			}
			got = got.WithContext(context.Background())
			got.Body, want.Body = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("request = %+v\n     want %+v", got, want)
			}
		})
	}
}

// browserHeader is what Chromium sends with a WebSocket, under net/http's names.
func browserHeader() http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Origin": {"https://example.com"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"},
		"Accept-Encoding":          {"gzip, deflate, br, zstd"}, "Accept-Language": {"en"}, "Cache-Control": {"no-cache"}, "Pragma": {"no-cache"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"},
	}
}

// Each connection keeps its request: what all requests have in common takes next to
// nothing of it.
func TestTheUsualTextsOfRequestsTakeNoMemory(t *testing.T) {
	r := httptest.NewRequest("GET", "/hub?id=0123456789012345678901", nil)
	r.Header = browserHeader()
	own := 0
	for _, s := range []string{r.RequestURI, r.Host, r.RemoteAddr, "https://example.com", "dGhlIHNhbXBsZSBub25jZQ==", "en", "Mozilla/5.0 (X11; Linux x86_64)"} {
		own += len(s)
	}
	if got := len(pack(r)); got > own+50 {
		t.Errorf("packed, it has %d bytes, of which %d are its own", got, own)
	}
	for i, s := range usualTexts {
		if placeOfUsual[s] != i {
			t.Errorf("%q stands twice", s)
		}
	}
}

// Only what is certainly the same is shared: a context says by which server and
// at which address its request has come.
func TestConnectionsOfOneAddressShareTheirContext(t *testing.T) {
	one, other := &http.Server{}, &http.Server{}
	at := func(ip string, port int) *net.TCPAddr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	of := func(server, local any) *requestContext {
		return &requestContext{context.Background(), server, local}
	}
	var shared sharedContext
	first := of(one, at("127.0.0.1", 80))
	if shared.of(first) != first || shared.of(of(one, at("127.0.0.1", 80))) != first {
		t.Error("connections of one address do not share their context")
	}
	for name, ctx := range map[string]context.Context{
		"another server":    of(other, at("127.0.0.1", 80)),
		"another port":      of(one, at("127.0.0.1", 81)),
		"another address":   of(one, at("127.0.0.2", 80)),
		"another zone":      of(one, &net.TCPAddr{IP: net.ParseIP("127.0.0.1"), Port: 80, Zone: "x"}),
		"no address of TCP": of(one, &net.UnixAddr{Name: "socket"}),
		"no address":        of(one, (*net.TCPAddr)(nil)),
		"no server":         of([]int{1}, at("127.0.0.1", 80)), // and it cannot be compared
		"another context":   context.WithValue(context.Background(), http.ServerContextKey, one),
	} {
		shared.of(first)
		if got := shared.of(ctx); got != ctx {
			t.Errorf("%s: the context is %v", name, got)
		}
	}
}
