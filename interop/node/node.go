package main

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
)

// A node is the hub with its routes.
type node struct {
	hub     *server.Hub
	echo    *server.ConnectionHandler
	routes  *router
	log     *slog.Logger
	httpLog *log.Logger
	bus     *bus // nil without --redis
}

func newNode(ctx context.Context, c *config, ended *endings) (*node, error) {
	bus, err := openBus(ctx, c)
	if err != nil {
		return nil, err
	}
	n := &node{bus: bus, routes: &router{}, log: c.logger, httpLog: slog.NewLogLogger(c.logger.Handler(), slog.LevelDebug)}
	// What all endpoints of the reference node share.
	common := server.EndpointOptions{DisconnectTimeout: c.disconnect}
	main := common
	main.AllowStatefulReconnects = true
	main.PollTimeout = c.pollTimeout
	opts := &server.Options{
		EnableDetailedErrors:                c.detailed,
		KeepAliveInterval:                   c.keepAlive,
		ClientTimeoutInterval:               c.clientTimeout,
		HandshakeTimeout:                    c.handshakeTimeout,
		MaximumReceiveMessageSize:           c.maximumMessage,
		MaximumParallelInvocationsPerClient: c.parallel,
		StatefulReconnectBufferSize:         c.statefulBuffer,
		Methods: map[string]server.MethodOptions{
			"HasAnotherName": {Name: "renamed"},
			"OnlyUsers":      {Authorize: server.RequireUser},
		},
		Authenticate: authenticate,
		Endpoint:     main,
		Logger:       c.logger,
	}
	if bus != nil {
		opts.LifetimeManager = bus
	}
	if c.metrics {
		if opts.Observer, err = measured(); err != nil {
			return nil, errors.Join(err, n.bus.close())
		}
	}
	hub, err := newHub(c, &TestHub{ended}, opts)
	if err != nil {
		return nil, errors.Join(err, n.bus.close())
	}
	n.hub = hub
	raw := &server.ConnectionOptions{Endpoint: common, Authenticate: authenticate, Logger: c.logger}
	if bus != nil {
		raw.Nodes = bus.Nodes("echo")
	}
	n.echo = server.NewConnectionHandler(echo, raw)
	n.mount("/hub", anyOrigin(n.hub))
	n.mount("/hub-websockets", n.endpoint(common, server.WebSockets))
	n.mount("/hub-longpolling", n.endpoint(common, server.LongPolling))
	n.mount("/hub-nowebsockets", n.endpoint(common, server.ServerSentEvents|server.LongPolling))
	cors := common
	cors.AllowedOrigins = []string{"http://app.test"}
	n.mount("/hub-cors", n.hub.Endpoint(cors))
	n.mountRefresh(c, common)
	n.mount("/echo", anyOrigin(n.echo))
	(&api{n.hub, ended}).register(n.routes)
	if bus != nil && bus.deliveries != nil {
		n.routes.handle("GET", "/api/deliveries", bus.deliveries)
	}
	return n, nil
}

// measured is an observer whose metrics nobody reads: what measuring costs is what
// it is there for.
func measured() (*server.Observer, error) {
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	return otel.New(&otel.Options{MeterProvider: provider, NoTraces: true})
}

// endpoint serves the hub with some transports only.
func (n *node) endpoint(opts server.EndpointOptions, allowed server.Transport) http.Handler {
	opts.AllowedTransports = allowed
	return anyOrigin(n.hub.Endpoint(opts))
}

// anyOrigin lets pages of every origin in, and sends no CORS headers: so does
// ASP.NET Core where no list of origins is set. Hubwire itself allows the
// server's own origin alone or, with "*", every origin, with CORS headers.
func anyOrigin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		h.ServeHTTP(w, r)
	})
}

// mount serves h where ASP.NET Core's MapHub would.
func (n *node) mount(path string, h http.Handler) {
	n.routes.handle("", path, h)
	n.routes.handle("", path+"/negotiate", h)
}

// shutdown ends all connections, and what is left of them when ctx is done.
func (n *node) shutdown(ctx context.Context) error {
	echoed := make(chan error, 1)
	go func() { echoed <- n.echo.Shutdown(ctx) }()
	return errors.Join(n.hub.Shutdown(ctx), <-echoed, n.bus.close())
}

// authenticate trusts what the query or a header says: a test server has
// no secrets.
func authenticate(r *http.Request) (server.User, error) {
	if strings.HasPrefix(strings.ToLower(r.URL.Path), "/hub-refresh") {
		return bearer(r)
	}
	if id, ok := query(r, "user"); ok {
		return server.User{ID: id}, nil
	}
	return server.User{ID: r.Header.Get("X-User")}, nil
}

// query returns the first value of a query key, in any letter case.
func query(r *http.Request, key string) (value string, ok bool) {
	for name, values := range r.URL.Query() {
		if strings.EqualFold(name, key) {
			return values[0], true
		}
	}
	return "", false
}

// echo sends bytes back as they come.
func echo(c *server.Connection) error {
	_, err := io.Copy(c, c)
	return err
}
