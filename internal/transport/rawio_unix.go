//go:build unix

package transport

import (
	"io"
	"syscall"
)

const haveRaw = true

// tryRead reads what there is, into a buffer that it borrows only for that. It
// is called by syscall.RawConn.Read, which waits while it returns false.
func (s *socket) tryRead(fd uintptr) bool {
	s.borrow()
	for {
		n, err := readFD(fd, s.buf.bytes)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.release()
			if s.mayWait() {
				return false
			}
			s.rErr = errNothing
		case err != nil:
			s.rErr = err
		case n == 0:
			s.rErr = io.EOF
		default:
			s.rErr = nil
			s.buf.left = s.buf.bytes[:n]
		}
		return true
	}
}

// tryWrite writes what the system takes without waiting.
func (s *socket) tryWrite(fd uintptr) bool {
	for {
		n, err := writeFD(fd, s.out)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			n, err = 0, nil
		}
		s.wrote, s.wErr = max(n, 0), err
		return true
	}
}

// writeSome writes the beginning of p that the system takes without waiting.
func (s *socket) writeSome(p []byte) (n int, err error) {
	s.out = p
	err = s.raw.Write(s.tryW)
	s.out = nil
	if err == nil {
		err = s.wErr
	}
	if err != nil {
		return 0, err
	}
	return s.wrote, nil
}
