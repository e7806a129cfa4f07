package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/transport"
)

// A Gateway is a SignalR service: an http.Handler with the routes /client,
// /server and /api/health. Its methods are safe for concurrent use.
type Gateway struct {
	opts     Options
	log      *slog.Logger
	often    *slog.Logger // the same, for what others can cause as often as they like
	keys     atomic.Pointer[[]string]
	byMask   [transport.All + 1]*transport.Endpoint // of clients, by the transports that their tokens allow; 0 is all
	servers  *transport.Endpoint
	draining atomic.Bool
	counts   counters

	parts       atomic.Int64 // bytes of app servers that are kept: see mostParts
	memberships atomic.Int64 // of clients and of users in groups
	hooks       *webhooks    // nil: app servers have the clients
	fleet       *fleet       // nil: there is no other gateway

	mu   sync.Mutex
	hubs map[string]*hub // by name in lower case; never taken out: signed tokens alone make them
}

// New returns a gateway. It has no goroutine before somebody connects, but for those
// of Options.Redis, which Shutdown ends. Errors say what is wrong with opts.
func New(opts *Options) (*Gateway, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{opts: o, log: rescue.Logger(o.Logger), hubs: map[string]*hub{}}
	g.often = rescue.Limited(g.log)
	g.keys.Store(&o.AccessKeys)
	if o.Serverless {
		upstreams, err := newUpstreams(o.Upstreams)
		if err != nil {
			return nil, err
		}
		g.hooks = newWebhooks(g, upstreams)
	}
	limit := transport.NewLimit(o.QueueLimit)
	if o.QueueLimit < 0 {
		limit = nil
	}
	for mask := range g.byMask {
		t := g.transportOptions(limit)
		if mask != 0 {
			t.Transports = transport.Transport(mask)
		}
		g.byMask[mask] = transport.NewEndpoint(t, g.newClient)
	}
	g.servers = transport.NewEndpoint(g.serverOptions(), g.newServerConn)
	if o.Redis != nil {
		if g.fleet, err = newFleet(g); err != nil {
			return nil, err
		}
		g.fleet.start()
	}
	return g, nil
}

// transportOptions are those of clients. Bounds of requests are Azure's, where it
// has some.
func (g *Gateway) transportOptions(limit *transport.Limit) transport.Options {
	return transport.Options{
		Transports:               transport.All,
		TransportMaxBufferSize:   64 << 10,
		TransportSendTimeout:     10 * time.Second,
		SlowClientTimeout:        g.opts.SlowClientTimeout,
		Limit:                    limit,
		CloseTimeout:             5 * time.Second,
		PollTimeout:              90 * time.Second,
		DisconnectTimeout:        15 * time.Second,
		MaximumPostSize:          1 << 20,
		AllowStatefulReconnects:  true,
		WantsReconnect:           wantsReconnect,
		AllowOrigin:              func(string, *http.Request) bool { return true },
		MaximumWaitingPosts:      100,
		MaximumConnections:       g.opts.MaximumClients,
		MaximumNegotiated:        g.opts.MaximumNegotiated,
		MaximumRequestLine:       12 << 10,
		MaximumRequestHeaderSize: 32 << 10,
		MaximumRequestHeaders:    100,
		SameUser:                 sameClient,
		Authenticate:             g.authenticateClient,
		Logger:                   g.often,
	}
}

func (g *Gateway) serverOptions() transport.Options {
	t := g.transportOptions(transport.NewLimit(g.opts.ServerQueueLimit))
	if g.opts.ServerQueueLimit < 0 {
		t.Limit = nil
	}
	t.Transports = transport.WebSockets
	t.AllowStatefulReconnects = false
	t.AllowOrigin = nil
	t.TransportMaxBufferSize = g.opts.ServerBufferSize
	t.MaximumConnections = g.opts.MaximumServerConnections
	t.MaximumNegotiated = 0
	t.SameUser = nil
	t.Authenticate = g.authenticateServer
	return t
}

// SetAccessKeys replaces the keys: in a rotation, first by the new and the old one,
// later by the new one alone. Existing connections are kept. It returns an error
// where New would.
func (g *Gateway) SetAccessKeys(keys ...string) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	keys = append([]string(nil), keys...)
	g.keys.Store(&keys)
	return nil
}

// ServeHTTP serves /client, /server and /api.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/client", path == "/client/negotiate":
		g.clientEndpoint(r).ServeHTTP(w, r)
	case path == "/server":
		g.servers.ServeHTTP(w, r)
	case path == "/api/health", path == "/api/v1/health":
		g.serveHealth(w, r)
	case strings.HasPrefix(path, "/api/"):
		g.serveREST(w, r)
	default:
		http.NotFound(w, r)
	}
}

// serveHealth says whether the gateway takes clients: 200, or 503 while it
// drains.
func (g *Gateway) serveHealth(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case g.draining.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// Shutdown refuses new clients and tells those that are there to connect again,
// wherever that leads them; then it closes the connections of app servers, or in
// serverless mode tells upstreams that the clients are gone. It waits for all that
// until ctx is done, then cuts and drops what is left and returns ctx.Err().
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.draining.Store(true)
	all := make(chan error, len(g.byMask))
	for _, e := range g.byMask {
		go func() { all <- e.Shutdown(ctx) }()
	}
	var first error
	for range g.byMask {
		if err := <-all; err != nil && first == nil {
			first = err
		}
	}
	if err := g.servers.Shutdown(ctx); err != nil && first == nil {
		first = err
	}
	if g.hooks != nil {
		if err := g.hooks.shutdown(ctx); err != nil && first == nil {
			first = err
		}
	}
	if g.fleet != nil {
		g.fleet.close()
	}
	return first
}

// knownHub returns the hub of a name, if somebody has been there; nil for none.
func (g *Gateway) knownHub(name string) *hub {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hubs[strings.ToLower(name)]
}

// hub returns the hub of a name; the case does not matter.
func (g *Gateway) hub(name string) *hub {
	name = strings.ToLower(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.hubs[name]
	if h == nil {
		h = newHub(g, name)
		g.hubs[name] = h
	}
	return h
}

// allHubs returns the hubs there are.
func (g *Gateway) allHubs() []*hub {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*hub, 0, len(g.hubs))
	for _, h := range g.hubs {
		all = append(all, h)
	}
	return all
}

func randomID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Stats are numbers of a gateway at one moment; counters count from its start.
type Stats struct {
	Hubs              int
	Clients           int // that app servers have been told of, or that the gateway serves itself
	Servers           int // app servers, counted once for each hub
	ServerConnections int
	PendingResults    int // client results that are waited for
	Memberships       int // of clients in groups, and of users
	EventsWaiting     int // bytes of events that upstreams have not taken, as Options.UpstreamQueueLimit counts

	Peers int // other gateways of the fleet

	ClientsOpened   uint64
	ClientsRefused  uint64 // in their handshake, most of them for want of an app server
	ClientsMigrated uint64 // to another app server
	ServersLost     uint64 // connections of app servers that ended with clients on them
	MessagesIn      uint64 // messages of app servers
	FramesOut       uint64 // hub messages queued at clients

	UpstreamRequests uint64 // events brought to upstreams, well or not
	UpstreamFailures uint64 // those without a good answer
	EventsDropped    uint64 // events of clients that have ended, which no upstream was told

	FleetSent     uint64 // messages to other gateways that Redis has taken
	FleetReceived uint64 // messages of other gateways
	FleetTwice    uint64 // those of them that their app server had sent to this gateway itself
	FleetDropped  uint64 // messages to other gateways that are lost, or may be
}

type counters struct {
	opened, refused, migrated, lost, in, out atomic.Uint64
	requests, failures, dropped              atomic.Uint64
}

// Stats returns the gateway's numbers.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Memberships:     int(g.memberships.Load()),
		ClientsOpened:   g.counts.opened.Load(),
		ClientsRefused:  g.counts.refused.Load(),
		ClientsMigrated: g.counts.migrated.Load(),
		ServersLost:     g.counts.lost.Load(),
		MessagesIn:      g.counts.in.Load(),
		FramesOut:       g.counts.out.Load(),

		UpstreamRequests: g.counts.requests.Load(),
		UpstreamFailures: g.counts.failures.Load(),
		EventsDropped:    g.counts.dropped.Load(),
	}
	if g.hooks != nil {
		g.hooks.mu.Lock()
		s.EventsWaiting = g.hooks.size
		g.hooks.mu.Unlock()
	}
	if f := g.fleet; f != nil {
		s.Peers = len(f.names())
		s.FleetSent, s.FleetReceived, s.FleetTwice, s.FleetDropped = f.sent.Load(), f.received.Load(), f.twice.Load(), f.dropped.Load()
	}
	for _, h := range g.allHubs() {
		h.mu.RLock()
		s.Hubs++
		s.Clients += h.all.Len()
		s.Servers += len(h.servers)
		for _, server := range h.servers {
			s.ServerConnections += len(server.conns)
		}
		s.PendingResults += len(h.results.byID)
		h.mu.RUnlock()
	}
	return s
}

// far is a moment that never comes: the greatest of .NET's.
var far = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
