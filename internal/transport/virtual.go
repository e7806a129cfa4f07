package transport

import (
	"errors"
	"net/http"
	"time"
)

// A Link faces the client of a virtual connection, in place of a socket or a
// request: another server holds the client's connection, and the two servers
// pass its bytes to each other.
type Link interface {
	// Write takes f, one hub message, on its way to the client. False means that
	// it can take none now: f stays in the outbox, and the Link calls Conn.Ready
	// once it can. It must neither wait nor call the Conn, whose lock is held.
	Write(f Frame) (taken bool)

	// Closed is called once the connection has ended on this side, after Write
	// was given all that there was, unless it was cut. It must not block.
	Closed(cut bool)
}

// An Elsewhere answers for clients that another server holds. It is safe for
// concurrent use.
type Elsewhere interface {
	// Negotiate answers negotiate.
	Negotiate(w http.ResponseWriter, r *http.Request, user any)

	// Refresh answers fresh credentials, which are those of user, of the connection
	// that the other server has by a token.
	Refresh(w http.ResponseWriter, r *http.Request, user any, connectionToken string)
}

// A virtual is what a connection has whose client another server holds. It is
// guarded by Conn.mu.
type virtual struct {
	link Link
	in   []byte // received, and not yet given to the App
	left bool   // the client has left, after what is in
	told bool   // Link.Closed was called, or is about to be
}

// A Virtual says how a virtual connection begins.
type Virtual struct {
	ID      string        // the public connection id: the other server has given it
	Request *http.Request // what is known of the client's request
	User    any           // see Conn.User
	Link    Link
}

// lastInput is how long what a client sent before it left may take to be
// received by an App that makes no progress.
const lastInput = 5 * time.Second

// Errors of Endpoint.Open and Conn.Received.
var (
	ErrFull    = errors.New("transport: as many connections as the endpoint takes")
	ErrTooMuch = errors.New("transport: more bytes wait for the connection than may")
)

// Open begins a connection whose client another server holds, and starts its App.
// Its id is the caller's choice. The endpoint counts it as one over WebSockets.
// Errors: ErrFull, ErrShutdown.
func (e *Endpoint) Open(v Virtual) (*Conn, error) {
	c := e.makeConn(0, false, v.User)
	c.setNames(v.ID, newID()) // no client knows the token
	c.http = &requests{virtual: &virtual{link: v.Link}}
	c.permanent = true
	c.transport = WebSockets
	if err := e.addServed(c); err != nil {
		if errors.Is(err, errRefuses) {
			return nil, ErrShutdown
		}
		return nil, ErrFull
	}
	if first, status := c.activate(v.Request, v.User); !first || status != 0 { // nobody else knows c but Shutdown
		c.Abort(ErrShutdown)
		return nil, ErrShutdown
	}
	c.start()
	c.Opened()
	return c, nil
}

// Received gives the App p, which is copied, on a goroutine that exists while
// there are bytes to give. It never waits. Where more than most bytes would wait
// for the App, it takes none and returns ErrTooMuch: the connection cannot go on
// then.
func (c *Conn) Received(p []byte, most int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.virtual()
	switch {
	case v.left || c.end.Load() != nil:
		return nil
	case len(v.in)+len(p) > most:
		return ErrTooMuch
	}
	v.in = append(v.in, p...)
	if !c.reading {
		c.reading = true
		go c.feed()
	}
	return nil
}

// ReplaceUser makes user, who has authenticated where the client is connected, the
// connection's user, and tells an App that is a Refresher. It does nothing once the
// connection has ended.
func (c *Conn) ReplaceUser(user any) {
	c.mu.Lock()
	if c.link.over() || c.app.over() {
		c.mu.Unlock()
		return
	}
	c.user = user
	if c.rare != nil {
		c.rare.latest = nil
	}
	c.wakeLocked() // its end may be another one
	var app Refresher
	if c.app.live() {
		app, _ = c.handler.(Refresher)
	}
	c.mu.Unlock()
	if app != nil {
		app.Refreshed(c.Request())
	}
}

// Left says that the client has left; nothing is received any more. The App gets
// what was received before, unless it takes longer than some seconds for it.
func (c *Conn) Left() {
	c.mu.Lock()
	v := c.virtual()
	if v.left {
		c.mu.Unlock()
		return
	}
	v.left = true
	reading := c.reading
	c.mu.Unlock()
	if !reading {
		c.endInput(nil)
		return
	}
	time.AfterFunc(lastInput, func() { c.endInput(nil) }) // nothing happens if it has ended
}

// Ready says that the Link takes frames again.
func (c *Conn) Ready() {
	c.mu.Lock()
	for !c.out.empty() && !c.link.over() {
		f := c.out.waiting()[0]
		if !c.virtual().link.Write(f) {
			break
		}
		c.out.take(1, len(f.buf))
		c.writtenLocked(len(f.buf))
	}
	c.mu.Unlock()
	c.endVirtual()
}

// putVirtualLocked gives f to the Link, or queues it behind what waits for that.
func (c *Conn) putVirtualLocked(f Frame) {
	if c.out.empty() && c.virtual().link.Write(f) {
		return
	}
	if c.out.add(f) {
		c.behindLocked()
	}
}

// endVirtual ends the link of an App that has finished, once all is written, and
// tells the Link of an end.
func (c *Conn) endVirtual() {
	c.mu.Lock()
	if c.app.over() && c.out.empty() {
		c.closeLocked(linkClosed)
	}
	v := c.virtual()
	tell := c.link.over() && !v.told
	cut := c.link == linkCut
	v.told = v.told || tell
	if c.link.over() {
		v.in = nil
	}
	c.mu.Unlock()
	if tell {
		c.tell(func() { v.link.Closed(cut) })
	}
	c.forgetIfDone()
}

// feed is the goroutine that reads for a virtual connection.
func (c *Conn) feed() {
	defer c.survive()
	c.readVirtual()
}

// readVirtual gives the App what was received, until there is no more or another
// goroutine goes on.
func (c *Conn) readVirtual() {
	for {
		c.mu.Lock()
		v := c.virtual()
		p := v.in
		v.in = nil
		if len(p) == 0 || c.end.Load() != nil {
			c.reading = false
			left := v.left
			c.mu.Unlock()
			if left {
				c.endInput(nil)
			}
			return
		}
		c.mu.Unlock()
		if !c.handler.Receive(p, true) {
			return
		}
	}
}
