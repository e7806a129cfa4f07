package transport

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A kindOfRequest is a request that an endpoint serves, with the status of its
// answer where the origin is fine. The connection that it names does not exist,
// but for WebSockets, which begin one.
type kindOfRequest struct {
	name, method, path string
	headers            []string
	status             int
	upgrade            bool
	always             bool // it asks for nothing that an origin may not have
}

var kindsOfRequests = []kindOfRequest{
	{name: "WebSocket", method: "GET", path: "/hub", headers: handshakeHeaders, status: 101, upgrade: true},
	{name: "WebSocket with a token", method: "GET", path: "/hub?id=x", headers: handshakeHeaders, status: 404, upgrade: true},
	{name: "WebSocket handshake that asks for events", method: "GET", path: "/hub?id=x", headers: append([]string{"Accept: text/event-stream"}, handshakeHeaders...), status: 404, upgrade: true},
	{name: "events", method: "GET", path: "/hub?id=x", headers: []string{"Accept: text/event-stream"}, status: 404},
	{name: "poll", method: "GET", path: "/hub?id=x", status: 404},
	{name: "send", method: "POST", path: "/hub?id=x", status: 404},
	{name: "delete", method: "DELETE", path: "/hub?id=x", status: 404},
	{name: "negotiate", method: "POST", path: "/hub/negotiate", status: 200},
	{name: "refresh", method: "POST", path: "/hub/refresh", headers: []string{"X-SignalR-Connection-Token: x"}, status: 404},
	{name: "OPTIONS", method: "OPTIONS", path: "/hub", status: 405, always: true},
	{name: "preflight", method: "OPTIONS", path: "/hub/negotiate", headers: []string{"Access-Control-Request-Method: POST"}, status: 405, always: true},
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	const (
		all       = "all kinds"
		none      = "none"
		noUpgrade = "all but WebSockets"
	)
	listed, others := []string{"https://app.test", "http://*.wild.test"}, []string{"https://other.test"}
	tests := []struct {
		name               string
		allowed            []string
		site, origin, host string
		want               string // the kinds that are let in
	}{
		{"no browser", nil, "", "", "hub.test", all},
		{"no browser, but a list", listed, "", "", "hub.test", all},
		{"no browser, an empty list", []string{}, "", "", "hub.test", all},

		{"a page of the server", nil, "same-origin", "https://hub.test", "hub.test", all},
		{"a page of the server, without Origin", nil, "same-origin", "", "hub.test", all},
		{"a page of the server, behind a proxy that changes Host", nil, "same-origin", "https://hub.test", "10.0.0.1:8080", all},
		{"a page of the server, with a list of others", others, "same-origin", "https://hub.test", "hub.test", all},
		{"the user's own doing", nil, "none", "", "hub.test", all},

		{"a page of elsewhere", nil, "cross-site", "https://evil.test", "hub.test", none},
		{"a page of elsewhere, without Origin", nil, "cross-site", "", "hub.test", none},
		{"a page of a sibling domain", nil, "same-site", "https://blog.hub.test", "hub.test", none},
		{"a page of another port", nil, "same-site", "http://localhost:4200", "localhost:5000", none},
		{"a page of the other scheme", nil, "cross-site", "http://hub.test", "hub.test", none},
		{"a sandboxed page", nil, "cross-site", "null", "hub.test", none},
		{"a value that is not known", nil, "cross-planet", "https://hub.test", "hub.test", none},
		{"a page of elsewhere, an empty list", []string{}, "cross-site", "https://evil.test", "hub.test", none},

		{"without Sec-Fetch-Site, a page of the server", nil, "", "http://hub.test", "hub.test", all},
		{"without Sec-Fetch-Site, letter case", nil, "", "http://HUB.test", "hub.TEST", all},
		{"without Sec-Fetch-Site, TLS ends in a proxy", nil, "", "https://hub.test", "hub.test", all},
		{"without Sec-Fetch-Site, TLS ends in a proxy that names its port", nil, "", "https://hub.test", "hub.test:443", all},
		{"without Sec-Fetch-Site, a port", nil, "", "http://hub.test:5000", "hub.test:5000", all},
		{"without Sec-Fetch-Site, another port", nil, "", "http://hub.test:4200", "hub.test:5000", noUpgrade},
		{"without Sec-Fetch-Site, the port of another scheme", nil, "", "https://hub.test", "hub.test:80", noUpgrade},
		{"without Sec-Fetch-Site, an address", nil, "", "http://[::1]:5000", "[::1]:5000", all},
		{"without Sec-Fetch-Site, a page of elsewhere", nil, "", "https://evil.test", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, a domain that begins alike", nil, "", "https://hub.test.evil.test", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, a domain that ends alike", nil, "", "https://evilhub.test", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, a sandboxed page", nil, "", "null", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, no origin at all", nil, "", "hub.test", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, a star", nil, "", "https://*.hub.test", "*.hub.test", noUpgrade},
		{"without Sec-Fetch-Site, an empty list", []string{}, "", "https://evil.test", "hub.test", noUpgrade},
		{"without Sec-Fetch-Site, a page of the server, an empty list", []string{}, "", "https://hub.test", "hub.test", all},

		{"an origin of the list", listed, "cross-site", "https://app.test", "hub.test", all},
		{"an origin of the list, without Sec-Fetch-Site", listed, "", "HTTPS://APP.test:443", "hub.test", all},
		{"a subdomain of the list", listed, "cross-site", "http://a.wild.test", "hub.test", all},
		{"an origin that is not in the list", listed, "cross-site", "https://evil.test", "hub.test", none},
		{"an origin that is not in the list, without Sec-Fetch-Site", listed, "", "https://evil.test", "hub.test", noUpgrade},
		{"an image of a listed page names no origin", listed, "cross-site", "", "hub.test", none},

		{"any origin", []string{"*"}, "cross-site", "https://evil.test", "hub.test", all},
		{"any origin, without Sec-Fetch-Site", []string{"*"}, "", "https://evil.test", "hub.test", all},
		{"any origin, without Origin", []string{"*"}, "cross-site", "", "hub.test", all},
		{"any origin, a sandboxed page", []string{"*"}, "cross-site", "null", "hub.test", all},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := defaults()
			opts.EnableRefresh, opts.AllowedOrigins = true, test.allowed
			n := serve(t, opts, nil)
			for _, kind := range kindsOfRequests {
				headers := slices.Clone(kind.headers)
				for name, value := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.origin} {
					if value != "" {
						headers = append(headers, name+": "+value)
					}
				}
				before := n.connections()
				p := n.dial()
				p.requestTo(test.host, kind.method, kind.path, "", headers...)
				r, want := p.response(kind.method), kind.status
				switch {
				case kind.name == "preflight" && test.allowed != nil && test.origin != "":
					want = 204
				case !kind.always && (test.want == none || test.want == noUpgrade && kind.upgrade):
					want = 403
				}
				if r.status != want {
					t.Errorf("%s is answered %d, want %d", kind.name, r.status, want)
				}
				if r.status == 403 && (r.body != "" || r.header["Content-Type"] != nil || corsHeaders(r) != "" || n.connections() != before) {
					t.Errorf("%s is answered %v with %d new connections, want an empty 403 and none", kind.name, r, n.connections()-before)
				}
				_ = p.conn.Close()
			}
		})
	}
}

func TestAWebSocketOverHTTP2OfAnotherOriginIsRefused(t *testing.T) {
	for site, want := range map[string]int{"": 403, "cross-site": 403, "same-site": 403} {
		e := NewEndpoint(defaults(), nil)
		r := httptest.NewRequest("CONNECT", "/hub", nil)
		r.ProtoMajor, r.Host = 2, "hub.test"
		r.Header[":protocol"] = []string{"websocket"}
		r.Header["Sec-Websocket-Version"] = []string{"13"}
		r.Header.Set("Origin", "https://evil.test")
		r.Header.Set("Sec-Fetch-Site", site)
		if !isExtendedConnect(r) {
			t.Fatal("the request is no WebSocket over HTTP/2")
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Sec-Fetch-Site %q: %d, want %d", site, w.Code, want)
		}
	}
}

func TestTheLogNamesARefusedOrigin(t *testing.T) {
	var log bytes.Buffer
	opts := defaults()
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	r := httptest.NewRequest("GET", "/hub?id=secret", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.test/"+strings.Repeat("x", 1000))
	NewEndpoint(opts, nil).ServeHTTP(httptest.NewRecorder(), r)
	for _, want := range []string{"level=INFO", `msg="origin refused"`, "AllowedOrigins", "https://evil.test/xxx", "cross-site"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
	}
	if log.Len() > 600 || strings.Contains(log.String(), "secret") {
		t.Errorf("the log has more than it should: %s", log.String())
	}
}

func TestTheAllowedOriginsAreAskedOnce(t *testing.T) {
	asked := 0
	opts := defaults()
	opts.AllowOrigin = func(origin string, _ *http.Request) bool { asked++; return false }
	e := NewEndpoint(opts, nil)
	for _, headers := range [][]string{{"POST"}, {"OPTIONS", "Access-Control-Request-Method", "POST"}, {"POST", "Sec-Fetch-Site", "cross-site"}} {
		r := httptest.NewRequest(headers[0], "/hub/negotiate", nil)
		r.Header.Set("Origin", "https://evil.test")
		for i := 1; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		asked = 0
		e.ServeHTTP(httptest.NewRecorder(), r)
		if asked != 1 {
			t.Errorf("%v: AllowOrigin is asked %d times, want once", headers, asked)
		}
	}
	stop(e)
}
