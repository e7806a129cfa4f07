package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Options configures a Gateway. Zero fields mean the documented defaults, and
// negative ones "no bound".
type Options struct {
	// AccessKeys sign the tokens of clients and app servers: one key, or two
	// while one takes the place of the other. At least one is needed; an empty
	// one is refused.
	AccessKeys []string

	// InstanceID names this gateway to app servers. Empty means a random name.
	InstanceID string

	// MaximumClients bounds the clients that are connected; more are answered
	// 503. Zero means no bound.
	MaximumClients int

	// MaximumNegotiated bounds the clients that have negotiated and not come yet;
	// more are answered 503. Zero means 20,000.
	MaximumNegotiated int

	// MaximumServerConnections bounds the connections of all app servers; more
	// are answered 503, and app servers try again. Zero means 10,000.
	MaximumServerConnections int

	// MaximumMessageSize bounds one message of an app server, in bytes, joined if
	// it comes in parts. A frame that is longer ends the app server's connection,
	// parts that are longer end the client's. Zero means 64 MiB.
	MaximumMessageSize int

	// QueueLimit bounds the bytes that wait for clients that are behind, and
	// ServerQueueLimit those for app servers. Bytes that wait in many queues
	// count once; the first 64 KiB of a connection do not count. Where there are
	// more, the connections furthest behind are closed. Zero means 256 MiB.
	QueueLimit, ServerQueueLimit int64

	// ServerBufferSize is how many bytes wait for a connection of an app server
	// before the clients that it has are not read any more, which holds them
	// back. Zero means 1 MiB.
	ServerBufferSize int

	// SlowClientTimeout is how long something may wait for a client that takes
	// what is sent to it, but too slowly. Zero means 30 seconds.
	SlowClientTimeout time.Duration

	// MaximumResults bounds the client results of a hub that are pending; more
	// fail at once. Zero means 100,000.
	MaximumResults int

	// MaximumUserGroups bounds the groups that a user, as opposed to a connection,
	// may be in; more are refused. Zero means 100, as in Azure.
	MaximumUserGroups int

	// TrustForwardedFor passes the X-Forwarded-For of clients on to app servers,
	// with the peer's address behind it. Set it only where a proxy is in front that
	// clients cannot go round. False means that the peer's address is all.
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

var errNoKey = errors.New("gateway: Options.AccessKeys has no key")

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
	switch {
	case all.SlowClientTimeout == 0:
		all.SlowClientTimeout = 30 * time.Second
	case all.SlowClientTimeout < 0:
		all.SlowClientTimeout = math.MaxInt64
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
