package proxies

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// A page that the proxy serves opens a WebSocket to the proxy: Chromium says
// where the page is from in Origin alone.
func TestAPageOfTheProxysOriginMayUseTheHub(t *testing.T) {
	hub := server.MustHub(struct{}{}, nil)
	web := httptest.NewServer(hub)
	defer web.Close()
	defer func() { _ = hub.Shutdown(context.Background()) }() // the context has no end
	for _, test := range []struct {
		name, tool, config, settings string
		own                          int // of a page of the proxy
	}{
		{"nginx as recommended", "nginx", nginx, recommended, http.StatusSwitchingProtocols},
		{"nginx with a Host without its port", "nginx", nginx, strings.Replace(recommended, "$http_host", "$host", 1), http.StatusForbidden},
		{"haproxy as recommended", "haproxy", haproxy, "\n  timeout tunnel 1h", http.StatusSwitchingProtocols},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := start(t, test.tool, strings.ReplaceAll(test.config, "SETTINGS", test.settings), web.URL)
			for origin, want := range map[string]int{url: test.own, "http://evil.test": http.StatusForbidden} {
				if got := upgradeFrom(t, url, origin); got != want {
					t.Errorf("a WebSocket from %s is answered %d, want %d", origin, got, want)
				}
			}
		})
	}
}

// upgradeFrom asks for a WebSocket as a page of origin would, and returns the
// status of the answer.
func upgradeFrom(t *testing.T, url, origin string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Origin": origin,
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
