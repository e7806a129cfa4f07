package server

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// Transport is a set of transports, and in Call.Transport a single one.
type Transport uint8

// The transports of SignalR. The values are those of .NET's HttpTransportType.
const (
	WebSockets       = Transport(transport.WebSockets)
	ServerSentEvents = Transport(transport.ServerSentEvents)
	LongPolling      = Transport(transport.LongPolling)
)

// String returns the transport's name as clients know it. Sets of several
// transports have their names joined by a bar.
func (t Transport) String() string {
	name := ""
	for _, one := range []struct {
		t    Transport
		name string
	}{{WebSockets, "WebSockets"}, {ServerSentEvents, "ServerSentEvents"}, {LongPolling, "LongPolling"}} {
		if t&one.t == 0 {
			continue
		}
		if name != "" {
			name += "|"
		}
		name += one.name
	}
	if name == "" {
		return "None"
	}
	return name
}

// EndpointOptions configures the transports of one route. The zero value means
// ASP.NET Core's defaults. For every duration, zero means the default and a
// negative value "never".
type EndpointOptions struct {
	// AllowedTransports are the transports that clients may use. Zero means
	// all of them.
	AllowedTransports Transport

	// MinimumProtocolVersion is the lowest negotiate version that is accepted,
	// 0 or 1.
	MinimumProtocolVersion int

	// TransportMaxBufferSize is how many bytes may wait for a client before a
	// hub method that sends or streams to its own caller waits. Zero means
	// 64 KiB. Negative means no bound.
	TransportMaxBufferSize int

	// TransportSendTimeout is how long a client may take nothing of what is
	// written to it before it is cut off. Zero means 10 seconds.
	TransportSendTimeout time.Duration

	// CloseTimeout is how long the server waits for the client's close frame.
	// Zero means 5 seconds.
	CloseTimeout time.Duration

	// PollTimeout is how long a poll waits for data. Zero means 90 seconds.
	PollTimeout time.Duration

	// DisconnectTimeout is how long a connection lives without a request that
	// serves it: negotiated but not connected, between polls, or lost while it can
	// be resumed (AllowStatefulReconnects). Zero means 15 seconds.
	DisconnectTimeout time.Duration

	// MaximumPostSize bounds the body of one POST, in bytes. Zero means
	// 30,000,000. Negative means no bound.
	MaximumPostSize int64

	// MaximumConnections bounds the connections of the endpoint that have been
	// connected by a transport. Negotiate and WebSockets without negotiate are
	// answered 503 beyond it. Zero means no bound; negative is an error of NewHub.
	MaximumConnections int

	// MaximumNegotiated bounds the connections of the endpoint that were
	// negotiated and not yet connected; each lives for DisconnectTimeout and
	// takes about 600 bytes. Further negotiates are answered 503. Zero means 20,000.
	// Negative means no bound.
	MaximumNegotiated int

	// Admission holds back clients that begin a connection while too many others
	// do; endpoints of several hubs may share one. Nil means that nobody is held
	// back.
	Admission *Admission

	// ClientAddress names the address that a client has for an Admission and a
	// RateLimit. Nil means that of Request.RemoteAddr, and of an IPv6 address the
	// first 64 bits: behind a proxy all clients are one then, see
	// AddressBehindProxies. It may be called concurrently. A panic is logged and
	// answered 500.
	ClientAddress func(r *http.Request) string

	// MaximumWaitingPosts bounds the POSTs of one connection that are served at
	// a time: they wait for each other and, if a method is slow, for it. SignalR's
	// clients send one at a time. More are answered 429. Zero means 100. Negative
	// means no bound.
	MaximumWaitingPosts int

	// MaximumRequestLine bounds the request line, URL and query included, in
	// bytes; a longer one is answered 414. Zero means 8 KiB, as in Kestrel.
	// Negative means no bound but http.Server.MaxHeaderBytes.
	MaximumRequestLine int

	// MaximumRequestHeaderSize bounds the header of a request, in bytes, and
	// MaximumRequestHeaders the number of its lines; more is answered 431. A
	// connection keeps the header of its first request. Zero means 32 KiB and
	// 100, as in Kestrel. Negative means no bound but
	// http.Server.MaxHeaderBytes.
	MaximumRequestHeaderSize int
	MaximumRequestHeaders    int

	// AllowStatefulReconnects lets WebSocket clients that ask for it resume
	// their connection after a network loss.
	AllowStatefulReconnects bool

	// Authenticate says who sent a request of this endpoint; see
	// Options.Authenticate. Endpoints of one hub may differ in it, as tokens for
	// /chat and cookies for /admin/chat. All requests of a connection go to the
	// endpoint at which it negotiated, so they are authenticated in one way, and
	// must come from one user. Nil means Options.Authenticate; an endpoint for
	// everybody returns User{}, nil.
	Authenticate func(r *http.Request) (User, error)

	// CloseOnAuthenticationExpiration closes connections, allowing them to
	// reconnect, once User.Expires has passed, up to one second late.
	CloseOnAuthenticationExpiration bool

	// MaximumAuthenticationExpiration is the longest that credentials count,
	// from the request that carries them; those that have no end get this one.
	// Zero means no limit.
	MaximumAuthenticationExpiration time.Duration

	// GoroutinePerWebSocket keeps a goroutine for each WebSocket, and the request of each
	// event stream. Without it one that is quiet has none on Linux, unless it comes over
	// HTTP/2 or is wrapped by the application; with it a WebSocket takes 4 to 5 KB more, and
	// an event stream some 30. The environment variable HUBWIRE_READERS=goroutine does the
	// same for the whole process.
	GoroutinePerWebSocket bool

	// EnableAuthenticationRefresh serves POST <route>/refresh: a client whose
	// credentials end soon sends fresh ones, with its connection token in the
	// header X-SignalR-Connection-Token, and its connection goes on with the
	// User that Authenticate makes of them. Negotiate then tells
	// clients how long theirs are good for; those of .NET 11 refresh by
	// themselves. What comes with a poll or a stateful reconnect counts, too.
	// Credentials that end earlier than those that the connection has are not
	// taken over. The hub's method OnAuthenticationRefreshed(*Call) error,
	// where there is one, is called afterwards.
	EnableAuthenticationRefresh bool

	// OnAuthenticationRefresh decides whether a connection may go on with fresh
	// credentials of the same user. False answers a refresh 403, and ends the
	// connection where they came with a poll or a reconnect; an error, or a
	// panic, answers 500 and changes nothing. Nil accepts all. It may be called
	// concurrently, also for one connection.
	OnAuthenticationRefresh func(ctx context.Context, refresh AuthenticationRefresh) (bool, error)

	// UseLegacyLongPollingAuthenticationRefresh takes a poll with credentials of
	// another user as a refresh, which Call.OnAuthenticationRefresh may accept.
	// False answers it 409, which tells a client to refresh first.
	UseLegacyLongPollingAuthenticationRefresh bool

	// AllowedOrigins are the origins, as "https://app.example", whose browser
	// pages may use the endpoint besides those of the server's own origin. Nil
	// means no others. Pages of these origins get CORS headers, with
	// credentials. Letter case, a scheme's own port and a slash at the end make
	// no difference; "https://*.app.example" is every subdomain. What is no
	// origin is refused by NewHub. "*" allows every origin, without
	// credentials: browsers' clients need withCredentials: false.
	//
	// What comes from a page of another origin is answered 403, as net/http's
	// CrossOriginProtection decides it: Sec-Fetch-Site says where a page is from;
	// where a browser does not send it, as Chromium with WebSockets, Origin must
	// name what the Host header names, port included. The scheme is not
	// compared, so TLS may end in a proxy; behind one that changes Host, list
	// the origin. Clients that are no browsers send neither header and are let
	// in. For each kind of request:
	//
	//   - WebSockets: both headers count. CORS does not apply to them, and they
	//     come with the user's cookies, so any page could act as the user.
	//   - negotiate, refreshes, events, polls, sends and deletes: Sec-Fetch-Site
	//     alone counts. Without CORS headers a page cannot read what negotiate
	//     answers, and all others need the connection token in there. (Clients
	//     of negotiate version 0 have no secret token.)
	//   - Preflights: answered without CORS headers, or 405 if AllowedOrigins and
	//     AllowOrigin are nil. The browser does not send the request then.
	//
	// ASP.NET Core lets WebSockets of every origin in where no list is set.
	AllowedOrigins []string

	// AllowOrigin allows more origins than AllowedOrigins: it is asked about
	// those that are not among them. It may be called concurrently. A panic is
	// logged and refuses the origin. Nil means no others.
	AllowOrigin func(origin string, r *http.Request) bool

	// AllowedHeaders are the request headers that a preflight allows. Nil
	// means every header that it asks for.
	AllowedHeaders []string

	// SubProtocol picks one of the WebSocket subprotocols that a client
	// offers. Nil, or an empty answer, means none.
	SubProtocol func(offered []string) string

	// Redirect sends clients elsewhere at negotiate: they negotiate again at
	// url and, if accessToken is not empty, use that token from then on. False
	// means that this endpoint serves the client itself.
	Redirect func(r *http.Request) (url, accessToken string, ok bool)
}

// clientAddress is ClientAddress, or what nil means.
func (e EndpointOptions) clientAddress(r *http.Request) string {
	if e.ClientAddress != nil {
		return e.ClientAddress(r)
	}
	return remoteAddress(r)
}

// transportOptions translates e for the transports. authenticate counts where e
// has none of its own.
func (e EndpointOptions) transportOptions(authenticate func(*http.Request) (User, error), log *slog.Logger) transport.Options {
	t := transport.Options{
		Transports:              transport.Transport(e.AllowedTransports),
		MinimumProtocolVersion:  e.MinimumProtocolVersion,
		TransportMaxBufferSize:  max(0, size(e.TransportMaxBufferSize, 64<<10)),
		TransportSendTimeout:    duration(e.TransportSendTimeout, 10*time.Second),
		SlowClientTimeout:       math.MaxInt64, // a hub has one
		CloseTimeout:            duration(e.CloseTimeout, 5*time.Second),
		PollTimeout:             duration(e.PollTimeout, 90*time.Second),
		DisconnectTimeout:       duration(e.DisconnectTimeout, 15*time.Second),
		MaximumPostSize:         e.MaximumPostSize,
		AllowStatefulReconnects: e.AllowStatefulReconnects,
		AllowedOrigins:          e.AllowedOrigins,
		AllowedHeaders:          e.AllowedHeaders,
		SameUser:                sameUser,
		EnableRefresh:           e.EnableAuthenticationRefresh,
		OnRefresh:               onRefresh(e.OnAuthenticationRefresh),
		Unchanged:               unchanged,
		LegacyPollRefresh:       e.UseLegacyLongPollingAuthenticationRefresh,
		Expires:                 expires,
		SubProtocol:             e.SubProtocol,
		Redirect:                e.Redirect,
		Logger:                  log,
	}
	if e.GoroutinePerWebSocket {
		t.Readers = transport.ReadersGoroutine
	}
	t.AllowOrigin = e.AllowOrigin
	t.ClientAddress = e.clientAddress
	if e.Admission != nil {
		t.Admission = e.Admission.queue
	}
	t.MaximumWaitingPosts = size(e.MaximumWaitingPosts, 100)
	t.MaximumConnections = max(0, e.MaximumConnections)
	t.MaximumNegotiated = size(e.MaximumNegotiated, 20_000)
	t.MaximumRequestLine = size(e.MaximumRequestLine, 8<<10)
	t.MaximumRequestHeaderSize = size(e.MaximumRequestHeaderSize, 32<<10)
	t.MaximumRequestHeaders = size(e.MaximumRequestHeaders, 100)
	if t.Transports == 0 {
		t.Transports = transport.All
	}
	if t.MaximumPostSize == 0 {
		t.MaximumPostSize = 30_000_000
	} else if t.MaximumPostSize < 0 {
		t.MaximumPostSize = math.MaxInt64
	}
	if e.Authenticate != nil {
		authenticate = e.Authenticate
	}
	if authenticate != nil {
		t.Authenticate = func(r *http.Request) (any, transport.Refusal) {
			return askWho(authenticate, r, e.MaximumAuthenticationExpiration, log)
		}
	}
	return t
}
