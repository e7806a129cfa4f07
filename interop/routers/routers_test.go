package routers

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-contrib/requestid"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/hubwire/hubwire/server"
)

// chat is the hub.
type chat struct{}

// Echo returns what it is given.
func (chat) Echo(text string) string { return text }

// long is a timeout of middleware that no exchange of these tests reaches.
const long = time.Minute

// mounted is the hub as net/http has it.
func mounted(h *server.Hub) http.Handler {
	m := http.NewServeMux()
	server.Mount(m, "/chat", h)
	return m
}

// A variant is a router with its middleware. In stuck are the transports that
// cannot work, with what the log says then; a server that cannot know says
// nothing.
type variant struct {
	name  string
	path  string
	build func(h *server.Hub) http.Handler
	stuck map[string]string
}

// inTheWay is what the log says of a writer that cannot be got around.
const inTheWay = "stands in the way"

var streaming = map[string]string{"WebSockets": inTheWay, "ServerSentEvents": inTheWay}

var variants = []variant{
	{name: "net/http", path: "/chat", build: mounted},
	{name: "net/http, StripPrefix", path: "/api/chat", build: func(h *server.Hub) http.Handler { return http.StripPrefix("/api", mounted(h)) }},
	{name: "net/http, the hub below a subtree", path: "/api/chat", build: func(h *server.Hub) http.Handler {
		outer := http.NewServeMux()
		outer.Handle("/api/", chiRouter(h))
		return outer
	}},
	{name: "net/http, MaxBytesHandler", path: "/chat", build: func(h *server.Hub) http.Handler { return http.MaxBytesHandler(mounted(h), 1000) }},
	{name: "net/http, the hub is the handler", path: "/any", build: func(h *server.Hub) http.Handler { return h }},
	{name: "net/http, TimeoutHandler", path: "/chat", stuck: streaming, build: func(h *server.Hub) http.Handler { return http.TimeoutHandler(mounted(h), long, "too late") }},
	{name: "chi with middleware", path: "/api/chat", build: chiRouter},
	{name: "chi, Mount", path: "/v1/chat", build: func(h *server.Hub) http.Handler { r := chi.NewRouter(); r.Mount("/v1/chat", h); return r }},
	{name: "chi, Compress of everything", path: "/chat", build: func(h *server.Hub) http.Handler {
		return chimiddleware.Compress(5, "text/event-stream", "application/json", "text/plain", "application/octet-stream")(mounted(h))
	}},
	{name: "gorilla/mux with middleware", path: "/chat", build: gorillaRouter},
	{name: "gin with middleware", path: "/chat", build: ginRouter},
	{name: "echo with middleware", path: "/chat", build: echoRouter},
	{name: "echo, Gzip", path: "/chat", build: func(h *server.Hub) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		return echoRoutes(e, h)
	}},
}

// chiRouter has chi's usual middleware.
func chiRouter(h *server.Hub) http.Handler {
	r, api := chi.NewRouter(), chi.NewRouter()
	r.Use(chimiddleware.RequestID, chimiddleware.RealIP, chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: discard{}, NoColor: true}),
		chimiddleware.Recoverer, chimiddleware.Compress(5), chimiddleware.Timeout(long), cors.Handler(cors.Options{AllowedOrigins: []string{"http://app.test"}}))
	api.Handle("/chat", h)
	api.Handle("/chat/*", h)
	r.Mount("/api", api)
	return r
}

// discard is a logger for chi.
type discard struct{}

// Print implements chi's LoggerInterface.
func (discard) Print(...any) {}

// gorillaRouter has the middleware of gorilla/handlers.
func gorillaRouter(h *server.Hub) http.Handler {
	r := mux.NewRouter()
	r.PathPrefix("/chat").Handler(h)
	var wrapped http.Handler = handlers.CompressHandler(r)
	wrapped = handlers.CORS(handlers.AllowedOrigins([]string{"http://app.test"}))(wrapped)
	wrapped = handlers.RecoveryHandler()(handlers.ProxyHeaders(wrapped))
	return handlers.CombinedLoggingHandler(io.Discard, wrapped)
}

// ginRouter has gin's usual middleware.
func ginRouter(h *server.Hub) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.Use(gin.LoggerWithWriter(io.Discard), gin.Recovery(), requestid.New(), gingzip.Gzip(gingzip.DefaultCompression))
	g.Any("/chat", gin.WrapH(h))
	g.Any("/chat/*any", gin.WrapH(h))
	return g
}

// echoRouter has echo's usual middleware.
func echoRouter(h *server.Hub) http.Handler {
	e := echo.New()
	e.Use(echomiddleware.LoggerWithConfig(echomiddleware.LoggerConfig{Output: io.Discard}), echomiddleware.Recover(), echomiddleware.RequestID(),
		echomiddleware.BodyLimit("2M"), echomiddleware.CORS(), echomiddleware.ContextTimeout(long))
	return echoRoutes(e, h)
}

func echoRoutes(e *echo.Echo, h *server.Hub) http.Handler {
	e.Any("/chat", echo.WrapHandler(h))
	e.Any("/chat/*", echo.WrapHandler(h))
	return e
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String returns what was written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func TestEveryTransportWorksOrTheLogSaysWhatToDo(t *testing.T) {
	for _, v := range variants {
		for name, play := range transports {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				log := &lines{}
				hub := server.MustHub(chat{}, &server.Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
				web := httptest.NewServer(v.build(hub))
				// The hub first: net/http waits for its requests.
				defer web.Close()
				defer shutdown(t, hub)
				said, err := play(t, web.URL+v.path)
				switch line, stuck := v.stuck[name]; {
				case stuck && err == nil:
					t.Errorf("the call is answered: %q; the row must go", said)
				case stuck && !strings.Contains(log.String(), line):
					t.Errorf("the log has no line with %q: %q", line, log)
				case !stuck && err != nil:
					t.Errorf("%v behind %q; log: %s", err, said, log)
				}
			})
		}
	}
}

func shutdown(t *testing.T, hub *server.Hub) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := hub.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
