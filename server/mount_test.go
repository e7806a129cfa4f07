package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// status returns the status of h's answer to a request.
func status(h http.Handler, method, url string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, url, nil))
	return w.Code
}

// emptyHub returns a hub that is shut down at the end of the test.
func emptyHub(t *testing.T) *server.Hub {
	hub := server.MustHub(struct{}{}, nil)
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	return hub
}

// The other handlers of a mux, which a hub must not take away.
var elsewhere = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

func TestMountTakesThePathsThatServeMuxWould(t *testing.T) {
	const connect, negotiate, nowhere, other = 400, 200, 404, 418 // a GET without id; POST; below the hub; not the hub's
	for _, test := range []struct {
		path string
		want map[string]int // of URLs; those with negotiate in them are POSTed
	}{
		{"/chat", map[string]int{"/chat": connect, "/chat/": connect, "/chat/negotiate": negotiate, "/chat/Negotiate/": negotiate, "/chat/x": nowhere, "/chats": other, "/": other, "/Chat/negotiate": other}},
		{"/chat/", map[string]int{"/chat": connect, "/chat/negotiate": negotiate, "/chat/x": nowhere}},
		{"chat", map[string]int{"/chat": connect, "/chat/negotiate": negotiate}},
		{"/", map[string]int{"/": connect, "/negotiate": negotiate, "/x": nowhere}},
		{"/a/{id}/chat", map[string]int{"/a/7/chat": connect, "/a/7/chat/negotiate": negotiate, "/a/7/chat/x": nowhere, "/a/chat": other}},
		{"example.com/chat", map[string]int{"http://example.com/chat": connect, "http://example.com:8080/chat/negotiate": negotiate, "http://example.org/chat": other}},
		{"127.0.0.1/chat", map[string]int{"http://127.0.0.1/chat": connect, "/chat": other}},
		{"localhost/chat", map[string]int{"http://localhost/chat": connect, "/chat": other}},
	} {
		t.Run(test.path, func(t *testing.T) {
			mux := http.NewServeMux()
			if test.path != "/" {
				mux.Handle("/", elsewhere)
			}
			server.Mount(mux, test.path, emptyHub(t))
			for url, want := range test.want {
				method := "GET"
				if strings.Contains(strings.ToLower(url), "negotiate") {
					method = "POST"
				}
				if got := status(mux, method, url); got != want {
					t.Errorf("%s %s = %d, want %d", method, url, got, want)
				}
			}
		})
	}
}

func TestMountRefusesWhatCannotWork(t *testing.T) {
	for path, want := range map[string]string{
		"GET /chat":              "leave the method out",
		"POST example.com/chat":  "leave the method out",
		"api/chat":               "a path begins with a slash",
		"example:8080/chat":      "a path begins with a slash",
		"/chat and more":         "leave the method out",
		"/{id}/{id}":             "duplicate wildcard name",
		"example.com/{tail...}/": "at end",
	} {
		t.Run(path, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, want) {
					t.Errorf("panics with %q, want %q", text, want)
				}
			}()
			server.Mount(http.NewServeMux(), path, emptyHub(t))
		})
	}
}

func TestEveryHandlerKnowsWhereItIsMounted(t *testing.T) {
	hub := emptyHub(t)
	raw := server.NewConnectionHandler(func(*server.Connection) error { return nil }, nil)
	for name, h := range map[string]http.Handler{"hub": hub, "raw": raw, "endpoint": hub.Endpoint(server.EndpointOptions{})} {
		mux := http.NewServeMux()
		server.Mount(mux, "/chat", h)
		if got := status(mux, "GET", "/chat/x"); got != 404 {
			t.Errorf("%s: GET /chat/x = %d, want 404", name, got)
		}
	}
}

func TestRouteMatchesWithoutRegardToLetterCase(t *testing.T) {
	hub := emptyHub(t)
	h := server.Route("/Chat/", hub)(elsewhere)
	root := server.Route("/", hub)(elsewhere)
	for _, test := range []struct {
		method, url string
		h           http.Handler
		want        int
	}{
		{"GET", "/chat", h, 400}, {"GET", "/CHAT/", h, 400}, {"POST", "/chat/Negotiate", h, 200}, {"POST", "/chat/negotiate/", h, 200}, {"DELETE", "/chat", h, 400},
		{"GET", "/ch%61t", h, 400}, {"POST", "/chat%2Fnegotiate", h, 418}, {"GET", "/chat/x", h, 418}, {"GET", "/chat//", h, 418}, {"GET", "//chat", h, 418},
		{"POST", "/chat/negotiate/x", h, 418}, {"GET", "/chats", h, 418}, {"GET", "/", h, 418}, {"GET", "/chatnegotiate", h, 418},
		{"GET", "/", root, 400}, {"POST", "/Negotiate", root, 200}, {"GET", "/x", root, 418},
	} {
		if got := status(test.h, test.method, test.url); got != test.want {
			t.Errorf("%s %s = %d, want %d", test.method, test.url, got, test.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a wildcard is accepted")
		}
	}()
	server.Route("/{id}", hub)
}

func TestAHubWorksInARouterBelowAnyPattern(t *testing.T) {
	hub := emptyHub(t)
	inner := http.NewServeMux()
	server.Mount(inner, "/v1/chat", hub)
	outer := http.NewServeMux()
	outer.Handle("/stripped/", http.StripPrefix("/stripped", inner))
	// Another router: it finds the hub by its own means and leaves the pattern
	// of the mux above it in the request.
	outer.Handle("/api/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hub.ServeHTTP(w, r) }))
	outer.Handle("/whole/", http.StripPrefix("/whole", hub))
	for url, want := range map[string]int{"/api/v1/chat": 400, "/stripped/v1/chat": 400, "/whole/": 400} {
		if got := status(outer, "GET", url); got != want {
			t.Errorf("GET %s = %d, want %d", url, got, want)
		}
		if got := status(outer, "POST", strings.TrimSuffix(url, "/")+"/negotiate"); got != 200 {
			t.Errorf("POST %s/negotiate = %d, want 200", url, got)
		}
	}
}
