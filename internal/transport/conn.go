package transport

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is one logical connection. Its methods are safe for concurrent use.
//
// Most connections are idle WebSockets. What others need, and what is needed
// only now and then, is behind a pointer that is nil meanwhile; TestSizes says
// what an idle connection costs.
type Conn struct {
	// mu guards what follows. It is never held while writing or calling the
	// App. The fields that every delivery touches come first.
	mu sync.Mutex
	state
	transport Transport // 0 until the first connect request was accepted
	reading   bool      // some goroutine reads the sockets
	permanent bool      // stateful reconnect was switched off for this connection
	stateful  bool      // stateful reconnect was negotiated; set before the connection is known to anybody
	foreign   bool      // somebody else has negotiated than who asks; nobody else knows the connection: see Endpoint.unclaimed
	asleep    bool      // the sweeper leaves it alone for a while; see wheel
	out       outbox
	socket    *socket   // WebSockets, and event streams without a request: the one that is served
	http      *requests // nil for WebSockets

	// Owned by the goroutine that has set out.dirty: the way through the
	// shard's list.
	next *Conn

	// Set before the connection is known to anybody, then read only.
	shard    *shard
	endpoint *Endpoint
	names    string // the id, and behind it the token where that is another
	handler  App    // set by start, before the App is appRunning; with mu

	end atomic.Pointer[end] // nil while the App gets input; set while mu is held

	// Guarded by mu again.
	rare     *rareOfConn
	lastSeen time.Duration // when the last request or socket ended, as Endpoint.clock says
	request  keptRequest   // the first connect request
	user     any           // as the App knows it

	// Where c is in the wheel; guarded by wheel.mu.
	place uint32 // in its slot
	slot  uint8  // one more than its number; 0: c is not in the wheel

	counted Transport // guarded by Endpoint.mu: as connected by it; 0: not yet
	idLen   uint16    // of names; as that
}

// An end is why there is no more input; nil is the client's proper end, or that
// the App has finished. How the two sides have ended is in their states.
type end struct{ cause error }

// requests is what a connection over SSE or long polling has. It is guarded by Conn.mu.
type requests struct {
	wake     chan struct{} // signals the request that serves; nil: a socket serves
	poll     *poll         // the poll that runs
	lastPoll *poll         // the last one that waits for its end
	posting  chan struct{} // the POST that runs holds its one token
	posts    int           // POSTs that run or wait

	eventLeft int // of the frame that a socket writes in pieces: the bytes behind the piece that is written

	virtual *virtual // not nil: there are no requests; set before the connection is known to anybody
}

// virtual is nil for a connection whose client is connected here. It is called
// with c.mu held, or by Endpoint.Open's callers.
func (c *Conn) virtual() *virtual {
	if c.http == nil {
		return nil
	}
	return c.http.virtual
}

// A rareOfConn is what most connections never need. It is guarded by Conn.mu.
type rareOfConn struct {
	// What goroutines wait for. Each channel is made when one waits.
	space    chan struct{} // in the outbox, for a sender
	done     chan struct{} // the end of the input
	started  chan struct{} // the App: a POST waits for it, or another socket
	shutdown bool          // asked for while the App was being started
	lostDone chan struct{} // the latest call of App.Lost

	latest    *any   // not nil: what Conn.Latest returns instead of Conn.user
	refreshes uint32 // how often Conn.user was replaced
}

// rarelyLocked returns what is rare, to be changed.
func (c *Conn) rarelyLocked() *rareOfConn {
	if c.rare == nil {
		c.rare = &rareOfConn{}
	}
	return c.rare
}

// setNames sets the id and the token, before the connection is known to anybody.
func (c *Conn) setNames(id, token string) {
	c.names, c.idLen = id, uint16(len(id))
	if token != id {
		c.names += token
	}
}

// ID returns the public connection id.
func (c *Conn) ID() string { return c.names[:c.idLen] }

// Token returns what clients put into id=. It is a secret.
func (c *Conn) Token() string {
	if len(c.names) == int(c.idLen) {
		return c.names
	}
	return c.names[c.idLen:]
}

// Transport returns the transport; 0 before the App was made.
func (c *Conn) Transport() Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// TextOnly reports whether the transport carries text only.
func (c *Conn) TextOnly() bool { return c.Transport() == ServerSentEvents }

// Request returns the first connect request. Its body is empty, and its context
// has the values but never ends. While what it has returned is in use it returns
// that again; do not change it.
func (c *Conn) Request() *http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request.get()
}

// RequestContext returns the context of Request, without making that; nil before
// the first connect request.
func (c *Conn) RequestContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request.ctx
}

// User returns who Options.Authenticate said had sent the first connect request,
// or the last refresh.
func (c *Conn) User() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// Latest returns who Options.Authenticate said had sent the newest request that
// was let through. Without refreshes it is the same user with other claims, or
// another end of its authentication.
func (c *Conn) Latest() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latestLocked()
}

func (c *Conn) latestLocked() any {
	if c.rare != nil && c.rare.latest != nil {
		return *c.rare.latest
	}
	return c.user
}

// setLatestLocked notes who has sent the newest request. Before the first connect
// request that is also who the App will know.
func (c *Conn) setLatestLocked(user any) {
	if c.app == appNone {
		c.user = user
		return
	}
	c.rarelyLocked().latest = &user
}

// Stateful reports whether stateful reconnect was negotiated.
func (c *Conn) Stateful() bool { return c.stateful }

// Done is closed when the input has ended, on whichever side; Finish counts.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.rarelyLocked()
	if w.done == nil {
		w.done = make(chan struct{})
		if c.end.Load() != nil {
			close(w.done)
		}
	}
	return w.done
}

// notSupported follows the name of a transport.
const notSupported = " transport not supported by this end point type"

// mayConnect says how a connect request for t must be refused, or fixes the
// transport. Source: docs/reference/transports.md, sections 1 and 1.1.
func (c *Conn) mayConnect(t Transport) (status int, body string) {
	if c.endpoint.opts.Transports&t == 0 {
		return http.StatusNotFound, t.String() + notSupported
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.transport != 0 && c.transport != t:
		return http.StatusBadRequest, "Cannot change transports mid-connection"
	case t == LongPolling: // polls take each other's place
	case (c.link == linkServing || c.link == linkResuming) && !c.replaceableLocked():
		return http.StatusConflict, ""
	}
	c.transport = t
	return 0, ""
}

// activate makes the calling request the one that serves c, if none does. It
// reports the status to refuse it with. first says that the App must be started.
func (c *Conn) activate(r *http.Request, user any) (first bool, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.activateLocked(r, user)
}

func (c *Conn) activateLocked(r *http.Request, user any) (first bool, status int) {
	switch c.link {
	case linkServing, linkResuming, linkLeaving:
		return false, http.StatusConflict
	case linkClosed, linkCut:
		return false, http.StatusNotFound
	case linkLost:
		c.stepLocked(linkResuming, c.app)
		return false, 0
	}
	if c.app != appNone {
		c.stepLocked(linkServing, c.app)
		return false, 0
	}
	c.stepLocked(linkServing, appStarting)
	c.request.keep(r, &c.endpoint.context)
	c.user = user
	if c.transport != WebSockets {
		c.http = &requests{wake: make(chan struct{}, 1)}
	}
	return true, 0
}

// start makes the App, starts it and gives it what was posted before.
func (c *Conn) start() {
	defer c.survive()
	handler := c.endpoint.newApp(c)
	c.mu.Lock()
	c.handler = handler // whoever ends the connection meanwhile looks at it
	c.mu.Unlock()
	handler.Start()
	c.mu.Lock()
	if c.app == appStarting {
		c.stepLocked(c.link, appRunning)
	}
	c.startedLocked()
	end := c.end.Load()
	running := c.app == appRunning
	shutdown := c.rare != nil && c.rare.shutdown
	c.mu.Unlock()
	switch {
	case running && end != nil:
		handler.Ended(end.cause)
	case running && shutdown:
		handler.Shutdown()
	}
}

// awaitStartLocked returns a channel that is closed when the App has been
// started, or never will be.
func (c *Conn) awaitStartLocked() <-chan struct{} {
	w := c.rarelyLocked()
	if w.started == nil {
		w.started = make(chan struct{})
	}
	return w.started
}

// startedLocked lets the goroutines go on that wait for the App.
func (c *Conn) startedLocked() {
	if w := c.rare; w != nil && w.started != nil {
		close(w.started)
		w.started = nil
	}
}

// wakeRequestLocked tells the request that serves the connection to look again.
func (c *Conn) wakeRequestLocked() {
	if c.http != nil {
		signal(c.http.wake)
	}
}

// tick is called by the sweeper.
func (c *Conn) tick(now time.Time) {
	defer c.survive()
	c.mu.Lock()
	c.asleep = false
	absent := c.link == linkWaiting || c.link == linkLost
	if absent && c.endpoint.clock(now)-c.lastSeen > c.endpoint.opts.DisconnectTimeout {
		c.closeLocked(linkClosed)
		c.mu.Unlock()
		c.endInput(ErrTimeout)
		c.forgetIfDone()
		return
	}
	late, overdue, dropped := c.watchLocked(now)
	c.parkIdleLocked()
	live, finished := c.app.live(), c.app.over()
	byOthers := c.socket != nil && c.socket.raw == nil // goroutines write to it
	c.asleep = c.isStillLocked()
	c.mu.Unlock()
	if dropped > 0 {
		c.endpoint.log.Debug("messages dropped: the client is slow and wants the latest", "connection", c.ID(), "count", dropped)
	}
	switch {
	case overdue, late && finished:
		c.abort(ErrTooSlow, true)
		return
	case late:
		c.TooSlow()
	}
	if live {
		c.sleep(c.handler.Tick(now))
	}
	if byOthers {
		runtime.Gosched() // the ping is written before the next one is begun: a thousand at once are megabytes of stacks
	}
}

// seenLocked begins the time within which the client must come back.
func (c *Conn) seenLocked() { c.lastSeen = c.endpoint.clock(time.Now()) }

// signal wakes the goroutine that waits on ch, now or the next time.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
