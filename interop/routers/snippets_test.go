package routers

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/hubwire/hubwire/server"
)

// What docs/routers.md shows; the variants have it in their table.

func netHTTP(hub *server.Hub) http.Handler {
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	return mux
}

func inFront(hub *server.Hub, router http.Handler) http.Handler {
	return server.Route("/chat", hub)(router)
}

func withChi(hub *server.Hub) http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.RequestID, chimiddleware.Recoverer, chimiddleware.Compress(5))
	r.Handle("/chat", hub)
	r.Handle("/chat/*", hub)
	return r
}

func withGorilla(hub *server.Hub) http.Handler {
	r := mux.NewRouter()
	r.PathPrefix("/chat").Handler(hub)
	return handlers.RecoveryHandler()(handlers.CompressHandler(r))
}

func withGin(hub *server.Hub) http.Handler {
	r := gin.New()
	r.Use(gin.Recovery())
	r.Any("/chat", gin.WrapH(hub))
	r.Any("/chat/*any", gin.WrapH(hub))
	return r
}

func withEcho(hub *server.Hub) http.Handler {
	e := echo.New()
	e.Use(echomiddleware.Recover(), echomiddleware.Gzip())
	e.Any("/chat", echo.WrapHandler(hub))
	e.Any("/chat/*", echo.WrapHandler(hub))
	return e
}

// origins is for an app whose pages are served elsewhere.
func origins() (*server.Hub, func(http.Handler) http.Handler, error) {
	pages := server.EndpointOptions{AllowedOrigins: []string{"https://app.example", "http://localhost:4200"}}
	hub, err := server.NewHub(chat{}, &server.Options{Endpoint: pages})
	cors := server.CORS(pages) // a middleware for the app's other routes
	return hub, cors, err
}

// outside keeps a middleware from the hub.
func outside(hub *server.Hub, router http.Handler, limited func(http.Handler) http.Handler) http.Handler {
	return server.Route("/chat", hub)(limited(router))
}

func TestTheSnippetsOfThePageAreCompiledCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/routers.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("snippets_test.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := unindented(string(code))
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, block := range blocks {
		snippet, _, _ := strings.Cut(block, "```")
		if !strings.Contains(compiled, unindented(snippet)) {
			t.Errorf("no code of this test has the snippet\n%s", snippet)
		}
	}
	if len(blocks) < 7 {
		t.Errorf("docs/routers.md has %d snippets, want those of this file", len(blocks))
	}
}

// unindented returns text without what its lines begin with.
func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t ")
	}
	return strings.Join(lines, "\n")
}
