package routers

import (
	"io"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-contrib/requestid"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/server"
)

// A variant is a router with its middleware in front of the hub.
type variant struct {
	name  string
	path  string                                                  // what clients know
	build func(hub *server.Hub, limit time.Duration) http.Handler // limit is of what has a time limit
	web   func(s *http.Server, limit time.Duration)               // settings of the http.Server; may be nil
	fails map[string]outcome                                      // by transport: what cannot work
	later map[string]outcome                                      // what cannot work once limit is over
}

// An outcome is how a client fails.
type outcome struct {
	err string // the error that the client gets
	log string // what the log says; empty: nothing, since the server cannot know
}

const (
	ws  = hubclient.WebSockets
	sse = hubclient.ServerSentEvents
	lp  = hubclient.LongPolling
)

// inTheWay is what the log says of a writer that hides what transports need.
const inTheWay = "stands in the way"

// How clients fail behind a writer that hides what transports need, and behind
// a middleware's deadline, where it compresses, too.
var (
	noStreaming = map[string]outcome{ws: {"500", inTheWay}, sse: {"500", inTheWay}}
	noLongLife  = map[string]outcome{sse: {"connection closed", "outside of this middleware"}}
	noSockets   = map[string]outcome{ws: {"500", inTheWay}}
)

// everywhere is the same outcome for every transport.
func everywhere(o outcome) map[string]outcome { return map[string]outcome{ws: o, sse: o, lp: o} }

// plain makes a variant of middleware around the hub as net/http has it.
func plain(name string, middleware func(h http.Handler, limit time.Duration) http.Handler) variant {
	return variant{name: name, path: "/chat", build: func(hub *server.Hub, limit time.Duration) http.Handler {
		return middleware(netHTTP(hub), limit)
	}}
}

// wrapping is plain for a middleware that is nothing but its writer.
func wrapping(name string, wrap func(http.ResponseWriter) http.ResponseWriter) variant {
	return plain(name, func(h http.Handler, _ time.Duration) http.Handler { return wrapped(h, wrap) })
}

// routed makes a variant of a router.
func routed(name, path string, build func(hub *server.Hub) http.Handler) variant {
	return variant{name: name, path: path, build: func(hub *server.Hub, _ time.Duration) http.Handler { return build(hub) }}
}

func (v variant) failing(fails map[string]outcome) variant {
	v.fails = fails
	return v
}

func (v variant) failingLater(later map[string]outcome) variant {
	v.later = later
	return v
}

// under is the variant with settings of the http.Server.
func (v variant) under(name string, web func(s *http.Server, limit time.Duration)) variant {
	v.name += ", " + name
	v.web = web
	return v
}

func readTimeout(s *http.Server, limit time.Duration)  { s.ReadTimeout = limit }
func writeTimeout(s *http.Server, limit time.Duration) { s.WriteTimeout = limit }
func idleTimeout(s *http.Server, limit time.Duration)  { s.IdleTimeout = limit / 2 }

func everyTimeout(s *http.Server, limit time.Duration) {
	s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.ReadHeaderTimeout = limit, limit, limit, limit
}

func same(h http.Handler, _ time.Duration) http.Handler { return h }

var (
	unwraps   = func(w http.ResponseWriter) http.ResponseWriter { return unwrappable{plainWriter{w}} }
	hides     = func(w http.ResponseWriter) http.ResponseWriter { return plainWriter{w} }
	records   = func(w http.ResponseWriter) http.ResponseWriter { return &statusRecorder{ResponseWriter: w} }
	flushes   = func(w http.ResponseWriter) http.ResponseWriter { return flusher{plainWriter{w}} }
	isClassic = func(w http.ResponseWriter) http.ResponseWriter { return flushHijacker{flusher{plainWriter{w}}} }
)

func traced(h http.Handler, _ time.Duration) http.Handler { return otelhttp.NewHandler(h, "hub") }

var variants = []variant{
	// net/http and its settings.
	routed("net/http", "/chat", netHTTP),
	plain("net/http", same).under("ReadTimeout", readTimeout),
	plain("net/http", same).under("WriteTimeout", writeTimeout),
	plain("net/http", same).under("IdleTimeout", idleTimeout),
	plain("net/http", same).under("every timeout", everyTimeout),
	plain("MaxBytesHandler", func(h http.Handler, _ time.Duration) http.Handler { return http.MaxBytesHandler(h, 1000) }),
	plain("TimeoutHandler", func(h http.Handler, limit time.Duration) http.Handler {
		return http.TimeoutHandler(h, limit, "too late")
	}).
		failing(noStreaming).failingLater(map[string]outcome{lp: {err: "503"}}),
	plain("a context without cancel", func(h http.Handler, _ time.Duration) http.Handler { return withoutCancel(h) }),

	// Where the hub is found.
	routed("StripPrefix", "/api/chat", func(hub *server.Hub) http.Handler { return http.StripPrefix("/api", netHTTP(hub)) }),
	routed("StripPrefix of the whole path", "/chat", func(hub *server.Hub) http.Handler { return http.StripPrefix("/chat", hub) }),
	routed("a router below a subtree", "/api/chat", func(hub *server.Hub) http.Handler {
		m := http.NewServeMux()
		m.Handle("/api/", chiRouter(hub, long))
		return m
	}),
	routed("the hub is the handler", "/any", func(hub *server.Hub) http.Handler { return hub }),
	routed("the hub is the handler, at the root", "", func(hub *server.Hub) http.Handler { return hub }),
	routed("Mount with a slash at the end", "/chat", func(hub *server.Hub) http.Handler { return mountedAt(hub, "/chat/") }),
	routed("Mount without a slash", "/chat", func(hub *server.Hub) http.Handler { return mountedAt(hub, "chat") }),
	routed("Mount with a wildcard", "/a/7/chat", func(hub *server.Hub) http.Handler { return mountedAt(hub, "/a/{id}/chat") }),
	routed("Mount with a host", "/chat", func(hub *server.Hub) http.Handler { return mountedAt(hub, "127.0.0.1/chat") }),
	routed("Mount at two paths", "/second", func(hub *server.Hub) http.Handler { return mountedAt(hub, "/chat", "/second") }),
	routed("Route", "/CHAT", func(hub *server.Hub) http.Handler { return inFront(hub, http.NotFoundHandler()) }),
	{name: "Route, around TimeoutHandler", path: "/chat", build: func(hub *server.Hub, limit time.Duration) http.Handler {
		return outside(hub, http.NotFoundHandler(), func(h http.Handler) http.Handler { return http.TimeoutHandler(h, limit, "too late") })
	}},
	routed("ServeMux with the path alone", "/chat", func(hub *server.Hub) http.Handler {
		m := http.NewServeMux()
		m.Handle("/chat", hub)
		return m
	}).failing(everywhere(outcome{err: "404"})), // of negotiate
	routed("ServeMux with the subtree alone", "/chat", func(hub *server.Hub) http.Handler {
		m := http.NewServeMux()
		m.Handle("/chat/", hub)
		return m
	}).failing(everywhere(outcome{err: "307"})), // of what comes after it

	// Writers of middleware.
	wrapping("a writer with Unwrap alone", unwraps),
	wrapping("a writer with Unwrap alone", unwraps).under("every timeout", everyTimeout),
	wrapping("a writer without anything", hides).failing(noStreaming),
	wrapping("a writer that embeds net/http's", records).failing(noStreaming),
	wrapping("a writer with Flush alone", flushes).failing(noSockets),
	wrapping("a writer with Flush and Hijack", isClassic),
	wrapping("a writer with Flush and Hijack", isClassic).under("every timeout", everyTimeout).
		failingLater(map[string]outcome{lp: {"connection closed", inTheWay}}),
	plain("httpsnoop", func(h http.Handler, _ time.Duration) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpsnoop.CaptureMetrics(h, w, r) })
	}),
	plain("otelhttp", traced),
	plain("otelhttp", traced).under("every timeout", everyTimeout),
	plain("gzhttp", func(h http.Handler, _ time.Duration) http.Handler { return gzhttp.GzipHandler(h) }),

	// chi
	routed("chi", "/chat", withChi),
	{name: "chi with its usual middleware", path: "/api/chat", build: chiRouter},
	routed("chi, Mount", "/v1/chat", func(hub *server.Hub) http.Handler { r := chi.NewRouter(); r.Mount("/v1/chat", hub); return r }),
	plain("chi, Compress of everything", func(h http.Handler, _ time.Duration) http.Handler {
		return chimiddleware.Compress(5, "text/event-stream", "application/json", "text/plain", "application/octet-stream")(h)
	}),
	plain("chi, Timeout", func(h http.Handler, limit time.Duration) http.Handler { return chimiddleware.Timeout(limit)(h) }),
	plain("chi, Throttle", func(h http.Handler, _ time.Duration) http.Handler { return chimiddleware.Throttle(10)(h) }),

	// gorilla
	routed("gorilla/mux", "/chat", withGorilla),
	routed("gorilla/mux with its usual middleware", "/chat", gorillaRouter),
	plain("gorilla, CompressHandler", func(h http.Handler, _ time.Duration) http.Handler { return handlers.CompressHandler(h) }),
	plain("gorilla, LoggingHandler", func(h http.Handler, _ time.Duration) http.Handler { return handlers.LoggingHandler(io.Discard, h) }),

	// gin
	routed("gin", "/chat", withGin),
	routed("gin with its usual middleware", "/chat", ginRouter),
	routed("gin with the subtree alone", "/chat", func(hub *server.Hub) http.Handler {
		g := gin.New()
		g.Any("/chat/*any", gin.WrapH(hub))
		return g
	}).failing(everywhere(outcome{err: "301"})),

	// echo
	routed("echo", "/chat", withEcho),
	{name: "echo with its usual middleware", path: "/chat", build: echoRouter, later: noLongLife},
	{name: "echo, Timeout", path: "/chat", build: func(hub *server.Hub, limit time.Duration) http.Handler {
		e := echo.New()
		//lint:ignore SA1019 programs have it
		e.Use(echomiddleware.TimeoutWithConfig(echomiddleware.TimeoutConfig{Timeout: limit}))
		return echoRoutes(e, hub)
	}, fails: noStreaming, later: map[string]outcome{lp: {err: "503"}}},
}

func mountedAt(hub *server.Hub, paths ...string) http.Handler {
	m := http.NewServeMux()
	for _, path := range paths {
		server.Mount(m, path, hub)
	}
	return m
}

// chiRouter has chi's usual middleware.
func chiRouter(hub *server.Hub, limit time.Duration) http.Handler {
	r, api := chi.NewRouter(), chi.NewRouter()
	//lint:ignore SA1019 programs have it
	r.Use(chimiddleware.RequestID, chimiddleware.RealIP, chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: discard{}, NoColor: true}),
		chimiddleware.Recoverer, chimiddleware.Compress(5), chimiddleware.Timeout(limit), cors.Handler(cors.Options{AllowedOrigins: []string{"http://app.test"}}))
	api.Handle("/chat", hub)
	api.Handle("/chat/*", hub)
	r.Mount("/api", api)
	return r
}

// discard is a logger for chi.
type discard struct{}

// Print implements chi's LoggerInterface.
func (discard) Print(...any) {}

// gorillaRouter has the middleware of gorilla/handlers.
func gorillaRouter(hub *server.Hub) http.Handler {
	r := mux.NewRouter()
	r.PathPrefix("/chat").Handler(hub)
	h := handlers.CompressHandler(r)
	h = handlers.CORS(handlers.AllowedOrigins([]string{"http://app.test"}))(h)
	h = handlers.RecoveryHandler()(handlers.ProxyHeaders(h))
	return handlers.CombinedLoggingHandler(io.Discard, h)
}

// ginRouter has gin's usual middleware.
func ginRouter(hub *server.Hub) http.Handler {
	g := gin.New()
	g.Use(gin.LoggerWithWriter(io.Discard), gin.Recovery(), requestid.New(), gingzip.Gzip(gingzip.DefaultCompression))
	g.Any("/chat", gin.WrapH(hub))
	g.Any("/chat/*any", gin.WrapH(hub))
	return g
}

// echoRouter has echo's usual middleware.
func echoRouter(hub *server.Hub, limit time.Duration) http.Handler {
	e := echo.New()
	//lint:ignore SA1019 programs have it
	e.Use(echomiddleware.LoggerWithConfig(echomiddleware.LoggerConfig{Output: io.Discard}), echomiddleware.Recover(), echomiddleware.RequestID(),
		echomiddleware.Gzip(), echomiddleware.BodyLimit("2M"), echomiddleware.CORS(), echomiddleware.ContextTimeout(limit))
	return echoRoutes(e, hub)
}

func echoRoutes(e *echo.Echo, hub *server.Hub) http.Handler {
	e.Any("/chat", echo.WrapHandler(hub))
	e.Any("/chat/*", echo.WrapHandler(hub))
	return e
}
