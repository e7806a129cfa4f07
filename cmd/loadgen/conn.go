//go:build linux

package main

import (
	"sync"
	"sync/atomic"
	"syscall"
)

const ringSize = 4096 // most invocations in flight on one connection

type slot struct {
	id uint32
	ts int64
}

// conn is one client. Everything but the fields under mu belongs to its worker.
type conn struct {
	w    *worker
	idx  int // in w.conns
	g    atomic.Pointer[group]
	mask uint32

	stream *stream // stream mode only

	posts *posts // not nil: it has an event stream, and says all by POSTs
	lines []byte // of an event stream: the beginning of a line

	pend []byte // bytes of an incomplete frame, or chunk
	rec  []byte // bytes of an incomplete hub message

	lastSeq  uint32
	seenSeq  bool
	lastPing int64
	verified bool
	due      int // completions answered by new invocations after this read
	got      int // deliveries in this read

	mu     sync.Mutex
	fd     int
	closed bool
	out    []byte // bytes the socket would not take yet
	ring   []slot
	nextID uint32
	dueBuf []byte
}

// write sends b now, or keeps what the socket does not take.
func (c *conn) write(b []byte) {
	c.mu.Lock()
	c.writeLocked(b)
	c.mu.Unlock()
}

func (c *conn) writeLocked(b []byte) {
	if c.closed {
		return
	}
	if c.posts != nil {
		c.posts.add(unframed(b))
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n := rawWrite(c.fd, b)
	if n < 0 {
		return // the read side sees the end of the connection
	}
	if n < len(b) {
		c.out = append(c.out, b[n:]...)
		c.w.interest(c, true)
	}
}

func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.out) == 0 {
		return
	}
	n := rawWrite(c.fd, c.out)
	if n < 0 {
		return
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	if len(c.out) == 0 {
		c.w.interest(c, false)
	}
}

// invoke sends n invocations of t with ids, in one write.
func (c *conn) invoke(t *template, n int, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ring == nil {
		c.ring = make([]slot, 64)
	}
	b := c.dueBuf[:0]
	for range n {
		c.nextID++
		id := c.nextID % 100000000
		c.remember(slot{id, now})
		b = t.appendTo(b, c.mask, id, now, id)
	}
	c.dueBuf = b
	c.writeLocked(b)
}

// remember keeps an invocation until it is answered. The ring grows while its
// place is taken.
func (c *conn) remember(s slot) {
	for {
		place := &c.ring[s.id%uint32(len(c.ring))]
		if place.id == 0 || len(c.ring) >= ringSize {
			*place = s
			return
		}
		old := c.ring
		c.ring = make([]slot, 2*len(old))
		for _, o := range old {
			if o.id != 0 {
				c.ring[o.id%uint32(len(c.ring))] = o
			}
		}
	}
}

// settle finds the invocation a completion answers.
func (c *conn) settle(id uint32) (ts int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) == 0 {
		return 0, false
	}
	s := &c.ring[id%uint32(len(c.ring))]
	if s.id != id || id == 0 {
		return 0, false
	}
	s.id = 0
	return s.ts, true
}

// open counts invocations without an answer.
func (c *conn) open() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.ring {
		if s.id != 0 {
			n++
		}
	}
	return n
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		_ = syscall.Close(c.fd)
	}
}

func rawWrite(fd int, b []byte) int {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), ptr(b), uintptr(len(b)))
		switch e {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0
		default:
			return -1
		}
	}
}

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), ptr(b), uintptr(len(b)))
		if e == syscall.EINTR {
			continue
		}
		return int(n), e
	}
}
