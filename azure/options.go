package azure

import (
	"context"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/server"
)

// Options says where the service is and how the hub uses it. NewHub keeps a copy.
// For every duration, zero means the default.
type Options struct {
	// ConnectionString is that of the service, as the Azure portal shows it:
	//
	//	Endpoint=https://name.service.signalr.net;AccessKey=...;Version=1.0;
	//
	// It must have a key: Microsoft Entra is not supported. It is a secret, and never
	// logged. If Endpoints is empty, too, the environment is used, as for
	// AddAzureSignalR: Azure__SignalR__ConnectionString, followed by __NAME and
	// __NAME__secondary for several endpoints.
	ConnectionString string

	// Endpoints are several instances of the service, in place of
	// ConnectionString. Each client is sent to one of them; what the hub sends goes
	// to all.
	Endpoints []Endpoint

	// HubName is the name of the hub at the service, converted to lower case. Empty
	// means the name of the hub's Go type.
	HubName string

	// ApplicationName, if not empty, is put in front of the name: hubs of several
	// applications can share a service then.
	ApplicationName string

	// InitialConnections is how many service connections the hub keeps to each
	// endpoint. Zero means 5. Negative means none: the service may request some.
	InitialConnections int

	// MaximumConnections bounds the connections to one endpoint, including those that
	// the service requests. Zero means no bound.
	MaximumConnections int

	// Sticky says whether clients must come to the server that they negotiated
	// with. Zero means StickyOff.
	Sticky StickyMode

	// AccessTokenLifetime is how long the tokens of clients and service connections
	// are valid. Zero or negative means one hour.
	AccessTokenLifetime time.Duration

	// AccessTokenAlgorithm signs them. Zero means HS256.
	AccessTokenAlgorithm Algorithm

	// Claims returns the claims of a client's token, in place of the user's own: the
	// hub then knows the user by them. Nil means User.Claims, with User.Name. It may
	// be called concurrently.
	Claims func(r *http.Request, user server.User) []Claim

	// MaximumPollInterval is the longest time between two polls of a client over
	// long polling, in whole seconds. Zero means the service's own.
	MaximumPollInterval time.Duration

	// DiagnosticClient reports whether the service should trace a client. Nil means none.
	DiagnosticClient func(r *http.Request) bool

	// Shutdown says what happens to the clients when the hub is shut down.
	Shutdown GracefulShutdown

	// MaximumWaitingInput bounds the bytes from one client that wait for its calls:
	// back-pressure cannot be applied to one client alone. A client that sends more
	// is closed. Zero means 4 MiB. Negative means no bound.
	MaximumWaitingInput int

	// MaximumQueuedBytes is how much may be queued for one service connection. Sends
	// wait while the queue is full, and answers stay in the queue of their client,
	// with its bounds. Zero or negative means 1 MiB.
	MaximumQueuedBytes int

	// Transport dials. Nil means a clone of http.DefaultTransport, which uses the
	// environment's proxies.
	Transport *http.Transport

	serverID string // in tests of several servers in one process
}

// An Endpoint is one instance of the service.
type Endpoint struct {
	ConnectionString string // as Azure's portal shows it, with an access key
	Name             string // for logs; may be empty

	// Secondary is an endpoint that gets clients only while no other is online.
	Secondary bool
}

// A Claim is one claim of a user. Types may occur several times.
type Claim struct {
	Type  string // as "role"
	Value string
}

// StickyMode says whether clients must come to the server that they negotiated
// with. The values are those of ServerStickyMode.
type StickyMode int

const (
	StickyOff       StickyMode = iota // any server of the hub
	StickyPreferred                   // that server while it is there
	StickyRequired                    // that server, or none
)

// An Algorithm is how the access key signs the tokens of clients and of this server.
type Algorithm int

const (
	HS256 Algorithm = iota // HMAC with SHA-256
	HS512                  // HMAC with SHA-512
)

// GracefulShutdown says what happens to the clients when Hub.Shutdown is called.
// Hub.Drain lets each client go when its calls have ended, in every Mode.
type GracefulShutdown struct {
	// Mode is what the service is asked to do. Zero means ShutdownOff.
	Mode ShutdownMode

	// Timeout is how long the clients may take to leave, in the modes that wait.
	// Zero or negative means 30 seconds. The context of Shutdown is a limit as well.
	Timeout time.Duration

	// Hooks are called once the service sends no new clients, one after another, in
	// the modes that wait.
	Hooks []func(ctx context.Context, clients server.Clients)
}

// ShutdownMode is what a service does with the clients of a server that leaves.
// The values are those of GracefulShutdownMode.
type ShutdownMode int

const (
	ShutdownOff            ShutdownMode = iota // they are closed, and may reconnect
	ShutdownMigrateClients                     // they go on with another server
	ShutdownWaitForClients                     // they stay until they leave by themselves
)

// Sizes and times of the service protocol. Source: testdata/azure.
const (
	defaultConnections = 5
	defaultLifetime    = time.Hour
	handshakeTimeout   = 15 * time.Second
	keepAlive          = 5 * time.Second  // between two checks, and at least between two pings
	silence            = 30 * time.Second // after which the service is considered dead
	statusInterval     = 10 * time.Second
	ackTimeout         = 10 * time.Second
	finInterval        = 5 * time.Second
	finTries           = 24
	writeTimeout       = 10 * time.Second // of one write that makes no progress
	closeTimeout       = 5 * time.Second  // of the service's close frame
)

func (o Options) withDefaults() Options {
	switch {
	case o.InitialConnections == 0:
		o.InitialConnections = defaultConnections
	case o.InitialConnections < 0:
		o.InitialConnections = 0
	}
	if o.AccessTokenLifetime <= 0 {
		o.AccessTokenLifetime = defaultLifetime
	}
	if o.Shutdown.Timeout <= 0 {
		o.Shutdown.Timeout = 30 * time.Second
	}
	switch {
	case o.MaximumWaitingInput == 0:
		o.MaximumWaitingInput = 4 << 20
	case o.MaximumWaitingInput < 0:
		o.MaximumWaitingInput = 1<<31 - 1
	}
	if o.MaximumQueuedBytes <= 0 {
		o.MaximumQueuedBytes = 1 << 20
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	} else {
		o.Transport = o.Transport.Clone()
	}
	o.Transport.ForceAttemptHTTP2 = false
	o.Transport.Protocols = new(http.Protocols)
	o.Transport.Protocols.SetHTTP1(true) // a WebSocket is an upgrade
	return o
}
