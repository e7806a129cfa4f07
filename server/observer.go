package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// An Observer is told what a hub does, for metrics and traces. Package
// server/otel has one for OpenTelemetry. Each field may be nil; what nobody
// observes costs nothing, not even a look at the clock. One Observer may serve
// several hubs. It must not be changed once a hub has it.
//
// The functions are called concurrently, on the goroutines that do the work: they
// must neither block nor call runtime.Goexit. A panic in one is logged and ends
// nothing. Hubs are named as Hub.FullName does. No function is told the id of a
// connection, a user or a group: there is no end of them.
type Observer struct {
	// Hub is called once for each hub, when it is made. What it is given can be
	// asked at any time for what is not told: Hub.Counts, Hub.Traffic,
	// Hub.QueueStats, Hub.QueuedBytes.
	Hub func(*Hub)

	// ConnectionStarted is called when a request has opened the transport of a
	// connection, before its handshake. hub is empty for a ConnectionHandler.
	ConnectionStarted func(hub string, t Transport)

	// ConnectionEnded is called once for each connection of ConnectionStarted,
	// when it has ended for both sides and OnDisconnected has returned.
	ConnectionEnded func(ConnectionEnd)

	// HandshakeRefused is called for each handshake that is refused.
	HandshakeRefused func(hub string, t Transport, why HandshakeRefusal)

	// ClientTooSlow is called for each connection that is closed because its
	// client does not read: because of Options.SlowClientTimeout, its QueueLimit,
	// or EndpointOptions.TransportSendTimeout.
	ClientTooSlow func(hub string, t Transport)

	// Calls is called for each method of a hub when that is made, and once with
	// method "" for all names that are none. What it returns, if not nil, is told
	// of each call.
	Calls func(hub, method string) func(CallEnd)

	// StreamStarted is called when a stream of method to a client begins; the end
	// of its call is the end of the stream. hub and method are as in Calls.
	StreamStarted func(hub, method string)

	// Trace is called before user code runs for a client. The context that it
	// returns, which is ctx or made from it, is what that code finds in
	// Call.Context; end, if not nil, is called once it has returned, and for a
	// stream after its last item, with the error that it has failed with. With
	// Trace no memory of calls is used again.
	Trace func(ctx context.Context, o Operation) (with context.Context, end func(error))
}

// A ConnectionEnd is the end of a connection.
type ConnectionEnd struct {
	Hub       string    // empty: of a ConnectionHandler
	Transport Transport // exactly one
	Status    ConnectionStatus
	Duration  time.Duration // since the start of its transport
}

// A ConnectionStatus says how a connection has ended, in ASP.NET Core's words.
type ConnectionStatus string

// The statuses of connections.
const (
	NormalClosure ConnectionStatus = "normal_closure" // whatever is none of the others
	ClientGone    ConnectionStatus = "timeout"        // the client did not come back in time
	AppShutdown   ConnectionStatus = "app_shutdown"   // it was open at Shutdown
)

// A HandshakeRefusal says why a handshake was refused.
type HandshakeRefusal string

// The refusals of handshakes.
const (
	HandshakeTimedOut        HandshakeRefusal = "timeout"                // Options.HandshakeTimeout was over
	HandshakeTooLong         HandshakeRefusal = "too_long"               // it was longer than MaximumReceiveMessageSize
	HandshakeMalformed       HandshakeRefusal = "malformed"              // it was no JSON, or not an object
	HandshakeUnknownProtocol HandshakeRefusal = "unknown_protocol"       // it is not one of Options.Protocols
	HandshakeUnknownVersion  HandshakeRefusal = "unknown_version"        // of that protocol
	HandshakeNeedsBinary     HandshakeRefusal = "binary_not_supported"   // by the transport
	HandshakeUserID          HandshakeRefusal = "user_id"                // Options.UserID has failed
	HandshakeExpired         HandshakeRefusal = "authentication_expired" // its user's time was over before it
	HandshakeShutdown        HandshakeRefusal = "app_shutdown"           // Hub.Shutdown has begun
)

// A CallEnd is the end of a call that a client has made.
type CallEnd struct {
	Outcome CallOutcome
	Stream  bool // the method streams its result
	// Duration is that of the method, with its filters and its stream; 0: it did not
	// begin. Of short calls that come together it is the time since the one before
	// has ended, which is a microsecond or two more.
	Duration time.Duration
}

// A CallOutcome says what became of a call.
type CallOutcome string

// The outcomes of calls. The methods of the first three have begun.
const (
	CallSucceeded        CallOutcome = "ok"
	CallFailed           CallOutcome = "error"
	CallCanceled         CallOutcome = "canceled" // a stream, by its client or with its connection
	CallUnknownMethod    CallOutcome = "unknown_method"
	CallInvalidArguments CallOutcome = "invalid_arguments"
	CallUnauthorized     CallOutcome = "unauthorized"
	CallRefused          CallOutcome = "refused" // by a limit, or it does not fit what the method is
)

// Began reports whether the method has begun.
func (o CallOutcome) Began() bool { return o == CallSucceeded || o == CallFailed || o == CallCanceled }

// An Operation is user code that is about to run for a client; see Observer.Trace.
type Operation struct {
	Hub  *Hub          // that the code belongs to
	Kind OperationKind // what runs
	Call *Call         // Call.Method is the method

	// Request has the values of the context of an HTTP request, and never ends:
	// that of the request that opened the connection, and for
	// OperationRefreshed that of the one with the new credentials.
	Request context.Context
}

// An OperationKind is a kind of user code.
type OperationKind int

// The kinds of user code.
const (
	OperationMethod       OperationKind = iota // a method that the client has called
	OperationConnected                         // OnConnected, whether the hub has one or not
	OperationDisconnected                      // OnDisconnected, likewise
	OperationRefreshed                         // OnAuthenticationRefreshed, if the hub has one
)

// guardedObserver returns a copy of o whose functions survive panics, or nil.
func guardedObserver(o *Observer, log *slog.Logger) *Observer {
	if o == nil {
		return nil
	}
	c := *o
	survive := func(in string) {
		if v := recover(); v != nil {
			log.Error("panic in user code", "in", "Observer."+in, "panic", v, "stack", string(debug.Stack()))
		}
	}
	if f := o.Hub; f != nil {
		c.Hub = func(h *Hub) { defer survive("Hub"); f(h) }
	}
	if f := o.ConnectionStarted; f != nil {
		c.ConnectionStarted = func(hub string, t Transport) { defer survive("ConnectionStarted"); f(hub, t) }
	}
	if f := o.ConnectionEnded; f != nil {
		c.ConnectionEnded = func(e ConnectionEnd) { defer survive("ConnectionEnded"); f(e) }
	}
	if f := o.HandshakeRefused; f != nil {
		c.HandshakeRefused = func(hub string, t Transport, why HandshakeRefusal) { defer survive("HandshakeRefused"); f(hub, t, why) }
	}
	if f := o.ClientTooSlow; f != nil {
		c.ClientTooSlow = func(hub string, t Transport) { defer survive("ClientTooSlow"); f(hub, t) }
	}
	if f := o.StreamStarted; f != nil {
		c.StreamStarted = func(hub, method string) { defer survive("StreamStarted"); f(hub, method) }
	}
	if f := o.Calls; f != nil {
		c.Calls = func(hub, method string) (told func(CallEnd)) {
			defer survive("Calls")
			inner := f(hub, method)
			if inner == nil {
				return nil
			}
			return func(e CallEnd) { defer survive("Calls"); inner(e) }
		}
	}
	if f := o.Trace; f != nil {
		c.Trace = func(ctx context.Context, op Operation) (with context.Context, end func(error)) {
			with = ctx // unless it returns
			defer survive("Trace")
			w, inner := f(ctx, op)
			if w != nil {
				with = w
			}
			if inner != nil {
				end = func(err error) { defer survive("Trace"); inner(err) }
			}
			return with, end
		}
	}
	return &c
}
