package transport

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is one logical connection. Its methods are safe for concurrent use.
type Conn struct {
	// Owned by whoever has set dirty: the way through the shard's list.
	next *Conn

	// mu guards what follows. It is never held while writing or calling the
	// App. The fields that every delivery touches come first.
	mu        sync.Mutex
	queue     []Frame // queue[head:] waits to be written
	head      int
	taken     int           // queue[head:head+taken] is being written
	queued    int           // bytes of frames not yet written
	inFlight  int           // of them, those of the frames that are being written
	behindAt  int           // queued: more is the business of the Limit and of DropOldest
	gone      int64         // bytes ever written or dropped
	dirty     bool          // on the shard's list already
	corked    bool          // somebody will uncork
	paused    bool          // between the loss of a socket and Resume: frames are dropped
	slow      bool          // found too slow: only the farewell is sent
	stalled   bool          // nothing was written for a whole tick, though something is queued
	pongs     uint8         // in the queue
	phase     phase         // of the transport
	app       appState      // of the App
	ended     bool          // no more input: Ended was called, or need not be
	transport Transport     // 0 until the first connect request was accepted
	socket    *socket       // WebSockets: the one that is served
	wake      chan struct{} // SSE and long polling: tells the request that serves
	poll      *poll         // long polling: the one that runs
	newest    *poll         // the last one that waits for its end
	cause     error         // why the input ended
	failed    bool          // the App ended by FinishError
	aborted   bool          // the transport ended by Abort
	deleted   bool          // the transport ended by DELETE
	reading   bool          // some goroutine has the reading of the sockets
	permanent bool          // stateful reconnect was switched off for this connection
	lastSeen  time.Time     // when the last request ended
	room      chan struct{} // not nil: a sender waits
	done      chan struct{} // not nil: somebody asked for Done
	started   chan struct{} // not nil: a POST or another socket waits for the App
	losing    chan struct{} // closed when App.Lost has returned the last time
	posting   chan struct{} // the POST that runs holds its one token
	posts     int           // POSTs that run or wait

	seen       int64     // gone at the last tick
	sent       int64     // gone and queued at the last tick
	mark       int64     // gone when everything is written that was queued at markAt
	markAt     time.Time // zero: nothing was queued at the last tick; of a slow one, when it was found
	appBehind  time.Time // see Behind
	held       int       // frames of the queue that the Limit counts
	dropBeyond int       // see DropOldest; 0: nothing is dropped
	dropAgain  int       // queued: less is not worth another look for what can be dropped
	dropped    int       // frames since the last tick

	request   keptRequest // the first connect request
	user      any         // as the App knows it
	latest    any         // as the newest request that was let through says
	refreshes uint32      // how often user was replaced

	deaf atomic.Bool // nothing is to be given to the App any more

	// Guarded by Endpoint.mu.
	served bool // counted as connected

	// Set before the connection is known to anybody, then read only.
	endpoint *Endpoint
	shard    *shard
	id       string
	token    string
	stateful bool
	handler  App // set by start, before app is appRunning
}

// The phases of the transport side.
type phase uint8

const (
	inactive phase = iota // negotiated, between polls, or a lost socket may come back
	active                // a request or a socket serves the connection
	disposed              // the transport has ended for good
)

// The states of the App side.
type appState uint8

const (
	appNone appState = iota
	appStarting
	appRunning
	appFinished
)

// ID returns the public connection id.
func (c *Conn) ID() string { return c.id }

// Token returns what clients put into id=. It is a secret.
func (c *Conn) Token() string { return c.token }

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
	return c.latest
}

// Stateful reports whether stateful reconnect was negotiated.
func (c *Conn) Stateful() bool { return c.stateful }

// Done is closed when the input has ended, whoever ended it; Finish counts.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.ended {
			close(c.done)
		}
	}
	return c.done
}

// mayConnect says how a connect request for t must be refused, or fixes the
// transport. Source: docs/reference/transports.md, sections 1 and 1.1.
func (c *Conn) mayConnect(t Transport) (status int, body string) {
	if c.endpoint.opts.Transports&t == 0 {
		return http.StatusNotFound, t.String() + " transport not supported by this end point type"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != 0 && c.transport != t {
		return http.StatusBadRequest, "Cannot change transports mid-connection"
	}
	if t == LongPolling {
		c.transport = t
		return 0, ""
	}
	if c.phase == active && !c.replaceableLocked() {
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
	switch c.phase {
	case active:
		return false, http.StatusConflict
	case disposed:
		return false, http.StatusNotFound
	}
	c.phase = active
	if c.app != appNone {
		return false, 0
	}
	c.app = appStarting
	c.request.keep(r)
	c.user, c.latest = user, user
	if c.transport != WebSockets {
		c.wake = make(chan struct{}, 1)
	}
	return true, 0
}

// start makes the App, starts it and gives it what was posted before.
func (c *Conn) start() {
	defer c.survive()
	handler := c.endpoint.newApp(c)
	c.handler = handler
	handler.Start()
	c.mu.Lock()
	if c.app == appStarting {
		c.app = appRunning
	}
	c.releaseLocked()
	tell := c.ended && c.app == appRunning
	c.mu.Unlock()
	if tell {
		handler.Ended(c.cause)
	}
}

// endInput tells the App that no more bytes will come. Only the first call
// counts, and none after Finish.
func (c *Conn) endInput(cause error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.cause = cause
	c.endInputLocked()
	tell := c.app == appRunning // else start tells
	c.mu.Unlock()
	if tell {
		c.tell(func() { c.handler.Ended(cause) })
	}
}

func (c *Conn) endInputLocked() {
	c.ended = true
	c.deaf.Store(true)
	if c.done != nil {
		close(c.done)
	}
	if c.app == appNone {
		c.releaseLocked() // nobody will start the App
	}
}

// startedLocked is closed when the App has been started, or never will be.
func (c *Conn) startedLocked() <-chan struct{} {
	if c.started == nil {
		c.started = make(chan struct{})
	}
	return c.started
}

// releaseLocked lets those go on who wait for the App.
func (c *Conn) releaseLocked() {
	if c.started != nil {
		close(c.started)
		c.started = nil
	}
}

// disposeLocked ends the transport side for good: nothing queued is sent any
// more, nobody waits for room.
func (c *Conn) disposeLocked() {
	c.phase = disposed
	c.corked = false
	c.dropQueueLocked()
	if c.wake != nil {
		signal(c.wake)
	}
}

// forgetIfDone takes c out of the table if both sides have ended.
func (c *Conn) forgetIfDone() {
	c.mu.Lock()
	done := c.phase == disposed && c.socket == nil && (c.app == appNone || c.app == appFinished)
	c.mu.Unlock()
	if done {
		c.endpoint.remove(c)
	}
}

// Finish is the App's end: what is queued is still written, then the transport
// ends in its normal way, and the connection is forgotten. Sends after it return
// ErrClosed. Only the first call of Finish and FinishError counts; App.Ended is
// not called after it.
func (c *Conn) Finish() { c.finish(false) }

// FinishError is Finish for an App that failed: close frame 1011, 500.
func (c *Conn) FinishError() { c.finish(true) }

func (c *Conn) finish(failed bool) {
	hurry := c.endpoint.hurry.Load()
	c.mu.Lock()
	if c.app == appFinished {
		c.mu.Unlock()
		return
	}
	c.app = appFinished
	c.failed = failed
	c.corked = false
	if !c.ended {
		c.endInputLocked()
	}
	c.makeRoomLocked()
	if c.phase == inactive && (c.transport == WebSockets || hurry) {
		c.disposeLocked() // nobody comes to fetch what is queued
	}
	s := c.socket
	if c.phase == disposed || s == nil {
		if c.wake != nil {
			signal(c.wake)
		}
		c.mu.Unlock()
		c.forgetIfDone()
		return
	}
	s.closeCode = closeNormal
	if failed {
		s.closeCode = closeInternal
	}
	c.writeNow(s)
}

// Abort ends the transport at once, without a farewell. App.Ended follows,
// unless it has been called.
func (c *Conn) Abort(cause error) { c.abort(cause, true) }

func (c *Conn) abort(cause error, reset bool) {
	c.mu.Lock()
	s := c.socket
	if c.phase != disposed {
		c.aborted = true
		c.disposeLocked()
	}
	c.socket = nil
	c.mu.Unlock()
	if s != nil {
		s.cut(reset)
	}
	c.endInput(cause)
	c.forgetIfDone()
}

// shutdown asks the App to end. Where there is none, nothing is left to wait for.
func (c *Conn) shutdown() {
	c.mu.Lock()
	state := c.app
	c.mu.Unlock()
	switch state {
	case appRunning:
		c.tell(c.handler.Shutdown)
	case appFinished: // it is on its way
	default:
		c.Abort(ErrShutdown)
	}
}

// abandon ends a connection that is only kept for a client that may fetch the
// rest.
func (c *Conn) abandon() {
	c.mu.Lock()
	if c.app == appFinished && c.phase == inactive {
		c.disposeLocked()
	}
	c.mu.Unlock()
	c.forgetIfDone()
}

// tick is called by the sweeper.
func (c *Conn) tick(now time.Time) {
	defer c.survive()
	c.mu.Lock()
	if c.phase == inactive && now.Sub(c.lastSeen) > c.endpoint.opts.DisconnectTimeout {
		c.disposeLocked()
		c.mu.Unlock()
		c.endInput(ErrTimeout)
		c.forgetIfDone()
		return
	}
	c.shrinkLocked()
	late, overdue := c.lateLocked(now), c.overdueLocked(now)
	dropped := c.dropped
	c.dropped = 0
	running, finished := c.app == appRunning, c.app == appFinished
	c.mu.Unlock()
	if dropped > 0 {
		c.endpoint.log.Debug("messages dropped: the client is slow and wants the latest", "connection", c.id, "count", dropped)
	}
	switch {
	case overdue, late && finished:
		c.abort(ErrTooSlow, true)
		return
	case late:
		c.TooSlow()
	}
	if running {
		c.handler.Tick(now)
	}
}

// signal wakes whoever waits on ch, now or the next time.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
