package azure

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"sync"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

const userAgent = "Hubwire (Go)"

// A service is the Azure SignalR Service of one hub: the hub's LifetimeManager, and
// the owner of its clients. Its methods are safe for concurrent use.
type service struct {
	// Set before it is shared, then read only.
	name      string // of the hub at the service
	serverID  string
	opts      Options
	hub       hubOptions
	stateful  bool
	codecs    []protocol.Codec
	log       *slog.Logger
	clientsOf func() server.Clients
	endpoint  *transport.Endpoint
	pools     []*pool

	ctx   context.Context // until Close
	stop  context.CancelFunc
	tasks sync.WaitGroup

	acks    acks
	results members.Results

	leaving sync.Once

	mu        sync.Mutex
	clients   map[string]*client
	gone      chan struct{}     // not nil: Leave waits until there are no clients
	instances map[string]mapped // of the invocations of this server, by their ids
}

// process is what all hubs of this process share.
var process = sync.OnceValue(func() (p struct{ serverID, invocations string }) {
	host, err := os.Hostname()
	if err != nil {
		host = "server"
	}
	p.serverID = host + "_" + newHex()
	p.invocations = newHex()
	return p
})

func newHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// newGUID returns a random id of version 4 with dashes.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// start opens the service connections.
func (s *service) start() {
	for _, p := range s.pools {
		p.start(s.ctx, s.opts.InitialConnections)
	}
}

func (s *service) migrationLevel() int {
	if s.opts.Shutdown.Mode == ShutdownMigrateClients {
		return wire.MigrationOnShutdown
	}
	return wire.MigrationOff
}

// client returns the client of that id, or nil.
func (s *service) client(id string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[id]
}

// count is how many clients the hub has on this server.
func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// all returns the clients for which of is true.
func (s *service) all(of func(*client) bool) (all []*client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cl := range s.clients {
		if of(cl) {
			all = append(all, cl)
		}
	}
	return all
}

// add registers cl. An older client with the same id, whose end the service has not
// reported, is returned: it has ended.
func (s *service) add(cl *client) (before *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.clients[cl.id]
	s.clients[cl.id] = cl
	return before
}

func (s *service) remove(cl *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[cl.id] == cl {
		delete(s.clients, cl.id)
	}
	if len(s.clients) == 0 && s.gone != nil {
		close(s.gone)
		s.gone = nil
	}
}

// An Endpoint's state, for health checks.
var errOffline = errors.New("azure: no endpoint of the service is online")

// health is nil while an endpoint is online.
func (s *service) health() error {
	for _, p := range s.pools {
		if p.online() {
			return nil
		}
	}
	return errOffline
}
