package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

func TestTheRulesOfAnEndpointStandAroundOtherRoutes(t *testing.T) {
	h := server.CORS(server.EndpointOptions{AllowedOrigins: []string{"https://app.test/"}})(elsewhere)
	for _, test := range []struct {
		method, origin string
		status         int
		want           string // Access-Control-Allow-Origin
	}{
		{"OPTIONS", "https://app.test", 204, "https://app.test"},
		{"OPTIONS", "https://other.test", 204, ""},
		{"GET", "https://app.test", 418, "https://app.test"},
		{"GET", "https://other.test", 418, ""},
		{"GET", "", 418, ""},
	} {
		r := httptest.NewRequest(test.method, "/api/posts", nil)
		r.Header.Set("Origin", test.origin)
		r.Header.Set("Access-Control-Request-Method", "GET")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != test.status || got != test.want {
			t.Errorf("%s of %q = %d, %q, want %d, %q", test.method, test.origin, w.Code, got, test.status, test.want)
		}
	}
	if server.CORS(server.EndpointOptions{})(http.NotFoundHandler()) == nil {
		t.Error("without rules there is no handler")
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "app.test") {
			t.Errorf("panics with %q", text)
		}
	}()
	server.CORS(server.EndpointOptions{AllowedOrigins: []string{"app.test"}})
}

func TestNewHubNamesWhatIsNoOrigin(t *testing.T) {
	opts := &server.Options{Endpoint: server.EndpointOptions{AllowedOrigins: []string{"http://localhost:4200/", "*", "app.test"}}}
	err := refusal(struct{}{}, opts)
	if err == nil || !strings.Contains(err.Error(), `AllowedOrigins: origin "app.test"`) {
		t.Errorf("NewHub = %v, want an error that names app.test", err)
	}
}
