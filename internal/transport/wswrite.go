package transport

import (
	"errors"
	"os"
	"slices"
	"time"
)

// Sizes of writing, in bytes.
const (
	joinLimit = 16 << 10 // longer frames are written from where they are
	joinMost  = 64 << 10 // that are joined for one write
)

// A writer is the state of writing a socket: beside it is the reader. One
// goroutine at a time writes, the one that has set writing; others only queue.
// It looks again before it clears writing, so nothing stays queued.
type writer struct {
	// Guarded by conn.mu.
	closeCode uint16 // not 0: the close frame, or the last chunk, is to be sent when the outbox is empty
	writing   bool
	closeSent bool
	hangUp    bool // end TCP once that is written
	armed     bool // the client has CloseTimeout for its close frame
}

// writeNow writes what is queued from the calling goroutine, unless another one
// writes already and will find it. c.mu is held, and unlocked.
func (s *socket) writeNow() {
	c := s.conn
	if s.writing {
		c.mu.Unlock()
		return
	}
	s.writing = true
	memory := scratches.Get().(*scratch)
	s.write(memory)
	scratches.Put(memory)
}

// mostWrites is how many writes for one connection follow each other before
// others have their turn.
const mostWrites = 8

// write writes until nothing is queued, without waiting for the client: several
// short frames are joined in memory. What the system does not take at once is left to
// a goroutine that may wait; what keeps coming, to the shard. The caller has set
// writing and holds c.mu, which is unlocked.
func (s *socket) write(memory *scratch) {
	c := s.conn
	if s.raw == nil {
		c.wakeLocked()
		c.mu.Unlock()
		go s.writeWaiting(nil) // such a net.Conn can only be written by a goroutine that waits
		return
	}
	for writes := 0; ; writes++ {
		if writes == mostWrites && !c.out.empty() {
			s.writing = false
			push := c.callWriterLocked()
			c.mu.Unlock()
			if push {
				c.shard.push(c)
			}
			return
		}
		out := s.nextLocked(memory)
		if out == nil {
			s.wroteAll()
			return
		}
		c.mu.Unlock()
		n, err := memory.raw.some(s.raw, out)
		if err != nil {
			c.lost(s, err)
			return
		}
		if n < len(out) {
			rest := out[n:]
			if len(memory.joined) > 0 && &out[0] == &memory.joined[0] {
				rest = slices.Clone(rest)
			}
			if s.account(n, false) {
				if s.hangUp {
					s.boundLocked()
				}
				c.wakeLocked()
				c.mu.Unlock()
				go s.writeWaiting(rest) // the client does not keep up: the new goroutine waits, this one goes on with other connections
			}
			return
		}
		if !s.account(n, true) {
			return
		}
		if c.out.empty() && s.closeCode == 0 && !s.hangUp { // as a rule; else see nextLocked and wroteAll
			s.writing = false
			if c.asleep {
				c.out.frames = nil // as the sweeper does, while it looks
			}
			c.mu.Unlock()
			return
		}
	}
}

// nextLocked takes from the outbox what to write next: several short frames
// joined in memory, or a single one where it is; at the end it is the close frame.
func (s *socket) nextLocked(memory *scratch) []byte {
	q := &s.conn.out
	waiting := q.waiting()
	if len(waiting) == 0 {
		if s.closeCode == 0 || s.closeSent {
			return nil
		}
		s.closeSent = true
		if s.events {
			return lastChunk
		}
		return []byte{0x88, 2, byte(s.closeCode >> 8), byte(s.closeCode)}
	}
	if s.events {
		return s.nextEventLocked(memory)
	}
	if first := waiting[0].buf; len(waiting) == 1 || len(first) >= joinLimit {
		q.take(1, len(first))
		return first
	}
	b, n := memory.joined[:0], 0
	for _, f := range waiting {
		if len(f.buf) >= joinLimit || len(b)+len(f.buf) > joinMost {
			break
		}
		b = append(b, f.buf...)
		n++
	}
	memory.joined = b
	q.take(n, len(b))
	return b
}

// account locks c.mu and accounts for n bytes that s has taken, the last of what was being
// written if it is whole: an event is longer or shorter than its frames. It
// reports false, with c.mu unlocked, if another socket has taken the place of s.
func (s *socket) account(n int, whole bool) bool {
	c := s.conn
	c.mu.Lock()
	if c.socket != s {
		c.mu.Unlock()
		return false
	}
	if s.events {
		most := max(0, c.out.inFlight-c.http.eventLeft) // 0: it was dropped
		n = min(n, most)
		if whole {
			n = most
		}
	} else if whole {
		n = c.out.inFlight
	}
	c.writtenLocked(n)
	return true
}

// wroteAll ends the writing when nothing is left. c.mu is held, and unlocked.
func (s *socket) wroteAll() {
	c := s.conn
	if s.hangUp || s.events && s.closeSent {
		c.closeLocked(linkClosed)
		c.socket = nil
		c.mu.Unlock()
		s.die()
		_ = s.net.Close() // the client has gone, or has nothing more to expect
		s.keep()
		c.forgetIfDone()
		return
	}
	s.writing = false
	arm := s.closeSent && !s.armed
	s.armed = s.closeSent
	c.mu.Unlock()
	if arm {
		_ = s.net.SetReadDeadline(deadline(c.endpoint.opts.CloseTimeout)) // fails only if it is closed already
		s.keep()
	}
}

// writeWaiting writes out, then what is queued, waiting for the client for at
// most the send timeout each time that it takes nothing. It is a goroutine of its
// own, which was given writing by the one that started it.
func (s *socket) writeWaiting(out []byte) {
	c := s.conn
	defer c.survive()
	var memory *scratch // borrowed when the client has taken out
	n, late := 0, 0     // late: parts of the send timeout, in a row, in which the client took nothing
	for s.account(n, len(out) == 0) {
		if len(out) == 0 {
			if memory == nil {
				memory = scratches.Get().(*scratch)
			}
			out = s.nextLocked(memory)
		}
		bounded := s.hangUp // Conn.hangUp has set the deadline
		if out == nil {
			if !bounded {
				_ = s.net.SetWriteDeadline(time.Time{}) // fails only if it is closed already
			}
			s.wroteAll()
			scratches.Put(memory)
			return
		}
		size, wait := s.piece()
		if !bounded {
			_ = s.net.SetWriteDeadline(deadline(wait)) // with c.mu, so that it comes before that of hangUp; fails only if it is closed already
		}
		c.mu.Unlock()
		var err error
		n, err = s.net.Write(out[:min(size, len(out))])
		switch {
		case n > 0: // whatever the error is: the client reads
			out, late = out[n:], 0
		case errors.Is(err, os.ErrDeadlineExceeded):
			if late++; bounded || s.raw == nil || late == looks {
				c.sendTimedOut(s)
				return
			}
		case err != nil:
			c.lost(s, err)
			return
		}
	}
}

// piece is how many bytes are given to a connection at once: while a long frame
// is written, each one proves that the client reads, and begins the send timeout
// anew. TLS cannot go on after a time-out, so it must be short there.
const piece = 16 << 10

// looks is how often within the send timeout a write returns to say whether
// the client has taken something: when it did so within a write cannot be seen,
// and to ask for the time after each write would cost a fifth of a delivery.
const looks = 4

// piece returns how many bytes are written at once, within which time: the send timeout,
// or a part of it where writing can go on after a time-out.
func (s *socket) piece() (size int, wait time.Duration) {
	wait = s.conn.endpoint.opts.TransportSendTimeout
	if s.raw == nil {
		return piece, wait
	}
	if wait != forever {
		wait /= looks
	}
	return joinMost, wait
}

// writeDeadline is the deadline of a write that begins now; zero for none.
func (c *Conn) writeDeadline() time.Time {
	return deadline(c.endpoint.opts.TransportSendTimeout)
}

const forever = time.Duration(1<<63 - 1)

func deadline(d time.Duration) time.Time {
	if d == forever {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// maximumPongs bounds the pongs that wait for a client: one that pings without
// reading gets no more than that many.
const maximumPongs = 16

// pongByte is the first byte of a pong, and of no other frame.
const pongByte = 0x8a

// pong queues the answer to a ping.
func (c *Conn) pong(payload []byte) {
	c.mu.Lock()
	if c.refusalLocked() != nil || c.out.pongs >= maximumPongs {
		c.mu.Unlock()
		return
	}
	c.out.pongs++
	c.out.add(controlFrame(pongByte, payload))
	push := c.callWriterLocked()
	c.mu.Unlock()
	if push {
		c.shard.push(c)
	}
}

// controlFrame builds a control frame; payload has at most 125 bytes.
func controlFrame(first byte, payload []byte) Frame {
	b := make([]byte, 2, 2+len(payload))
	b[0], b[1] = first, byte(len(payload))
	return Frame{buf: append(b, payload...), head: 2}
}
