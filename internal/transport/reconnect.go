package transport

import "net/http"

// A Reconnector is an App whose connection may survive the loss of its
// WebSocket, if stateful reconnect was negotiated.
type Reconnector interface {
	App

	// Lost is called when a socket was lost. What was queued is gone, and what
	// is sent is dropped until Conn.Resume: the App keeps it. It must not
	// block. Either Reconnected or Ended follows, when it has returned. It is
	// not called when a new socket takes the place of one that looked alive.
	Lost(cause error)

	// Reconnected is called when another socket serves the connection, before
	// anything is received from it, and never while Receive runs. What was
	// received of a message that was cut is to be forgotten. The App calls
	// Conn.Resume and sends again what the client has not confirmed. It must
	// not block.
	Reconnected()
}

// Resume lets frames through to the new socket. The first frame sent after it
// is the first that the client gets. Once that socket is lost as well, Resume
// does nothing: it is called again for the next one.
func (c *Conn) Resume() {
	c.mu.Lock()
	if c.link == linkResuming && c.socket != nil {
		c.stepLocked(linkServing, c.app)
	}
	c.mu.Unlock()
}

// DisableReconnect lets the connection end with its socket, as without
// stateful reconnect.
func (c *Conn) DisableReconnect() {
	c.mu.Lock()
	c.permanent = true
	c.mu.Unlock()
}

// awaitStart waits while the App of a stateful connection is being made: a socket
// that comes meanwhile takes the place of the first one when that is done. It
// gives up with the client.
func (c *Conn) awaitStart(r *http.Request) {
	if !c.stateful {
		return
	}
	c.mu.Lock()
	if c.app != appStarting {
		c.mu.Unlock()
		return
	}
	started := c.awaitStartLocked()
	c.mu.Unlock()
	select {
	case <-started:
	case <-r.Context().Done():
	}
}

// replaceableLocked reports whether another socket may take the place of the
// present one.
func (c *Conn) replaceableLocked() bool {
	if !c.stateful || c.permanent || c.app != appRunning || c.transport != WebSockets || c.end.Load() != nil {
		return false
	}
	_, ok := c.handler.(Reconnector)
	return ok
}

// activateSocket is activate for WebSockets, where a new one may take the place
// of another.
func (c *Conn) activateSocket(r *http.Request, user any) (first bool, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.replaceableLocked() || c.link.over():
		return c.activateLocked(r, user)
	case c.link == linkLost: // else the present socket serves until attach
		c.stepLocked(linkResuming, c.app)
	}
	return false, 0
}

// deactivate undoes activateSocket after a failed upgrade.
func (c *Conn) deactivate(first bool, err error) {
	if first {
		c.giveUp(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == linkResuming && c.socket == nil {
		c.stepLocked(linkLost, c.app)
		c.seenLocked()
	}
}

// attach makes s the socket that is served. The one before, if the server still
// took it for alive, is ignored from now on. reads says that the caller is to
// read; else the goroutine that has read so far goes on with s. ok is false if
// one of the sides has ended meanwhile.
func (c *Conn) attach(s *socket) (reads, ok bool) {
	c.mu.Lock()
	if c.link.over() || c.app.over() {
		c.mu.Unlock()
		s.cut(true)
		return false, false
	}
	old := c.socket
	if s.again = c.app.live(); s.again {
		c.stepLocked(linkResuming, c.app)
		c.out.drop()
		c.wakeSendersLocked()
	}
	c.socket = s
	if s.events {
		c.http.wake = nil
	}
	reads = !c.reading
	c.reading = true
	c.mu.Unlock()
	if old != nil {
		old.readAlone() // the goroutine that reads it goes on with s, and may wait
		old.cut(false)
	}
	return reads, true
}
