//go:build unix

package transport

import (
	"io"
	"sync"
	"syscall"
)

const haveRaw = true

// A rawCall is what one read or write of a raw socket needs while it runs, and is
// borrowed for that: most sockets wait, with none. syscall.RawConn calls a func, and
// one that was made for a socket would have to be kept with it.
type rawCall struct {
	s   *socket
	p   []byte // to be written
	n   int    // of it, what was
	err error

	read  func(uintptr) bool // tryRead
	write func(uintptr) bool // tryWrite
}

var rawCalls = sync.Pool{New: func() any {
	call := &rawCall{}
	call.read, call.write = call.tryRead, call.tryWrite
	return call
}}

func takeCall(s *socket) *rawCall {
	call := rawCalls.Get().(*rawCall)
	call.s = s
	return call
}

// giveBack must not be called before the call has returned.
func (call *rawCall) giveBack() {
	call.s, call.p, call.err = nil, nil, nil
	rawCalls.Put(call)
}

// readSome waits for bytes and reads them, into a buffer that it borrows only for
// that. Its error is errNothing where s must not wait.
func (s *socket) readSome() error {
	call := takeCall(s)
	defer call.giveBack()
	if err := s.raw.Read(call.read); err != nil {
		return err
	}
	return call.err
}

// tryRead reads what there is. It is called by syscall.RawConn.Read, which waits
// while it returns false.
func (call *rawCall) tryRead(fd uintptr) bool {
	s := call.s
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
			call.err = errNothing
		case err != nil:
			call.err = err
		case n == 0:
			call.err = io.EOF
		default:
			s.buf.left = s.buf.bytes[:n]
		}
		return true
	}
}

// tryWrite writes what the system takes without waiting.
func (call *rawCall) tryWrite(fd uintptr) bool {
	for {
		n, err := writeFD(fd, call.p)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			n, err = 0, nil
		}
		call.n, call.err = max(n, 0), err
		return true
	}
}

// writeSome writes the beginning of p that the system takes without waiting.
func (s *socket) writeSome(p []byte) (n int, err error) {
	call := takeCall(s)
	defer call.giveBack()
	call.p, call.n = p, 0
	if err := s.raw.Write(call.write); err != nil {
		return 0, err
	}
	if call.err != nil {
		return 0, call.err
	}
	return call.n, nil
}
