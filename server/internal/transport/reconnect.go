package transport

import (
	"net/http"
	"time"
)

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
// is the first that the client gets.
func (c *Conn) Resume() {
	c.mu.Lock()
	c.paused = false
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
	started := c.startedLocked()
	c.mu.Unlock()
	select {
	case <-started:
	case <-r.Context().Done():
	}
}

// replaceableLocked reports whether another socket may take the place of the
// present one.
func (c *Conn) replaceableLocked() bool {
	if !c.stateful || c.permanent || c.app != appRunning || c.transport != WebSockets || c.ended {
		return false
	}
	_, ok := c.handler.(Reconnector)
	return ok
}

// activateSocket is activate for WebSockets, where a new one may take the place
// of another.
func (c *Conn) activateSocket(r *http.Request, user any) (first bool, status int) {
	c.mu.Lock()
	replaces := c.phase != disposed && c.replaceableLocked()
	if replaces {
		c.phase = active
	}
	c.mu.Unlock()
	if replaces {
		return false, 0
	}
	return c.activate(r, user)
}

// deactivate undoes activateSocket after a failed upgrade.
func (c *Conn) deactivate(first bool, err error) {
	if first {
		c.giveUp(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == active && c.socket == nil {
		c.phase, c.lastSeen = inactive, time.Now()
	}
}

// giveUp aborts c because of what happened to the request that serves it. An App
// that has not been started never will be.
func (c *Conn) giveUp(err error) {
	c.mu.Lock()
	if c.app == appStarting {
		c.app = appFinished
		c.releaseLocked()
	}
	c.mu.Unlock()
	c.abort(err, false)
}

// attach makes s the socket that is served. The one before, if the server still
// believed in it, is ignored from now on. reads says that the caller is to
// read; else who has read so far goes on with s. ok is false if the connection
// has ended meanwhile.
func (c *Conn) attach(s *socket) (reads, ok bool) {
	c.mu.Lock()
	if c.phase == disposed {
		c.mu.Unlock()
		s.cut(true)
		return false, false
	}
	c.phase = active // the loss of the socket before may have been noticed since activateSocket
	old := c.socket
	if s.again = c.app == appRunning; s.again {
		c.paused = true
		c.dropQueueLocked()
	}
	c.socket = s
	reads = !c.reading
	c.reading = true
	c.mu.Unlock()
	if old != nil {
		old.cut(false)
	}
	return reads, true
}
