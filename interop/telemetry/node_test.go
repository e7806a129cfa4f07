package telemetry

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A node is that of the recording: hubs and their endpoints.
type node struct {
	rec    *recorder
	traces *sdktrace.TracerProvider
	mux    *http.ServeMux
	web    *http.Server
	hubs   []interface{ Shutdown(context.Context) error }
	main   *server.Hub

	quiet   bool // requests have no spans
	blind   bool // hubs have no spans
	serving sync.WaitGroup
}

// nodeOptions say who listens on the node.
type nodeOptions struct{ onlySignalR, allButSignalR bool }

// startNode serves on l until the end of the test.
func startNode(t *testing.T, l net.Listener, o nodeOptions) *node {
	t.Helper()
	rec := newRecorder(l.Addr().String())
	n := &node{rec: rec, mux: http.NewServeMux(), quiet: o.onlySignalR, blind: o.allButSignalR}
	n.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec), sdktrace.WithSampler(rec))
	n.mount(t)
	n.web = &http.Server{Handler: n.mux, ErrorLog: log.New(io.Discard, "", 0)}
	n.serving.Go(func() { _ = n.web.Serve(l) }) // it ends when the listener is closed
	t.Cleanup(func() { n.stop(t) })
	return n
}

// stop ends all connections. Stopping twice is allowed.
func (n *node) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, h := range n.hubs {
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	_ = n.web.Close() // hijacked connections are the hubs'
	n.serving.Wait()
}

// observer returns one for the hub that the recording calls name.
func (n *node) observer(t *testing.T, name string) *server.Observer {
	t.Helper()
	o, err := otel.New(&otel.Options{
		MeterProvider: meters{next: noop.NewMeterProvider(), to: n.rec}, TracerProvider: n.traces, NoTraces: n.blind,
		HubName: func(string) string { return name },
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (n *node) hub(t *testing.T, name string, change func(*server.Options)) *server.Hub {
	t.Helper()
	h := &telemetryHub{n.rec, n.traces.Tracer(appScope), name == "Interop.TypedHub"}
	opts := &server.Options{
		EnableDetailedErrors: true, Observer: n.observer(t, name), Logger: slog.New(slog.DiscardHandler), Authenticate: authenticate,
		Endpoint: server.EndpointOptions{DisconnectTimeout: 2 * time.Second},
		Methods: map[string]server.MethodOptions{
			"HasAnotherName": {Name: "renamed"}, "OnlyUsers": {Authorize: server.RequireUser}, "OnlyUsersStream": {Authorize: server.RequireUser},
		},
	}
	change(opts)
	for i, f := range opts.Filters {
		if f.Invoke == nil {
			opts.Filters[i].Invoke = h.filter
		}
	}
	hub, err := server.NewHub(h, opts)
	if err != nil {
		t.Fatal(err)
	}
	n.hubs = append(n.hubs, hub)
	return hub
}

func (n *node) mount(t *testing.T) {
	t.Helper()
	asIs := func(*server.Options) {}
	n.main = n.hub(t, "Interop.TelemetryHub", func(o *server.Options) {
		o.Endpoint.AllowStatefulReconnects, o.Endpoint.PollTimeout = true, time.Second
	})
	n.handle("/hub", n.main)
	common := server.EndpointOptions{DisconnectTimeout: 2 * time.Second}
	endpoint := func(path string, change func(*server.EndpointOptions)) {
		o := common
		change(&o)
		n.handle(path, n.main.Endpoint(o))
	}
	endpoint("/hub-websockets", func(o *server.EndpointOptions) { o.AllowedTransports = server.WebSockets })
	endpoint("/hub-send-timeout", func(o *server.EndpointOptions) { o.TransportSendTimeout = time.Second })
	endpoint("/hub-pattern/1", func(*server.EndpointOptions) {})
	endpoint("/hub-refresh", func(o *server.EndpointOptions) {
		o.EnableAuthenticationRefresh, o.CloseOnAuthenticationExpiration = true, true
	})
	n.handle("/hub-timeout", n.hub(t, "Interop.TimeoutHub", func(o *server.Options) {
		o.ClientTimeoutInterval, o.KeepAliveInterval = time.Second, 900*time.Millisecond
	}))
	n.handle("/hub-handshake", n.hub(t, "Interop.HandshakeHub", func(o *server.Options) { o.HandshakeTimeout = time.Second }))
	n.handle("/hub-parallel", n.hub(t, "Interop.ParallelHub", func(o *server.Options) { o.MaximumParallelInvocationsPerClient = 4 }))
	n.handle("/hub-filtered", n.hub(t, "Interop.FilteredHub", func(o *server.Options) { o.Filters = make([]server.Filter, 1) }))
	const of = ", System.Private.CoreLib, Version=11.0.0.0, Culture=neutral, PublicKeyToken=7cec85d7bea7798e]]"
	for path, name := range map[string]string{
		"/hub-typed":          "Interop.TypedHub",
		"/hub-generic-int":    "Interop.GenericHub`1[[System.Int32" + of,
		"/hub-generic-list":   "Interop.GenericHub`1[[System.Collections.Generic.List`1[[Interop.Outer+Inner, telemetry, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null]]" + of,
		"/hub-nested":         "Interop.Outer+NestedHub",
		"/hub-nested-generic": "Interop.Outer+NestedGenericHub`1[[System.String" + of,
		"/hub-global":         "GlobalHub",
	} {
		n.handle(path, n.hub(t, name, asIs))
	}
	echo := server.NewConnectionHandler(n.echo, &server.ConnectionOptions{Endpoint: common, Observer: n.observer(t, ""), Logger: slog.New(slog.DiscardHandler)})
	n.hubs = append(n.hubs, echo)
	n.handle("/echo", echo)
	n.handle("/api/send", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.main.Clients().All().Send(r.Context(), "M", "from outside"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

// handle serves h at path and below it, with a span for each request, as behind
// otelhttp.
func (n *node) handle(path string, h http.Handler) {
	if !n.quiet {
		inner, tracer := h, n.traces.Tracer(httpScope)
		context := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(context.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), r.Method+" "+path, trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			inner.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	n.mux.Handle(path, h)
	n.mux.Handle(path+"/negotiate", h)
	n.mux.Handle(path+"/refresh", h)
}

// echo sends bytes back as they come.
func (n *node) echo(c *server.Connection) error {
	n.rec.here(c.Context(), "handler")
	_, err := io.Copy(c, c)
	return err
}

// authenticate trusts the query; for /hub-refresh it reads a token that is the
// claims themselves.
func authenticate(r *http.Request) (server.User, error) {
	fields := r.URL.Query()
	if !strings.HasPrefix(r.URL.Path, "/hub-refresh") {
		return server.User{ID: fields.Get("name")}, nil
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		var err error
		if fields, err = url.ParseQuery(token); err != nil {
			return server.User{}, err
		}
	}
	user := server.User{ID: fields.Get("user")}
	if seconds, err := strconv.ParseFloat(fields.Get("expires"), 64); err == nil && user.ID != "" {
		user.Expires = time.Now().Add(time.Duration(seconds * float64(time.Second)))
	}
	return user, nil
}
