//go:build !unix

package transport

import "syscall"

// Where sockets cannot be used this way, every connection is written by a
// goroutine that waits.
const haveRaw = false

func (s *socket) readSome() error { panic("transport: no raw sockets here") }

type rawWrite struct{}

func (*rawWrite) some(syscall.RawConn, []byte) (int, error) {
	panic("transport: no raw sockets here")
}
