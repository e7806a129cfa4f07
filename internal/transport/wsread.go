package transport

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/hubwire/hubwire/internal/ws"
)

// Sizes of read buffers.
const (
	rawBuffer      = 32 << 10 // borrowed only while there are bytes: as many as a message may have, as a rule
	blockingBuffer = 4 << 10  // held while waiting
)

// A readBuffer holds bytes that were read.
type readBuffer struct {
	bytes []byte
	left  []byte // of bytes: what is not used up
	pool  *sync.Pool
}

var rawPool, blockingPool sync.Pool

func takeBuffer(pool *sync.Pool, size int) *readBuffer {
	if b, ok := pool.Get().(*readBuffer); ok {
		return b
	}
	return &readBuffer{bytes: make([]byte, size), pool: pool}
}

// A reader is the state of reading a WebSocket. It is complete whenever the App
// is called, so that another goroutine can go on.
type reader struct {
	buf   *readBuffer // borrowed while there are bytes in it
	part  *part       // not nil: something has not arrived whole
	left  int64       // of the payload of the frame; of an event stream: the bytes that its client has said
	mask  [4]byte     // of the frame
	runes runeCheck

	ended  bool  // nothing more is to be read
	inside bool  // a frame whose payload has not been used up
	maskAt uint8 // where the next byte is in the mask
	op     ws.OpCode
	fin    bool
	state  ws.State // ServerSide, and Fragmented between the frames of a message
	text   bool     // the message is text
}

// A part is the beginning of a frame's header, or of a control frame's payload.
type part struct {
	head    [14]byte
	headLen uint8
	control []byte
}

// borrow takes a buffer for the next read.
func (s *socket) borrow() {
	if s.buf != nil {
		return
	}
	if s.raw != nil {
		s.buf = takeBuffer(&rawPool, rawBuffer)
	} else {
		s.buf = takeBuffer(&blockingPool, blockingBuffer)
	}
}

// release gives the buffer back.
func (s *socket) release() {
	b := s.buf
	s.buf = nil
	if b != nil {
		b.left = nil
		b.pool.Put(b)
	}
}

// read reads the sockets of c, one after the other, until there is none or
// another goroutine goes on. The caller has set c.reading, or was given it by a
// goroutine that must not read any more. lent is for readAll.
func (c *Conn) read(lent bool) {
	for {
		c.mu.Lock()
		s := c.socket
		if c.endReadingLocked() {
			c.mu.Unlock()
			return
		}
		again := s.again
		s.again = false
		var lostDone chan struct{}
		if c.rare != nil {
			lostDone = c.rare.lostDone
		}
		c.mu.Unlock()
		if again {
			if lostDone != nil {
				<-lostDone // a writer may have noticed the loss: Lost is called before Reconnected
			}
			c.handler.(Reconnector).Reconnected()
		}
		if !s.readAll(lent) {
			return
		}
	}
}

// endReadingLocked ends the reading if there is no socket to be read.
func (c *Conn) endReadingLocked() bool {
	if s := c.socket; s == nil || s.ended || s.dead.Load() {
		c.reading = false
	}
	return !c.reading
}

func (c *Conn) hasNoSocket() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endReadingLocked()
}

// ReadOn takes over reading from a goroutine that App.Receive has detached. It
// returns when reading has ended, or was taken over in turn. On transports
// without a reader (SSE, long polling) it returns at once.
func (c *Conn) ReadOn() {
	defer c.survive()
	c.mu.Lock()
	s, reading, virtual := c.socket, c.reading, c.virtual()
	c.mu.Unlock()
	if !reading {
		return
	}
	if virtual != nil {
		c.readVirtual()
		return
	}
	if s != nil {
		s.readAlone()
	}
	c.read(false)
}

// What became of the bytes that were read.
type progress uint8

const (
	needMore  progress = iota // they are used up
	takenOver                 // another goroutine goes on with them
	over                      // the socket has ended
)

// readAll reads until the socket ends; it reports false if another goroutine
// goes on. A goroutine that is lent is net/http's: it has the stack to take the client in
// (BenchmarkConnect), and a buffer and a request that are not to be kept. So it reads what
// comes first, and another one waits for more.
func (s *socket) readAll(lent bool) bool {
	c := s.conn
	for {
		if s.events && s.buf != nil && s.saidTooMuch() {
			s.ended = true
			c.lost(s, errSaidTooMuch)
			return true
		}
		if s.buf != nil && s.unparsed() {
			c.Cork()
			switch s.parse() {
			case takenOver:
				return false
			case over:
				s.release()
				s.ended = true
				c.Uncork()
				return true
			}
		}
		if s.buf != nil {
			s.release()
			c.Uncork()
		}
		if s.dead.Load() {
			return true
		}
		if lent && s.reads.Load() > 0 && s.mayWait() {
			go c.readAgain()
			return false
		}
		err := errNothing // what comes from now on wakes it again
		if !s.emptied || s.mayWait() {
			err = s.fill()
		}
		switch {
		case err == nil:
			s.filled()
			continue
		case err == errNothing, s.wasAsked(err):
			if s.buf != nil {
				s.release() // a read of TLS that has found nothing
			}
			reader := s.inline.Swap(nil) // once it is parked, s belongs to whoever takes it
			if s.park() {
				return false
			}
			reader.handOver()
			continue
		default:
			s.release()
			s.ended = true
			c.lost(s, err)
			return true
		}
	}
}

// fill waits for bytes.
func (s *socket) fill() error {
	if s.raw != nil {
		return s.readSome()
	}
	s.borrow()
	n, err := s.readTLS()
	s.buf.left = s.buf.bytes[:n]
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// readTLS reads what is not raw. TLS over a socket that may be parked is first read
// until nothing whole is left in its buffer, by a deadline that has passed: what is
// still in the system wakes it again.
func (s *socket) readTLS() (int, error) {
	if s.woken || s.mayWait() {
		s.woken = false
		return s.net.Read(s.buf.bytes)
	}
	_ = s.net.SetReadDeadline(longAgo) // fails only if it is closed already
	n, err := s.net.Read(s.buf.bytes)
	s.conn.mu.Lock()
	s.waitAgainLocked()
	s.conn.mu.Unlock()
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNothing
	}
	return n, err
}
