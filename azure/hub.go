package azure

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// hubOptions is what the service must know of server.Options.
type hubOptions struct {
	userID      func(*http.Request, server.User) string
	handshake   time.Duration
	detailed    bool
	messageSize int
}

// Errors of NewHub, for errors.Is: each says what is wrong with the options or the
// environment.
var (
	ErrLifetimeManager = errors.New("azure: a hub behind the service has no other LifetimeManager: the service is one")
	ErrNoEndpoint      = errors.New("azure: neither Options.ConnectionString nor Options.Endpoints is set, nor Azure__SignalR__ConnectionString in the environment")
	ErrTwoEndpoints    = errors.New("azure: both Options.ConnectionString and Options.Endpoints are set")
	ErrHubName         = errors.New("azure: the name of a hub, and of an application, is a letter, then letters, digits and _")
)

// NewHub returns a hub whose clients are held by the service. It is used as one of
// server.NewHub: Mount serves its negotiate, which sends clients to the service, and
// all other methods do what they do there. It connects to the service at once, and
// needs Hub.Shutdown or Hub.Drain to end that.
//
// opts are those of server.NewHub. Its Authenticate and AllowedOrigins count for
// negotiate and refreshes; the service heeds AllowedTransports,
// AllowStatefulReconnects, HandshakeTimeout, CloseOnAuthenticationExpiration and
// EnableAuthenticationRefresh. LifetimeManager must be nil. Errors: those of server.NewHub, ErrLifetimeManager, ErrNoEndpoint,
// ErrTwoEndpoints, ErrNoKey, ErrHubName, and what is wrong with a connection string.
func NewHub[H any](hub H, o *Options, opts *server.Options) (*server.Hub, error) {
	return newHub(reflect.TypeFor[H](), o, opts, func(opts *server.Options) (*server.Hub, error) {
		return server.NewHub(hub, opts)
	})
}

// NewHubFunc is NewHub with a separate value for each connection; see
// server.NewHubFunc.
func NewHubFunc[H any](create func(call *server.Call) (H, error), o *Options, opts *server.Options) (*server.Hub, error) {
	return newHub(reflect.TypeFor[H](), o, opts, func(opts *server.Options) (*server.Hub, error) {
		return server.NewHubFunc(create, opts)
	})
}

func newHub(of reflect.Type, o *Options, opts *server.Options, make func(*server.Options) (*server.Hub, error)) (*server.Hub, error) {
	var own server.Options
	if opts != nil {
		own = *opts
	}
	if own.LifetimeManager != nil {
		return nil, ErrLifetimeManager
	}
	s, err := newService(of, o, &own)
	if err != nil {
		return nil, err
	}
	own.LifetimeManager = s
	own.UserID = func(_ *http.Request, user server.User) string { return user.ID } // the service has it from the token
	h, err := make(&own)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.clientsOf = h.Clients
	s.endpoint = seam.Attach(h, s)
	s.start()
	return h, nil
}

func newService(of reflect.Type, o *Options, own *server.Options) (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{
		opts:      o.withDefaults(),
		serverID:  process().serverID,
		codecs:    own.Protocols,
		log:       rescue.Logger(own.Logger),
		stateful:  own.Endpoint.AllowStatefulReconnects,
		clients:   map[string]*client{},
		instances: map[string]mapped{},
		hub: hubOptions{
			userID:      own.UserID,
			handshake:   own.HandshakeTimeout,
			detailed:    own.EnableDetailedErrors,
			messageSize: own.MaximumReceiveMessageSize,
		},
	}
	if s.opts.serverID != "" {
		s.serverID = s.opts.serverID
	}
	if s.codecs == nil {
		s.codecs = []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}
	}
	switch {
	case s.hub.messageSize == 0:
		s.hub.messageSize = 32 << 10
	case s.hub.messageSize < 0:
		s.hub.messageSize = s.opts.MaximumWaitingInput
	}
	if s.hub.userID == nil {
		s.hub.userID = func(_ *http.Request, user server.User) string { return user.ID }
	}
	if err := s.setName(of); err != nil {
		return nil, err
	}
	s.log = s.log.With("hub", s.name)
	if err := s.setEndpoints(o); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// setName sets the hub's name at the service.
func (s *service) setName(of reflect.Type) error {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	name, _, _ := strings.Cut(of.Name(), "[")
	if s.opts.HubName != "" {
		name = s.opts.HubName
	}
	if !isName(name) || s.opts.ApplicationName != "" && !isName(s.opts.ApplicationName) {
		return ErrHubName
	}
	if s.opts.ApplicationName != "" {
		name = s.opts.ApplicationName + "_" + name
	}
	s.name = strings.ToLower(name)
	return nil
}

func isName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// Health returns nil while a hub of NewHub is connected to the service, and otherwise
// the reason. It is a check for server.Node.Checks. A hub that is not behind the
// service is always healthy.
func Health(hub *server.Hub) error {
	if s, ok := seam.RemoteOf(hub).(*service); ok {
		return s.health()
	}
	return nil
}
