package server

import (
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// Options configures a hub. A nil *Options and the zero value both mean
// SignalR's own defaults. NewHub copies it; changes made later have no effect.
// For every duration, zero means the default and a negative value "never"; one
// shorter than a millisecond is an error of NewHub, as are options that
// exclude each other.
type Options struct {
	// EnableDetailedErrors lets clients see the text of every error. False
	// means that they see only that of a *HubError.
	EnableDetailedErrors bool

	// KeepAliveInterval is the time between two pings of the server. They are
	// sent whether or not other messages are, as ASP.NET Core does, up to one
	// second late. Zero means 15 seconds.
	KeepAliveInterval time.Duration

	// ClientTimeoutInterval is how long a client that has pinged at least once
	// may be silent before its connection is closed. Zero means 30 seconds.
	ClientTimeoutInterval time.Duration

	// HandshakeTimeout is how long a client may take to send its whole
	// handshake request. Zero means 15 seconds.
	HandshakeTimeout time.Duration

	// MaximumReceiveMessageSize bounds one incoming hub message, in bytes,
	// framing included. Zero means 32 KiB. Negative means no bound.
	MaximumReceiveMessageSize int

	// MaximumParallelInvocationsPerClient is how many ordinary calls of one
	// client run at the same time; calls that stream are not counted. Zero
	// means 1, which also keeps their order. Negative is an error of NewHub.
	// A call may wait for a millisecond or two for the one before it, until it is
	// seen that calls of that method take long (a tenth of a millisecond).
	MaximumParallelInvocationsPerClient int

	// StreamBufferCapacity is how many items of one client-to-server stream
	// are buffered before the connection is no longer read. Zero means 10; the
	// most is 1,048,576, and negative is an error of NewHub.
	StreamBufferCapacity int

	// SlowClientTimeout is how long a message may wait for a client before the
	// client is too slow; see SlowClients. Such a client is found within twice
	// that time. How much waits does not matter: a client that reads gets a
	// burst of any size. The time in which a message is being written does not
	// count: EndpointOptions.TransportSendTimeout bounds that. With stateful
	// reconnect a client is also too slow when more than
	// StatefulReconnectBufferSize is kept for it and it has acknowledged
	// nothing of that for so long. Zero means 30 seconds.
	SlowClientTimeout time.Duration

	// SlowClients says what happens to a client that is too slow. Zero means
	// CloseSlow. Call.SetSlowClientPolicy says it for a single connection.
	SlowClients SlowClientPolicy

	// QueueLimit bounds the bytes that wait for all clients of the hub, or of
	// several hubs that are given the same one. Nil means one of 256
	// MiB for this hub.
	QueueLimit *QueueLimit

	// RateLimit bounds the calls and the bytes of clients by time; several hubs
	// may be given the same one. Nil means no bound.
	RateLimit *RateLimit

	// DropOldestLimit bounds what waits for one client under DropOldest, in
	// bytes: beyond it the oldest sends are dropped. Under CloseSlow it means
	// nothing. Zero means 4 MiB. Negative means no bound but the QueueLimit.
	DropOldestLimit int

	// StatefulReconnectBufferSize bounds the messages kept for a client that
	// may reconnect statefully, in bytes. Beyond it a method that sends to its own
	// caller waits for an Ack, and the connection ends after 5 seconds without one;
	// for other sends SlowClientTimeout counts. Zero means 100,000.
	StatefulReconnectBufferSize int

	// MaximumStreamsPerClient bounds the streams of one client that are open at
	// the same time: those that hub methods send to it and those that it sends,
	// together. A call that would open more fails. Zero means 1,000, as each has
	// a goroutine and, from the client, a buffer. Negative means no bound.
	MaximumStreamsPerClient int

	// MaximumWaitingCallsPerClient bounds the ordinary calls of one client that
	// wait, or have waited, for a client result (Invoke) and have not returned.
	// They no longer count for MaximumParallelInvocationsPerClient. A call that
	// comes while there are so many fails. Zero means 1,000. Negative means no
	// bound.
	MaximumWaitingCallsPerClient int

	// MaximumClientResultsPerClient bounds the pending invocations of one
	// client (Invoke); another one returns ErrTooManyClientResults. Zero means
	// 1,000. Negative means no bound.
	MaximumClientResultsPerClient int

	// MaximumGroupsPerClient bounds the groups of one connection; joining
	// another one returns ErrTooManyGroups. Zero means 10,000. Negative means
	// no bound.
	MaximumGroupsPerClient int

	// MaximumGroupNameLength bounds the names of groups that are joined, in
	// bytes; joining a longer one returns ErrGroupNameTooLong. Zero means
	// 1,024. Negative means no bound.
	MaximumGroupNameLength int

	// Protocols are the hub protocols that clients may choose. Nil means both
	// of this module:
	//
	//	Protocols: []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}
	//
	// and this one switches MessagePack off:
	//
	//	Protocols: []protocol.Codec{protocol.JSON{}}
	//
	// The handshake of a client that asks for another one is refused with "The
	// protocol 'messagepack' is not supported.", as by ASP.NET Core. Hubs with
	// different Protocols may share a backplane; leave its own Protocols as they
	// are then: each message is published for the clients of every node.
	Protocols []protocol.Codec

	// Methods holds what is special about single hub methods, by their Go name.
	Methods map[string]MethodOptions

	// Filters wrap calls, OnConnected and OnDisconnected, the first one
	// outermost.
	Filters []Filter

	// LifetimeManager knows the connections and groups and delivers to them.
	// Nil means one that knows those of this process only. It serves one hub:
	// NewHub refuses a manager, if it is a pointer, that serves another hub
	// which is in use and not shut down.
	LifetimeManager LifetimeManager

	// Sessions let groups survive a lost connection, and let a user be in groups
	// (Groups.AddUser). Nil means that a membership ends with its connection, as
	// in ASP.NET Core.
	Sessions *SessionOptions

	// Authenticate says who sent a request; it is called for every negotiate,
	// connect, poll, send and delete. ErrUnauthorized (or an error that wraps
	// it) is answered 401, an *InvalidTokenError 401 with its reason,
	// ErrForbidden 403, any other error 500. An access_token of the query is in
	// the Authorization header of r for WebSocket and Server-Sent Events
	// requests, and only for them. Nil means that every client is anonymous. It
	// may be called concurrently. EndpointOptions.Authenticate is that of a
	// single endpoint.
	Authenticate func(r *http.Request) (User, error)

	// UserID names the user for Clients().User. Nil means User.ID. It is called
	// once per connection, during the handshake.
	UserID func(r *http.Request, user User) string

	// Endpoint configures the transports of the hub's own handler; see also
	// Hub.Endpoint.
	Endpoint EndpointOptions

	// Observer is told what the hub does, for metrics and traces; see package
	// server/otel. Nil means that nobody is, and costs nothing.
	Observer *Observer

	// Logger receives the hub's log, with the hub's name in each line. Nil means
	// slog.Default().
	//
	// Error: panics, and errors that methods, streams, OnConnected, Authenticate
	// or the lifetime manager return, with their type; results that cannot be
	// encoded. Info: each connection as it begins (its id, transport, protocol,
	// user and remote address) and as it ends (how, and after how long); a
	// *HubError that a method returns; calls that are not authorized; handshakes,
	// credentials and origins that are refused, and why. Debug: unknown methods;
	// arguments and stream items that do not fit (which, their kind and the type
	// wanted).
	//
	// Tokens, cookies, query strings and values of arguments are never logged,
	// though what an application's own error says is. Of the same line five a
	// second are written, and how many were left out; lines of connections that
	// begin and end are never left out. A panic of the slog.Handler costs the
	// line.
	Logger *slog.Logger
}

// MethodOptions is what is special about one hub method.
type MethodOptions struct {
	// Name is what clients call the method, in any letter case. Empty means
	// its Go name. The Go name is then no longer known to clients.
	Name string

	// Authorize decides whether a call may go on, once per call, after its
	// arguments were read. A non-nil error refuses it; the client sees only
	// that it is unauthorized. What its client sends after a call that streams
	// waits for it: that client cannot be asked for a result meanwhile. See
	// RequireUser.
	Authorize func(call *Call) error

	// Hidden keeps an exported method from clients: to them it does not exist.
	Hidden bool
}

// RequireUser is a MethodOptions.Authorize that refuses anonymous users.
func RequireUser(call *Call) error {
	if call.User().Anonymous() {
		return ErrUnauthorized
	}
	return nil
}

// withDefaults returns a copy without zero or "off" values: no code below it
// needs to know what they mean.
func (o *Options) withDefaults() *Options {
	c := Options{}
	if o != nil {
		c = *o
	}
	c.KeepAliveInterval = duration(c.KeepAliveInterval, 15*time.Second)
	c.ClientTimeoutInterval = duration(c.ClientTimeoutInterval, 30*time.Second)
	c.HandshakeTimeout = duration(c.HandshakeTimeout, 15*time.Second)
	c.MaximumReceiveMessageSize = size(c.MaximumReceiveMessageSize, 32<<10)
	c.MaximumParallelInvocationsPerClient = size(c.MaximumParallelInvocationsPerClient, 1)
	c.StreamBufferCapacity = size(c.StreamBufferCapacity, 10)
	c.SlowClientTimeout = duration(c.SlowClientTimeout, 30*time.Second)
	c.DropOldestLimit = size(c.DropOldestLimit, 4<<20)
	if c.QueueLimit == nil {
		c.QueueLimit = NewQueueLimit(0)
	}
	c.StatefulReconnectBufferSize = size(c.StatefulReconnectBufferSize, 100_000)
	c.MaximumStreamsPerClient = size(c.MaximumStreamsPerClient, 1000)
	c.MaximumWaitingCallsPerClient = size(c.MaximumWaitingCallsPerClient, 1000)
	c.MaximumClientResultsPerClient = size(c.MaximumClientResultsPerClient, 1000)
	c.MaximumGroupsPerClient = size(c.MaximumGroupsPerClient, 10_000)
	c.MaximumGroupNameLength = size(c.MaximumGroupNameLength, 1024)
	c.Sessions = c.Sessions.withDefaults(c.MaximumGroupsPerClient)
	if c.Protocols == nil {
		c.Protocols = []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.LifetimeManager == nil {
		c.LifetimeManager = NewLifetimeManager()
	}
	return &c
}

func duration(d, preset time.Duration) time.Duration {
	switch {
	case d == 0:
		return preset
	case d < 0:
		return math.MaxInt64
	}
	return d
}

func size(n, preset int) int {
	switch {
	case n == 0:
		return preset
	case n < 0:
		return math.MaxInt
	}
	return n
}
