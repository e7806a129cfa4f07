package admission

import (
	"net"
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/rate"
)

// A Door is the pace at which its listeners, together, accept connections.
//
// A server that accepts thousands in one moment has a goroutine for each, and all
// of them stand before those of running clients in the scheduler's queues: for a
// second, and no Queue is asked before a request was read. What is not accepted
// costs the process nothing; the kernel keeps it, or lets the client knock again.
type Door struct {
	pace    rate.Pace
	used    rate.Bucket
	started time.Time
}

// NewDoor returns a Door. The zero Pace is no bound.
func NewDoor(pace rate.Pace) *Door { return &Door{pace: pace, started: time.Now()} }

// Listener returns l, with Accept at the pace of d.
func (d *Door) Listener(l net.Listener) net.Listener {
	if !d.pace.Bounded() {
		return l
	}
	return &listener{Listener: l, door: d, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	door   *Door
	once   sync.Once
	closed chan struct{}
}

// Accept waits before it accepts and not after, so that what waits is in the
// kernel's backlog and needs no descriptor. It is paid for a connection that is yet
// to come, which is no difference to one who is there.
func (l *listener) Accept() (net.Conn, error) {
	if wait := l.door.used.Spend(l.door.pace, time.Since(l.door.started), 1); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.closed: // the other Accept says so
		}
	}
	return l.Listener.Accept()
}

// Close ends the wait of Accept, too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
