package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
)

// die lets nobody read s any more. A goroutine that watches a set may be in the App with what
// it has read: nobody else can relieve it once s is not the socket of its connection.
func (s *socket) die() {
	s.dead.Store(true)
	s.readAlone()
}

// cut ends TCP at once. With reset, what the system still has to send is lost.
func (s *socket) cut(reset bool) {
	s.die()
	conn := s.net
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // Close of a TLS connection writes
	}
	if t, ok := conn.(interface{ SetLinger(sec int) error }); ok && reset {
		_ = t.SetLinger(0) // else the client sees FIN
	}
	_ = conn.Close()
	s.keep()
}

// hangUp ends the socket from the reading side. What is queued is dropped; the
// close frame goes out as soon as a write that runs is over, and TCP ends.
func (c *Conn) hangUp(s *socket, code uint16, cause error) {
	c.mu.Lock()
	if c.socket != s || c.link.over() {
		c.mu.Unlock()
		s.cut(false)
		return
	}
	c.closeLocked(linkClosed)
	tell := c.endForLocked(cause)
	s.closeCode, s.hangUp = code, true
	if s.writing || s.raw == nil {
		s.boundLocked() // the write that runs; what the system does not take of the close frame is bounded by write
	}
	s.inline.Store(nil) // the goroutine that reads is here: it needs nobody in its place, and goes on with its set
	s.writeNow()
	c.tellEnded(tell, cause)
	c.forgetIfDone()
}

// boundLocked bounds the writing to a client that has gone.
func (s *socket) boundLocked() {
	opts := &s.conn.endpoint.opts
	_ = s.net.SetWriteDeadline(deadline(min(opts.CloseTimeout, opts.TransportSendTimeout))) // fails only if it is closed already
}

// lost ends the socket because it does not work any more. The connection ends
// with it, unless the client may come back with another one. The reader and the
// goroutine that writes both call it; only the first one counts.
func (c *Conn) lost(s *socket, err error) {
	c.mu.Lock()
	if c.socket != s {
		c.mu.Unlock()
		s.cut(false)
		return
	}
	c.socket = nil
	if err == io.EOF {
		err = ErrLost
	} else {
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	if !c.link.over() && !s.closeSent && c.replaceableLocked() && !c.endpoint.closing.Load() {
		c.awaitSocket(s, err)
		return
	}
	late := s.closeSent && errors.Is(err, os.ErrDeadlineExceeded)
	c.closeLocked(linkClosed)
	tell := c.endForLocked(err)
	c.mu.Unlock()
	s.cut(late)
	c.tellEnded(tell, err)
	c.forgetIfDone()
}

// awaitSocket begins the wait for another socket and tells the App, after it has
// returned from the call of Lost before. c.mu is held, and unlocked.
func (c *Conn) awaitSocket(s *socket, err error) {
	c.stepLocked(linkLost, c.app)
	c.seenLocked()
	c.out.drop()
	c.wakeSendersLocked()
	w := c.rarelyLocked()
	before, done := w.lostDone, make(chan struct{})
	w.lostDone = done
	c.mu.Unlock()
	s.cut(false)
	if before != nil {
		<-before
	}
	defer close(done) // though Lost, or a log of the user's, has called runtime.Goexit
	c.tell(func() { c.handler.(Reconnector).Lost(err) })
}

// sendTimedOut cuts a client that does not take what is written.
func (c *Conn) sendTimedOut(s *socket) {
	c.mu.Lock()
	current := c.socket == s
	c.mu.Unlock()
	if !current {
		return
	}
	c.logSendTimeout()
	c.abort(ErrSendTimeout, false)
}

func (c *Conn) logSendTimeout() {
	c.endpoint.log.Info("connection closed: a write took longer than the send timeout",
		"connection", c.ID(), "timeout", c.endpoint.opts.TransportSendTimeout)
}
