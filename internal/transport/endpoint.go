package transport

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/admission"
)

// An Endpoint serves one route: negotiate below it and connect, send, delete on
// it. Its methods are safe for concurrent use.
type Endpoint struct {
	opts     Options
	newApp   func(*Conn) App
	log      *slog.Logger
	cors     *CORSPolicy // nil: no CORS headers, and pages of the server's own origin only
	flushers flushers
	nextOne  atomic.Uint32            // the shard of the next connection
	refuses  atomic.Bool              // new connections; set while mu is held
	closing  atomic.Bool              // Shutdown was called; set while mu is held
	hurry    atomic.Bool              // Shutdown waits for polls no longer
	logged   sync.Map                 // what lacks has logged
	mounts   atomic.Pointer[[]string] // patterns of MountedAt; changed while mu is held
	started  time.Time                // see clock
	context  sharedContext            // of connect requests
	wheel    wheel                    // when the sweeper looks at whom

	forbidden atomic.Pointer[forbiddenStep] // not nil: the sweeper is to log it

	refusing chan struct{} // closed when refuses is set

	mu        sync.Mutex // guards what follows
	table     map[string]*Conn
	tickets   map[*Conn]*admission.Ticket // of connections that open
	served    served                      // connections of the table that have been connected
	ticking   bool                        // the sweeper runs
	beginning map[string]chan struct{}    // sealed tokens whose connections are being made; closed then
	owned     map[*Conn]func()            // what lets go of connections that other nodes can reach; nil: on its way
	empty     chan struct{}               // not nil: Shutdown waits, closed when the table is empty
	quit      chan struct{}               // closed to end the sweeper
}

// NewEndpoint returns an endpoint whose connections are served by what newApp
// returns; newApp is called right before App.Start. A nil Logger means
// slog.Default().
func NewEndpoint(opts Options, newApp func(*Conn) App) *Endpoint {
	e := &Endpoint{
		opts:     opts,
		newApp:   newApp,
		log:      opts.Logger,
		table:    map[string]*Conn{},
		refusing: make(chan struct{}),

		started: time.Now(),
	}
	e.flushers.start(runtime.GOMAXPROCS(0))
	e.opts.Readers = opts.Readers.orEnvironment()
	if e.log == nil {
		e.log = slog.Default()
	}
	allow := opts.AllowOrigin
	if allow != nil {
		allow = func(origin string, r *http.Request) bool {
			ok := false
			return e.guard("AllowOrigin", func() { ok = opts.AllowOrigin(origin, r) }) && ok
		}
	}
	e.cors = NewCORSPolicy(opts.AllowedOrigins, opts.AllowedHeaders, allow)
	return e
}

// SetElsewhere sets Options.Elsewhere, before the endpoint serves anybody.
func (e *Endpoint) SetElsewhere(elsewhere Elsewhere) { e.opts.Elsewhere = elsewhere }

// clock is now as connections keep times.
func (e *Endpoint) clock(now time.Time) time.Duration { return now.Sub(e.started) }

// ServeHTTP implements http.Handler. The order of its checks is ASP.NET Core's.
// Source: docs/reference/transports.md, section 1.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := e.opts.tooLarge(r); status != 0 {
		w.Header().Set("Connection", "close")
		answer(w, r, status, noType, "")
		return
	}
	boundDrain(http.NewResponseController(w), r)
	to := e.route(r)
	if to == toNowhere {
		answer(w, r, http.StatusNotFound, noType, "")
		return
	}
	if e.cors.Preflight(w, r) {
		return
	}
	kind := kindOf(r)
	if !e.cors.AddHeaders(w, r) && !isSameOrigin(r, kind.upgrade) && r.Method != http.MethodOptions {
		e.refuseOrigin(w, r)
		return
	}
	if kind.upgrade || e.opts.Authenticate != nil {
		growStack()
	}
	user, no := e.authenticate(r, kind)
	if no.Status != 0 {
		no.refuse(w, r)
		return
	}
	e.serve(w, r, to, kind, user)
}

// growStack makes the stack of net/http's goroutine as large as it becomes where a token is
// verified, or a client taken in. It would grow there anyway, when more is on it that has to
// be moved: 5 of the 140 us of a connect (BenchmarkConnect; docs/performance.md).
//
//go:noinline
func growStack() {
	var room [2 << 10]byte
	runtime.KeepAlive(&room)
}

// serve serves a request of user that may use the endpoint.
func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request, to destination, kind connectKind, user any) {
	switch {
	case to == toNegotiate && r.Method == http.MethodPost:
		e.serveNegotiate(w, r, user)
	case to == toRefresh:
		e.serveRefresh(w, r, user)
	case to == toNegotiate:
		answer(w, r, http.StatusMethodNotAllowed, textPlain, "")
	case r.Method == http.MethodGet, r.Method == http.MethodConnect:
		e.serveConnect(w, r, kind, user)
	case r.Method == http.MethodPost:
		e.servePost(w, r, user)
	case r.Method == http.MethodDelete:
		e.serveDelete(w, r, user)
	default:
		answer(w, r, http.StatusMethodNotAllowed, textPlain, "")
	}
}

// refuseOrigin answers a request of a page whose origin is not allowed.
func (e *Endpoint) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	e.log.Info("origin refused", "reason", "it is neither the server's own nor in AllowedOrigins", "origin", origin[:min(len(origin), 200)],
		"site", r.Header.Get("Sec-Fetch-Site"), "host", r.Host, "remote", r.RemoteAddr)
	answer(w, r, http.StatusForbidden, noType, "")
}

// serveConnect serves what a transport begins with, and polls.
func (e *Endpoint) serveConnect(w http.ResponseWriter, r *http.Request, kind connectKind, user any) {
	switch {
	case kind.transport == LongPolling:
		noCache(w)
	case kind.transport == WebSockets && r.ProtoMajor == 1 && !canHijack(w):
		e.lacks(w, needHijack)
		answer(w, r, http.StatusInternalServerError, noType, "")
		return
	}
	c := e.connectionFor(w, r, kind.transport, user)
	if c == nil {
		return
	}
	if kind.transport == WebSockets {
		if queryValue(r.URL.RawQuery, "id") == "" {
			defer c.forgetRefused()
		}
		c.awaitStart(r)
	}
	if !skipBody(r) {
		w.Header().Set("Connection", "close")
		answer(w, r, http.StatusBadRequest, textPlain, "")
		return
	}
	if full := e.mayAdmit(c); full != nil {
		answer(w, r, http.StatusServiceUnavailable, textPlain, full.Error())
		return
	}
	if status, body := c.mayConnect(kind.transport); status != 0 {
		answer(w, r, status, textPlain, body)
		return
	}
	e.own(r.Context(), c, kind.transport)
	switch kind.transport {
	case WebSockets:
		e.serveWebSocket(w, r, c, user)
	case ServerSentEvents:
		e.serveSSE(w, r, c, user)
	default:
		e.servePoll(w, r, c, user)
	}
}

// connectionFor finds the connection of a connect request, or answers itself
// and returns nil. A WebSocket without id begins a new connection.
func (e *Endpoint) connectionFor(w http.ResponseWriter, r *http.Request, t Transport, user any) *Conn {
	token := queryValue(r.URL.RawQuery, "id")
	if token == "" && t == WebSockets && e.opts.Elsewhere == nil {
		return e.beginUnnegotiated(w, r, user)
	}
	contentType := textPlain
	if t == WebSockets {
		contentType = noType
	}
	if e.opts.Cluster != nil && token != "" {
		if c := e.lookup(token); c != nil {
			return c
		}
		if c, answered := e.begin(w, r, token, t, user); c != nil || answered {
			return c
		}
	}
	return e.find(w, r, token, contentType, user)
}

// beginUnnegotiated is connectionFor of a WebSocket without id.
func (e *Endpoint) beginUnnegotiated(w http.ResponseWriter, r *http.Request, user any) *Conn {
	ticket, ok := e.letIn(w, r)
	if !ok {
		return nil
	}
	c, full := e.newServed(user)
	if full != nil {
		if ticket != nil {
			ticket.Opened()
		}
		answer(w, r, http.StatusServiceUnavailable, textPlain, full.Error())
		return nil
	}
	e.keepTicket(c, ticket)
	return c
}

const (
	idRequired = "Connection ID required"
	idUnknown  = "No Connection with that ID"
)

// find finds the connection with token, or answers itself and returns nil. A
// connection of another node has answered then.
func (e *Endpoint) find(w http.ResponseWriter, r *http.Request, token, contentType string, user any) *Conn {
	if token == "" {
		answer(w, r, http.StatusBadRequest, textPlain, idRequired)
		return nil
	}
	c, answered := e.lookupAnywhere(w, r, token, user)
	if c == nil && !answered {
		answer(w, r, http.StatusNotFound, contentType, idUnknown)
	}
	return c
}

// lookupAnywhere finds the connection with token, or lets its owner answer.
func (e *Endpoint) lookupAnywhere(w http.ResponseWriter, r *http.Request, token string, user any) (c *Conn, answered bool) {
	if c := e.lookup(token); c != nil || e.opts.Cluster == nil {
		return c, false
	}
	return e.forward(w, r, token, user)
}

// pollGrace is how long Shutdown waits for the next poll of a client that is
// between two: it fetches the farewell, and does not see an error instead. In
// ASP.NET Core such a client gets 404.
const pollGrace = time.Second

// Refuse refuses new connections from now on: negotiate is answered 503. Those
// that were negotiated before can still be connected.
func (e *Endpoint) Refuse() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuseLocked()
}

// refuseLocked also ends the wait of clients that are held: see letIn.
func (e *Endpoint) refuseLocked() {
	if !e.refuses.Swap(true) {
		close(e.refusing)
	}
}

// Shutdown refuses new connections, asks every App to end, waits for them until
// ctx is done, then cuts what is left and returns ctx.Err(). HTTP requests that
// the endpoint still serves end with their connections. No goroutine writes for
// several connections any more when it returns.
func (e *Endpoint) Shutdown(ctx context.Context) error {
	defer e.flushers.wait()
	e.mu.Lock()
	e.refuseLocked()
	e.closing.Store(true)
	if e.empty == nil {
		e.empty = make(chan struct{})
		if len(e.table) == 0 {
			close(e.empty)
		}
	}
	empty := e.empty
	e.mu.Unlock()
	for _, c := range e.connections(nil) {
		c.shutdown()
	}
	grace := time.NewTimer(pollGrace)
	defer grace.Stop()
	select {
	case <-empty:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	e.hurry.Store(true)
	for _, c := range e.connections(nil) {
		c.stopWaiting()
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	for _, c := range e.connections(nil) {
		c.Abort(ErrShutdown)
		e.remove(c)
	}
	return ctx.Err()
}
