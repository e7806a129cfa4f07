package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/internal/admission"
)

// An App is the side of a connection that understands its bytes: a hub
// connection, or a raw one. The transport calls its methods as documented; the
// App calls those of its Conn.
type App interface {
	// Start is called once, when the first transport serves the connection
	// (for long polling: the first poll). Nothing is received before it
	// returns, so it must not block.
	Start()

	// Receive takes p, bytes in order of arrival; message and frame borders
	// mean nothing. It is called by one goroutine at a time. p is valid only
	// until it returns, or ReadOn is called in its place. It waits while the App
	// cannot take more, which is the transport's backpressure, and stops waiting
	// when the connection ends.
	//
	// isReader says that the caller is the reader of a WebSocket, which has
	// nothing to do but to read on: the App may run its own work, of any
	// length, on that goroutine. In that case it may return false: the App has
	// kept the goroutine for that work, has let another goroutine call
	// Conn.ReadOn meanwhile (which went on with the bytes that were left), and
	// the caller must return at once without touching the connection again.
	// Where isReader is false, Receive returns whether the App has taken p: not if
	// the connection ended while it waited.
	Receive(p []byte, isReader bool) bool

	// Ended is called once, unless the App has finished before: no more bytes
	// will come, and Start has been called before. cause is nil when the client
	// ended the input properly (close frame, DELETE). It is, or wraps, ErrLost
	// when the client went away without a word, ErrTimeout when it did not come
	// back, ErrSendTimeout, ErrShutdown, the cause given to Conn.Abort, or
	// another error when the client broke the WebSocket protocol. It must not
	// block; a call of Receive may be running. The App brings its work to an end
	// and calls Conn.Finish.
	Ended(cause error)

	// Shutdown asks the App to say farewell and to call Conn.Finish soon. It
	// must not block. It may be called although Ended was, or will be.
	Shutdown()

	// Tick is called about once a second from the sweeper, from Start until
	// Conn.Finish. It must not block. It returns for how long it need not be called
	// again where the connection is idle; it may be called sooner, and is called at
	// the first second after that. Less than a second is none.
	Tick(now time.Time) (rest time.Duration)
}

// Transport is a set of transports; a connection has exactly one.
type Transport uint8

// The values are those of .NET's HttpTransportType.
const (
	WebSockets       Transport = 1
	ServerSentEvents Transport = 2
	LongPolling      Transport = 4
	All                        = WebSockets | ServerSentEvents | LongPolling
)

// Errors of Conn.Send and causes of an end; see App.Ended.
var (
	ErrClosed      = errors.New("transport: connection closed")
	ErrTooSlow     = errors.New("transport: client does not read what is sent to it")
	ErrSendTimeout = errors.New("transport: a write took longer than the send timeout")
	ErrTimeout     = errors.New("transport: client did not come back within the disconnect timeout")
	ErrForbidden   = errors.New("transport: the client came back with other permissions")
	ErrShutdown    = errors.New("transport: server is shutting down")
	ErrLost        = errors.New("transport: client went away without closing the connection")
)

// Readers says which goroutines read WebSockets and event streams. Only those over sockets
// of the system, or stock TLS over them, can be parked, and only on Linux; others have a
// goroutine each.
type Readers uint8

const (
	ReadersAuto      Readers = iota // of each client that is not idle
	ReadersGoroutine                // one for each; an event stream is written by that of its request
	ReadersPoll                     // those that watch the parked ones: a client is parked whenever nothing is there
)

// Options configures an Endpoint. All fields are final values: defaults have
// been filled in by the caller, an "off" duration is the longest one.
type Options struct {
	Transports              Transport
	Readers                 Readers
	MinimumProtocolVersion  int
	TransportMaxBufferSize  int           // bytes queued to the client before SendWait waits; 0: no bound
	TransportSendTimeout    time.Duration // of a client that takes nothing of what is written
	SlowClientTimeout       time.Duration // how long something may wait at the head of the queue
	Limit                   *Limit        // nil: none
	CloseTimeout            time.Duration
	PollTimeout             time.Duration
	DisconnectTimeout       time.Duration
	MaximumPostSize         int64 // bytes of one POST body
	AllowStatefulReconnects bool
	AllowedOrigins          []string                      // besides the server's own; nil: none, and no CORS headers are sent; "*": all
	AllowedHeaders          []string                      // nil: echo what a preflight asks for
	SubProtocol             func(offered []string) string // nil: none
	Redirect                func(*http.Request) (url, accessToken string, ok bool)

	// WantsReconnect reports whether a client that negotiates is to have stateful
	// reconnect, where AllowStatefulReconnects is set. Nil: one whose query asks for it.
	WantsReconnect func(r *http.Request, user any) bool

	// Elsewhere has clients that another server holds: none can be connected by a
	// request of its own. Nil: clients connect here.
	Elsewhere Elsewhere

	// Cluster is the other nodes, where each may get any request. Who names a user
	// for them: two users have one name exactly if SameUser would say that they are
	// one. PackUser and UnpackUser bring a user to another node. Nil: this node
	// serves its own connections alone.
	Cluster    Cluster
	Who        func(user any) string
	PackUser   func(user any) []byte
	UnpackUser func(packed []byte) any

	// Bounds; final values, too.
	MaximumWaitingPosts      int // POSTs of one connection at a time; more are answered 429
	MaximumConnections       int // that have been connected; 0: no bound; more are answered 503
	MaximumNegotiated        int // that have only been negotiated; more are answered 503
	MaximumRequestLine       int // bytes; more is answered 414
	MaximumRequestHeaderSize int // bytes of the whole header; more is answered 431
	MaximumRequestHeaders    int // lines of the header; more are answered 431

	// Admission holds back clients that begin a connection; several endpoints may
	// share one. ClientAddress is the address that it knows them by. Nil: none,
	// and Request.RemoteAddr.
	Admission     *admission.Queue
	ClientAddress func(*http.Request) string

	// AllowOrigin allows more origins than AllowedOrigins. Nil: no others.
	AllowOrigin func(origin string, r *http.Request) bool

	// SameUser reports whether two requests of one connection are from one
	// user; if not, the later one is refused. Nil: that is not checked.
	SameUser func(old, fresh any) bool

	// EnableRefresh serves POST <route>/refresh. OnRefresh may refuse what came;
	// nil accepts it. Unchanged reports that credentials of the same user say
	// nothing new, so that a poll with them is no refresh. Expires says when a
	// user's credentials end; the zero time, or nil: never. LegacyPollRefresh takes a poll of another user as a refresh.
	EnableRefresh     bool
	OnRefresh         func(r *http.Request, old, fresh any) (accept bool, err error)
	Unchanged         func(old, fresh any) bool
	Expires           func(user any) time.Time
	LegacyPollRefresh bool

	// Authenticate says who sent r, or why that is not served. r carries an
	// access_token of the query as its Authorization header where that is
	// allowed. Nil: no user is known.
	Authenticate func(r *http.Request) (user any, no Refusal)

	Logger *slog.Logger
}

// A Refusal is how a request is answered whose sender may not use the endpoint;
// the body is empty. The zero value refuses nothing.
type Refusal struct {
	Status    int    // 401, 403, 500; 0: nothing is refused
	Challenge string // of a 401: its WWW-Authenticate; "": Bearer
}

// What an App may do with its connection. *Conn has these methods; the list is
// here so that it can be read in one place.
var _ interface {
	ID() string    // the public connection id
	Token() string // what clients put into id=; secret
	Transport() Transport
	TextOnly() bool         // SSE
	Request() *http.Request // of the first connect (first poll); body and context are not usable for reading
	User() any
	Stateful() bool // stateful reconnect was negotiated

	// Send queues f after what is queued and never waits. It reports ErrClosed
	// after the end, and ErrTooSlow once the client was found too slow.
	Send(f Frame) error
	// SendNow is Send that writes from the calling goroutine what can be written
	// without waiting.
	SendNow(f Frame) error
	// Queue is Send for an App that holds a lock; it calls Relieve later.
	Queue(f Frame) error
	Relieve()
	// SendLast is Send for the farewell, which a client that is too slow gets
	// as well. It is called once at most, right before Finish.
	SendLast(f Frame) error
	// SendWait is Send that first waits until fewer than
	// TransportMaxBufferSize bytes are queued (once it waits, until fewer than
	// half), ctx is done, or the connection ends.
	SendWait(ctx context.Context, f Frame) error
	// WouldWait reports whether SendWait would have to wait now.
	WouldWait() bool
	// WaitForClient waits until fewer than half of TransportMaxBufferSize bytes
	// are queued, for a client that makes progress only.
	WaitForClient(ctx context.Context) error

	// DropOldest, TooSlow, Behind, Hold and Release belong to slow clients: see
	// slow.go and limit.go.
	DropOldest(most int)
	TooSlow()
	Behind(since time.Time)
	Hold(f Frame) Frame
	Release(frames []Frame) int

	// Cork keeps what is sent in the queue until Uncork, which writes it from
	// the calling goroutine if that can be done without waiting. Calls do not
	// nest; Uncork without Cork is harmless.
	Cork()
	Uncork()

	// ReadOn takes over reading from a goroutine that App.Receive has kept. It
	// returns when reading has ended, or was taken over in turn. On transports
	// without a reader (SSE, long polling) it returns at once.
	ReadOn()

	// BeforeWait is called on the goroutine that has called Receive, before it waits
	// for longer than a lock is held: it may be the one that reads for others.
	BeforeWait()

	// Finish is the App's end: what is queued is still written, then the
	// transport ends in its normal way (close frame 1000 and at most
	// CloseTimeout for the client's; end of the response; 204), and the
	// connection is forgotten. Sends after it return ErrClosed. Only the first
	// call counts.
	Finish()
	// FinishError is Finish for an App that failed: close frame 1011, 500.
	FinishError()
	// Abort ends the transport at once, without a farewell. App.Ended follows,
	// unless it has been called.
	Abort(cause error)
	// Done is closed when the input has ended, on whichever side; Finish
	// counts.
	Done() <-chan struct{}

	// Opened says that the App has begun to serve its client: see Options.Admission.
	Opened()

	// Resume and DisableReconnect belong to stateful reconnect: see Reconnector.
	Resume()
	DisableReconnect()
} = (*Conn)(nil)
