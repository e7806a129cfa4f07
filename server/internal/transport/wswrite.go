package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// maximumPongs bounds the pongs that wait for a client: one that pings without
// reading gets no more than that many.
const maximumPongs = 16

// pong queues the answer to a ping.
func (c *Conn) pong(payload []byte) {
	c.mu.Lock()
	if c.app == appFinished || c.phase == disposed || c.pongs >= maximumPongs || c.slow {
		c.mu.Unlock()
		return
	}
	c.pongs++
	c.appendLocked(controlFrame(0x8a, payload))
	tell := c.markDirtyLocked()
	c.mu.Unlock()
	if tell {
		c.shard.push(c)
	}
}

// controlFrame builds a control frame; payload has at most 125 bytes.
func controlFrame(first byte, payload []byte) Frame {
	b := make([]byte, 2, 2+len(payload))
	b[0], b[1] = first, byte(len(payload))
	return Frame{buf: append(b, payload...), head: 2}
}

// nextLocked takes (see takeLocked) what to write next: several short frames joined, or a single
// one where it is, or at the end the close frame. Without joined it takes one
// frame at a time.
func (c *Conn) nextLocked(s *socket, joined *[]byte) []byte {
	waiting := c.queue[c.head:]
	if len(waiting) == 0 {
		if s.closeCode == 0 || s.closeSent {
			return nil
		}
		s.closeSent = true
		return []byte{0x88, 2, byte(s.closeCode >> 8), byte(s.closeCode)}
	}
	if first := waiting[0].buf; len(waiting) == 1 || len(first) >= joinLimit || joined == nil {
		c.taken, c.inFlight = 1, len(first)
		return first
	}
	b, n := (*joined)[:0], 0
	for _, f := range waiting {
		if len(f.buf) >= joinLimit || len(b)+len(f.buf) > joinRoom {
			break
		}
		b = append(b, f.buf...)
		n++
	}
	*joined = b
	c.taken, c.inFlight = n, len(b)
	return b
}

// writeNow writes what is queued from the calling goroutine, unless another one
// writes already and will find it. It unlocks c.mu.
func (c *Conn) writeNow(s *socket) {
	if s.writing {
		c.mu.Unlock()
		return
	}
	s.writing = true
	if len(c.queue)-c.head < 2 {
		c.writeAll(s, nil)
		return
	}
	joined := joinPool.Get().(*[]byte)
	c.writeAll(s, joined)
	joinPool.Put(joined)
}

// mostWrites is how many writes for one connection follow each other before
// others have their turn.
const mostWrites = 8

// writeAll writes until nothing is queued. What the system does not take at
// once is left to a goroutine that waits; what keeps coming, to the shard. The
// caller has set s.writing and holds c.mu, which is unlocked.
func (c *Conn) writeAll(s *socket, joined *[]byte) {
	if s.raw == nil {
		c.mu.Unlock()
		go c.writeWaiting(s, nil)
		return
	}
	for writes := 0; ; writes++ {
		if writes == mostWrites && c.head < len(c.queue) {
			s.writing = false
			tell := c.markDirtyLocked()
			c.mu.Unlock()
			if tell {
				c.shard.push(c)
			}
			return
		}
		out := c.nextLocked(s, joined)
		if out == nil {
			c.wroteAll(s)
			return
		}
		c.mu.Unlock()
		n, err := s.writeSome(out)
		if err != nil {
			c.lost(s, err)
			return
		}
		if n < len(out) {
			rest := out[n:]
			if joined != nil && len(*joined) > 0 && &out[0] == &(*joined)[0] {
				rest = slices.Clone(rest)
			}
			if c.wrote(s, n) {
				c.mu.Unlock()
				go c.writeWaiting(s, rest)
			}
			return
		}
		if !c.wrote(s, n) {
			return
		}
		if c.head == len(c.queue) && s.closeCode == 0 && !s.hangUp { // as a rule; else see nextLocked and wroteAll
			s.writing = false
			c.mu.Unlock()
			return
		}
	}
}

// wroteAll ends the writing when nothing is left. It unlocks c.mu.
func (c *Conn) wroteAll(s *socket) {
	if s.hangUp {
		c.socket = nil
		c.mu.Unlock()
		s.dead.Store(true)
		_ = s.net.Close() // nobody is left to tell
		c.forgetIfDone()
		return
	}
	s.writing = false
	arm := s.closeSent && !s.armed
	s.armed = s.closeSent
	c.mu.Unlock()
	if arm {
		_ = s.net.SetReadDeadline(deadline(c.endpoint.opts.CloseTimeout)) // fails only if it is closed already
	}
}

// wrote locks c.mu and accounts for n bytes that s has taken, unless another
// socket has taken the place of s.
func (c *Conn) wrote(s *socket, n int) bool {
	c.mu.Lock()
	if c.socket != s {
		c.mu.Unlock()
		return false
	}
	c.writtenLocked(n)
	return true
}

// writeWaiting writes out, then what is queued, waiting for the client for at
// most the send timeout each time that it takes nothing. The caller has given it
// s.writing.
func (c *Conn) writeWaiting(s *socket, out []byte) {
	defer c.survive()
	var joined *[]byte // borrowed once there are several frames
	n := 0
	for c.wrote(s, n) {
		if len(out) == 0 {
			if joined == nil && len(c.queue)-c.head > 1 {
				joined = joinPool.Get().(*[]byte)
			}
			out = c.nextLocked(s, joined)
		}
		bounded := s.hangUp // it has set the deadline
		if out == nil {
			if !bounded {
				_ = s.net.SetWriteDeadline(time.Time{}) // fails only if it is closed already
			}
			c.wroteAll(s)
			if joined != nil {
				joinPool.Put(joined)
			}
			return
		}
		c.mu.Unlock()
		var err error
		n, err = s.writePiece(out, bounded)
		switch {
		case n == 0 && errors.Is(err, os.ErrDeadlineExceeded):
			c.sendTimedOut(s)
			return
		case n == 0 && err != nil:
			c.lost(s, err)
			return
		}
		out = out[n:]
	}
}

// piece is how many bytes are given to a connection at once: while a long frame
// is written, each one proves that the client reads, and begins the send timeout
// anew. TLS cannot go on after a time-out, so it must be short there.
const piece = 16 << 10

// writePiece writes the first bytes of out within the send timeout. Who has
// taken some of them goes on, whatever the error is.
func (s *socket) writePiece(out []byte, bounded bool) (int, error) {
	size := piece
	if s.raw != nil {
		size = joinRoom
	}
	if !bounded {
		_ = s.net.SetWriteDeadline(s.conn.writeDeadline()) // fails only if it is closed already
	}
	return s.net.Write(out[:min(size, len(out))])
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
		"connection", c.id, "timeout", c.endpoint.opts.TransportSendTimeout)
}

// hangUp ends the socket from the reading side. What is queued is dropped; the
// close frame goes out as soon as a write that runs is over, and TCP ends.
func (c *Conn) hangUp(s *socket, code uint16, cause error) {
	c.mu.Lock()
	if c.socket != s || c.phase == disposed {
		c.mu.Unlock()
		s.cut(false)
		return
	}
	c.disposeLocked()
	s.closeCode, s.hangUp = code, true
	if s.writing {
		wait := min(c.endpoint.opts.CloseTimeout, c.endpoint.opts.TransportSendTimeout)
		_ = s.net.SetWriteDeadline(deadline(wait)) // fails only if it is closed already
	}
	c.writeNow(s)
	c.endInput(cause)
	c.forgetIfDone()
}

// lost ends the socket because it does not work any more. The connection ends
// with it, unless the client may come back with another one.
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
	if c.phase == active && !s.closeSent && c.replaceableLocked() && !c.endpoint.closing.Load() {
		c.phase, c.lastSeen = inactive, time.Now()
		c.dropQueueLocked()
		c.paused = true
		before, told := c.losing, make(chan struct{})
		c.losing = told
		c.mu.Unlock()
		s.cut(false)
		if before != nil {
			<-before
		}
		c.tell(func() { c.handler.(Reconnector).Lost(err) })
		close(told)
		return
	}
	late := s.closeSent && errors.Is(err, os.ErrDeadlineExceeded)
	c.disposeLocked()
	c.mu.Unlock()
	s.cut(late)
	c.endInput(err)
	c.forgetIfDone()
}
