package transport

import (
	"context"
	"crypto/tls"
	"io"
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
		{"with values in the path", false, func(r *http.Request) { r.Pattern = "/{room}"; r.SetPathValue("room", "lobby") }},
		{"without the prefix of its path", false, func(r *http.Request) { r.URL.Path = "/" }},
		{"with a form", false, func(r *http.Request) { _ = r.ParseForm() }},
		{"over TLS", false, func(r *http.Request) { r.TLS = &tls.ConnectionState{ServerName: "hub"} }},
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
			k.keep(r)
			if plain := k.rest == nil; plain != test.plain {
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
