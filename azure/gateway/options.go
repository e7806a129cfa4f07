package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options configures a Gateway. Zero fields mean the documented defaults, and
// negative ones "no bound".
type Options struct {
	// AccessKeys sign the tokens of clients and app servers: one key, or two
	// while one takes the place of the other. At least one is needed; an empty
	// one is refused.
	AccessKeys []string

	// InstanceID names this gateway to app servers, and to others of its fleet, which
	// have other names. Empty means a random name.
	InstanceID string

	// MaximumClients bounds the clients that are connected; more are answered
	// 503. Those whose tokens allow other transports (asrs.s.htt) count apart.
	// Zero means no bound.
	MaximumClients int

	// MaximumNegotiated bounds the clients that have negotiated but not connected yet;
	// more are answered 503. Zero means 20,000.
	MaximumNegotiated int

	// MaximumServerConnections bounds the connections of all app servers; more
	// are answered 503, and app servers try again. Zero means 10,000.
	MaximumServerConnections int

	// MaximumMessageSize bounds one message of an app server, in bytes, joined if
	// it comes in parts. A frame that is longer ends the app server's connection,
	// parts that are longer end the client's. Zero means 64 MiB.
	MaximumMessageSize int

	// QueueLimit bounds the bytes queued for slow clients, and ServerQueueLimit those
	// for app servers. Bytes shared by many queues count once; the first 64 KiB of a
	// connection do not count. When a limit is exceeded, the connections furthest
	// behind are closed. Zero means 256 MiB.
	QueueLimit, ServerQueueLimit int64

	// ServerBufferSize is how many bytes may be queued for a connection of an app
	// server before its clients are no longer read, which holds them back. Zero means
	// 1 MiB.
	ServerBufferSize int

	// SlowClientTimeout is how long data may be queued for a client that reads, but
	// too slowly. Zero means 30 seconds.
	SlowClientTimeout time.Duration

	// MaximumResults bounds the client results of a hub that are pending; more
	// fail at once. Zero means 100,000.
	MaximumResults int

	// MaximumUserGroups bounds the groups that a user, as opposed to a connection,
	// may be in; more are refused. Zero means 100, as in Azure.
	MaximumUserGroups int

	// MaximumMemberships bounds the memberships in groups, of clients and of users
	// together; more are refused, but for clients that come into the groups of their
	// user. Zero means 10,000,000.
	MaximumMemberships int

	// Serverless makes the gateway the hub of its clients, as Azure's mode of that
	// name does: app servers are refused, what clients call goes to Upstreams, and
	// the REST interface sends to them. The fields down to UpstreamTransport are
	// for it.
	Serverless bool

	// Upstreams are where events of clients go: each to the first that matches. An
	// event that matches none is dropped; a call fails then. Without upstreams,
	// clients can only receive.
	Upstreams []Upstream

	// UpstreamTimeout bounds a request to an upstream, its answer included. Zero
	// means 30 seconds.
	UpstreamTimeout time.Duration

	// MaximumUpstreamRequests bounds the requests that run at a time; a client has
	// one at most, so that its events stay in order. More wait. Zero means 100.
	MaximumUpstreamRequests int

	// MaximumUpstreamBody bounds the body of an answer, in bytes; a call whose
	// answer is longer fails. Zero means 16 MiB, as in Microsoft's emulator.
	MaximumUpstreamBody int

	// MaximumClientMessage bounds one message of a client, in bytes, framing
	// included; a client whose message is longer is closed. It is for clients that may
	// reconnect statefully as well. Zero means 1 MiB.
	MaximumClientMessage int

	// ClientBufferSize is how many bytes of a client's events may wait before the
	// client is no longer read, and UpstreamQueueLimit the same for all clients
	// together. An event counts 256 bytes more than its length. Zero means 64 KiB,
	// and 64 MiB.
	ClientBufferSize, UpstreamQueueLimit int

	// MaximumEndedClients bounds the clients that are gone and whose events are still
	// waiting for upstreams. At the limit, new clients are refused, and the waiting
	// events of others that end are dropped: Stats.EventsDropped.
	// Zero means 100,000.
	MaximumEndedClients int

	// UpstreamTransport sends the requests to upstreams. It need not follow
	// redirects: none is followed. Nil means a transport of the gateway's own.
	UpstreamTransport http.RoundTripper

	// Redis makes this gateway one of a fleet: what is for clients of other gateways
	// with the same Redis and RedisPrefix reaches them. All have the same keys. The
	// client stays the caller's, and is closed by the caller after Shutdown. Nil
	// means that this gateway knows of no other. See docs/azure-gateway.md.
	Redis redis.UniversalClient

	// RedisPrefix is put before the names of channels: fleets with different ones
	// know nothing of each other.
	RedisPrefix string

	// LocalREST keeps what REST calls ask to the clients of this gateway, for callers
	// that call every gateway of a fleet. False means that one call reaches all.
	LocalREST bool

	// TrustForwardedFor passes the X-Forwarded-For of clients on to app servers,
	// with the peer's address appended. Set it only behind a proxy that clients cannot
	// bypass. False means that only the peer's address is passed on.
	TrustForwardedFor bool

	// Logger receives the gateway's log: clients at Debug, app servers at Info.
	// Nil means slog.Default().
	Logger *slog.Logger
}

// Times of the service protocol. Source: reference of the service protocol,
// sections 6 and 12.
const (
	handshakeTimeout = 15 * time.Second // of app servers, and of clients whose token says nothing else
	pingInterval     = 5 * time.Second
	serverTimeout    = 30 * time.Second
	resultTimeout    = 10 * time.Minute
)

var (
	errNoKey         = errors.New("gateway: Options.AccessKeys has no key")
	errNotServerless = errors.New("gateway: Options.Upstreams without Options.Serverless")
)

// withDefaults returns a copy of o in which every field has its final value.
func (o *Options) withDefaults() (Options, error) {
	all := Options{}
	if o != nil {
		all = *o
	}
	if err := checkKeys(all.AccessKeys); err != nil {
		return all, err
	}
	for _, field := range []struct {
		value        *int
		byDefault    int
		zeroIsNobody bool
	}{
		{&all.MaximumNegotiated, 20_000, false},
		{&all.MaximumServerConnections, 10_000, true},
		{&all.MaximumMessageSize, 64 << 20, false},
		{&all.ServerBufferSize, 1 << 20, true},
		{&all.MaximumResults, 100_000, false},
		{&all.MaximumUserGroups, 100, false},
		{&all.MaximumMemberships, 10_000_000, false},
		{&all.MaximumUpstreamRequests, 100, false},
		{&all.MaximumUpstreamBody, 16 << 20, false},
		{&all.MaximumClientMessage, 1 << 20, false},
		{&all.ClientBufferSize, 64 << 10, false},
		{&all.UpstreamQueueLimit, 64 << 20, false},
		{&all.MaximumEndedClients, 100_000, false},
	} {
		switch {
		case *field.value == 0:
			*field.value = field.byDefault
		case *field.value < 0 && field.zeroIsNobody: // the transports say "no bound" by 0
			*field.value = 0
		case *field.value < 0:
			*field.value = math.MaxInt32
		}
	}
	all.MaximumClients = max(0, all.MaximumClients)
	for _, limit := range []*int64{&all.QueueLimit, &all.ServerQueueLimit} {
		if *limit == 0 {
			*limit = 256 << 20
		}
	}
	for _, d := range []*time.Duration{&all.SlowClientTimeout, &all.UpstreamTimeout} {
		switch {
		case *d == 0:
			*d = 30 * time.Second
		case *d < 0:
			*d = math.MaxInt64
		}
	}
	if len(all.Upstreams) > 0 && !all.Serverless {
		return all, errNotServerless
	}
	if all.InstanceID == "" {
		all.InstanceID = randomID()
	}
	if all.Logger == nil {
		all.Logger = slog.Default()
	}
	return all, nil
}

func checkKeys(keys []string) error {
	if len(keys) == 0 {
		return errNoKey
	}
	for i, key := range keys {
		if key == "" {
			return fmt.Errorf("%w: key %d is empty", errNoKey, i+1)
		}
	}
	return nil
}
