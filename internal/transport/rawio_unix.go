//go:build unix

package transport

import (
	"io"
	"sync"
	"syscall"
)

const haveRaw = true

// A rawRead is what one read of a raw socket needs while it runs, and is borrowed for
// that: most sockets wait, with none. syscall.RawConn calls a func, and one that was made
// for a socket would have to be kept with it.
type rawRead struct {
	s   *socket
	err error
	try func(uintptr) bool // tryOnce
}

var rawReads = sync.Pool{New: func() any {
	r := &rawRead{}
	r.try = r.tryOnce
	return r
}}

// readSome waits for bytes and reads them, into a buffer that it borrows only for
// that. Its error is errNothing where s must not wait.
func (s *socket) readSome() error {
	r := rawReads.Get().(*rawRead)
	r.s = s
	defer func() {
		r.s, r.err = nil, nil
		rawReads.Put(r)
	}()
	if err := s.raw.Read(r.try); err != nil {
		return err
	}
	return r.err
}

// tryOnce reads what there is. It is called by syscall.RawConn.Read, which waits
// while it returns false.
func (r *rawRead) tryOnce(fd uintptr) bool {
	s := r.s
	s.borrow()
	for {
		n, err := readFD(fd, s.buf.bytes)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.release()
			s.turns = 0
			if s.mayWait() {
				return false
			}
			r.err = errNothing
		case err != nil:
			r.err = err
		case n == 0:
			r.err = io.EOF
		default:
			s.buf.left = s.buf.bytes[:n]
		}
		return true
	}
}

// A rawWrite is what the writes of one goroutine to raw sockets need.
type rawWrite struct {
	p   []byte // to be written
	n   int    // of it, what was
	err error
	try func(uintptr) // tryOnce, once it was needed
}

// some writes the beginning of p that the system takes without waiting; no other goroutine
// writes meanwhile. RawConn.Write would first prepare to wait, and lock (BenchmarkRawWrite).
func (w *rawWrite) some(raw syscall.RawConn, p []byte) (n int, err error) {
	if w.try == nil {
		w.try = w.tryOnce
	}
	w.p, w.n = p, 0
	err = raw.Control(w.try)
	if err == nil {
		err = w.err
	}
	w.p, w.err = nil, nil
	return w.n, err
}

// tryOnce writes what the system takes without waiting.
func (w *rawWrite) tryOnce(fd uintptr) {
	for {
		n, err := writeFD(fd, w.p)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			n, err = 0, nil
		}
		w.n, w.err = max(n, 0), err
		return
	}
}
