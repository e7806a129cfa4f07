package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// A Cluster is the other nodes that serve the same endpoint, where any of them may
// get any request of a connection. Its methods are safe for concurrent use.
type Cluster interface {
	// Seal makes the token and the id of a connection that no node knows yet, for
	// the route where and the user who. It reports false while that cannot be
	// done: the connection belongs to this node then.
	Seal(t Ticket, where, who string) (token, id string, ok bool)

	// Open reports whether a node of this cluster has made token for the route
	// where, however long ago.
	Open(token, where, who string) (t Ticket, ok bool)

	// Claim makes this node the only one that may make the connection id, for d.
	// Errors: ErrTaken, ErrAway.
	Claim(ctx context.Context, id string, d time.Duration) error

	// Claimed reports whether some node has claimed id.
	Claimed(ctx context.Context, id string) (bool, error)

	// Own lets serve have the requests for id that other nodes get, until release.
	// It returns once they can reach it, or after some seconds.
	Own(ctx context.Context, id string, serve ForwardHandler) (release func())

	// Forward lets the owner of id answer r, which comes from user. Errors, with
	// which nothing was answered: ErrNobody, ErrAway, ErrBody, and that of r's
	// context.
	Forward(w http.ResponseWriter, r *http.Request, id string, user []byte) error
}

// A ForwardHandler serves a request that another node got. That one has said who
// sent it: see Options.UnpackUser.
type ForwardHandler func(w ForwardWriter, r *http.Request, user []byte)

// A ForwardWriter gives the answer to the node that got the request.
type ForwardWriter interface {
	http.ResponseWriter

	// Awaited asks that node whether its client still waits, before anything was
	// written, and returns nil if so. The request may be late, and that node dead.
	Awaited() error
}

// A Ticket is what negotiate has decided. The token holds it, so that nobody has to
// remember it.
type Ticket struct {
	ID       string // see Cluster.Open
	SameUser bool   // it is of the user that Open was asked about
	Version  int
	Stateful bool
	Issued   time.Time
}

// Errors of a Cluster.
var (
	ErrTaken  = errors.New("transport: another request has begun the connection")
	ErrNobody = errors.New("transport: no node has the connection")
	ErrAway   = errors.New("transport: the other nodes cannot be reached")
	ErrBody   = errors.New("transport: the body of the request could not be read")

	// ErrUndelivered is the error of a write to a forwarded request: the client may
	// not have got what was written.
	ErrUndelivered = errors.New("transport: another node has not passed on what was written")
)

// clockSkew is how much the clocks of two nodes may differ.
const clockSkew = 15 * time.Second

// longestTicket bounds the time in which a connection that was negotiated can be
// connected, where DisconnectTimeout is longer.
const longestTicket = 5 * time.Minute

// unreachable is what clients are told whose connection another node has that
// cannot be asked.
const unreachable = "The server that has the connection cannot be reached."

type forwardedKey struct{}

// isForwarded reports whether another node got r.
func isForwarded(r *http.Request) bool { return forwardWriter(r) != nil }

// forwardWriter returns what answers r to the node that got it; nil: this one has.
func forwardWriter(r *http.Request) ForwardWriter {
	w, _ := r.Context().Value(forwardedKey{}).(ForwardWriter)
	return w
}

// where is the route that r was sent to, as tokens are bound to it.
func where(r *http.Request) string {
	path, _ := strings.CutSuffix(r.URL.Path, "/")
	for _, tail := range []string{"/negotiate", "/refresh"} {
		if endsIn(path, tail) {
			path = path[:len(path)-len(tail)]
			break
		}
	}
	return strings.ToLower(path)
}

// who names user as tokens are bound to it.
func (e *Endpoint) who(user any) string {
	if e.opts.Who == nil || e.opts.Authenticate == nil {
		return ""
	}
	return e.opts.Who(user)
}

// sealed is negotiate without a connection: whoever gets its first request makes it.
func (e *Endpoint) sealed(r *http.Request, version int, stateful bool, user any) (token, id string, ok bool) {
	if e.opts.Cluster == nil {
		return "", "", false
	}
	return e.opts.Cluster.Seal(Ticket{Version: version, Stateful: stateful, Issued: time.Now()}, where(r), e.who(user))
}

func (e *Endpoint) open(r *http.Request, token string, user any) (Ticket, bool) {
	if e.opts.Cluster == nil || isForwarded(r) {
		return Ticket{}, false
	}
	return e.opts.Cluster.Open(token, where(r), e.who(user))
}

// ticketTime is how long a ticket is good.
func (e *Endpoint) ticketTime() time.Duration { return min(e.opts.DisconnectTimeout, longestTicket) }

// fresh reports whether the connection of t may still be begun.
func (e *Endpoint) fresh(t Ticket) bool {
	age := time.Since(t.Issued)
	return age <= e.ticketTime() && age >= -clockSkew
}

// begin makes the connection of a sealed token that is fresh. It returns nil if that
// is another node's to do, or if it has answered itself.
func (e *Endpoint) begin(w http.ResponseWriter, r *http.Request, token string, t Transport, user any) (c *Conn, answered bool) {
	ticket, ok := e.open(r, token, user)
	if !ok || !e.fresh(ticket) {
		return nil, false
	}
	if e.opts.Transports&t == 0 {
		answer(w, r, http.StatusNotFound, textPlain, t.String()+notSupported)
		return nil, true
	}
	if c, leave := e.enterBeginning(r.Context(), token); c != nil {
		return c, false
	} else if leave == nil { // the client is gone
		return nil, true
	} else {
		defer leave()
	}
	if full := e.mayBegin(); full != nil && (full != errRefuses || e.closing.Load()) {
		answer(w, r, http.StatusServiceUnavailable, textPlain, full.Error())
		return nil, true
	}
	if ticket.SameUser { // else nobody begins it
		switch err := e.opts.Cluster.Claim(r.Context(), ticket.ID, e.ticketTime()+2*clockSkew); {
		case err == nil:
		case errors.Is(err, ErrTaken):
			return nil, false
		case t == LongPolling: // the next poll, on another node, would begin it once more
			e.answerAway(w, r)
			return nil, true
		}
		if c = e.addSealed(token, ticket, user); c == nil {
			refuseBegin(w, r, errRefuses)
			return nil, true
		}
		return c, false
	}
	if claimed, err := e.opts.Cluster.Claimed(r.Context(), ticket.ID); claimed && err == nil {
		return nil, false // its owner knows what the connection's user may
	}
	e.log.Info("credentials refused", "reason", "they are of another user than the one who negotiated", "connection", ticket.ID)
	answer(w, r, http.StatusForbidden, textPlain, anotherUser)
	return nil, true
}

// enterBeginning lets one request at a time begin the connection of token, and
// returns the connection if there is one already. leave is nil if ctx has ended.
func (e *Endpoint) enterBeginning(ctx context.Context, token string) (c *Conn, leave func()) {
	for {
		e.mu.Lock()
		c := e.table[token]
		other := e.beginning[token]
		if c == nil && other == nil {
			if e.beginning == nil {
				e.beginning = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			e.beginning[token] = done
			e.mu.Unlock()
			return nil, func() {
				e.mu.Lock()
				delete(e.beginning, token)
				e.mu.Unlock()
				close(done)
			}
		}
		e.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// addSealed puts the connection of a sealed token into the table. It returns nil
// after Shutdown.
func (e *Endpoint) addSealed(token string, ticket Ticket, user any) *Conn {
	c := e.makeConn(ticket.Version, ticket.Stateful, user)
	c.setNames(ticket.ID, token)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing.Load() {
		return nil
	}
	e.putLocked(c)
	return c
}

// own lets other nodes reach c, if requests of it may come to them. It waits until
// they can.
func (e *Endpoint) own(ctx context.Context, c *Conn, t Transport) {
	alone := t == WebSockets && !c.stateful && !e.opts.EnableRefresh // there is no other request
	if e.opts.Cluster == nil || alone || !strings.Contains(c.Token(), ".") {
		return
	}
	e.mu.Lock()
	_, known := e.owned[c]
	here := e.table[c.Token()] == c
	if !known && here {
		if e.owned == nil {
			e.owned = map[*Conn]func(){}
		}
		e.owned[c] = nil // on its way
	}
	e.mu.Unlock()
	if known || !here {
		return
	}
	release := e.opts.Cluster.Own(ctx, c.ID(), e.serveForwarded)
	e.mu.Lock()
	if here = e.table[c.Token()] == c; here {
		e.owned[c] = release
	}
	e.mu.Unlock()
	if !here {
		release()
	}
}

// disown ends own, for a connection that is not in the table any more.
func (e *Endpoint) disown(c *Conn) {
	e.mu.Lock()
	release := e.owned[c]
	delete(e.owned, c)
	e.mu.Unlock()
	if release != nil {
		release()
	}
}

// serveForwarded serves a request that another node got, which has checked all but
// what belongs to the connection.
func (e *Endpoint) serveForwarded(w ForwardWriter, r *http.Request, packed []byte) {
	var user any
	if e.opts.UnpackUser != nil {
		user = e.opts.UnpackUser(packed)
	}
	r = r.WithContext(context.WithValue(r.Context(), forwardedKey{}, w))
	e.serve(w, r, e.route(r), kindOf(r), user)
}

// forward lets the owner of a connection answer, and reports whether it, or this
// node in its place, has.
func (e *Endpoint) forward(w http.ResponseWriter, r *http.Request, token string, user any) (c *Conn, answered bool) {
	ticket, ok := e.open(r, token, user)
	if !ok {
		return nil, false
	}
	kind := kindOf(r)
	socket := kind.transport == WebSockets
	if socket && (!ticket.Stateful || r.ProtoMajor != 1) {
		return nil, false
	}
	rc := http.NewResponseController(w)
	if r.Method == http.MethodGet {
		e.clearDeadlines(w, r, rc)
	}
	if r.Method == http.MethodPost {
		whole := r
		r = r.WithContext(r.Context())
		r.Body = pacedBody{&postBody{rc: rc, body: r.Body}, r.Body}
		if r.ContentLength > e.opts.MaximumPostSize { // the owner refuses it by its length
			r.Body = http.NoBody
			boundDrain(rc, whole)
		}
	}
	poll := kind.transport == LongPolling && r.Method == http.MethodGet
	if poll {
		mayCache(w) // the owner says whether not
	}
	var packed []byte
	if e.opts.PackUser != nil {
		packed = e.opts.PackUser(user)
	}
	err := e.opts.Cluster.Forward(w, r, ticket.ID, packed)
	if poll && err != nil {
		noCache(w)
	}
	switch {
	case err == nil:
		return nil, true
	case errors.Is(err, ErrNobody):
		return e.unclaimed(w, r, token, ticket, user)
	case errors.Is(err, ErrBody):
		if failedBody(err) == clientGone && dropClient(rc) {
			return nil, true
		}
		w.Header().Set("Connection", "close")
		answer(w, r, http.StatusBadRequest, textPlain, "")
		_ = rc.SetReadDeadline(time.Unix(1, 0)) // the rest of the body is not read
	case isOverdue(r) && kind.transport == LongPolling: // as one that this node serves
		answer(w, r, http.StatusOK, textPlain, "")
	case r.Context().Err() != nil, errors.Is(err, context.Canceled): // no client is left to answer
	default:
		e.answerAway(w, r)
	}
	return nil, true
}

func (e *Endpoint) answerAway(w http.ResponseWriter, r *http.Request) {
	answer(w, r, http.StatusServiceUnavailable, textPlain, unreachable)
}

// unclaimed returns a connection in place of one that was negotiated and not begun,
// which is answered as on the node that remembers its negotiate.
func (e *Endpoint) unclaimed(w http.ResponseWriter, r *http.Request, token string, ticket Ticket, user any) (c *Conn, answered bool) {
	if !e.fresh(ticket) {
		return nil, false
	}
	claimed, err := e.opts.Cluster.Claimed(r.Context(), ticket.ID)
	switch {
	case err != nil:
		e.answerAway(w, r)
		return nil, true
	case claimed:
		return nil, false
	}
	c = e.makeConn(ticket.Version, ticket.Stateful, user)
	c.setNames(ticket.ID, token)
	c.foreign = !ticket.SameUser
	return c, false
}

// pacedBody is the body of a POST, at the pace that a client must keep.
type pacedBody struct {
	paced *postBody
	io.Closer
}

// Read implements io.Reader.
func (b pacedBody) Read(p []byte) (int, error) { return b.paced.read(p) }
