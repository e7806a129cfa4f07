//go:build !unix

package transport

// Where sockets cannot be used this way, every connection is written by a
// goroutine that waits.
const haveRaw = false

func (s *socket) readSome() error               { panic("transport: no raw sockets here") }
func (s *socket) writeSome([]byte) (int, error) { panic("transport: no raw sockets here") }
