package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// A socket whose client says little is parked while it says nothing: no
// goroutine waits for it, and its socket is in the set of its shard
// (pollset_linux.go), which one goroutine watches. That goroutine reads what comes
// and gives it to the App itself. It hands the set over to another one when it
// must go on with one connection alone: when the client has become busy, when the
// App is about to wait, or when a method keeps the goroutine. A busy client has a
// goroutine until it has been quiet for parkAfter.

// A client is busy that sends more at once, or more often in one tick of the
// sweeper.
const (
	quietBytes = 512
	quietReads = 4
)

// parkAfter is for how many looks of the sweeper nothing must have come from a busy
// client before it is parked again.
const parkAfter = 3

// How a socket is read. Steps from and to isParked are made with the lock of the
// set; who makes one away from it reads the socket.
const (
	isRead   uint32 = iota // by a goroutine
	isParked               // by none
	isKept                 // by a goroutine until it ends: its close is awaited, or it is cut
)

// parking is what a socket has for being parked.
type parking struct {
	how    atomic.Uint32              // isRead, isParked or isKept
	reads  atomic.Uint32              // that brought something
	inline atomic.Pointer[pollReader] // not nil: the goroutine that reads watches a set

	// Owned by the goroutine that reads.
	busy    bool
	heavy   bool   // see turns.go: it was in the tick now, or in that of its last read before
	woken   bool   // there is something to read; of a socket that is not raw
	emptied bool   // the last read has left nothing; of a raw socket
	lately  uint8  // reads in the tick now, up to one more than quietReads
	turns   turns  // since a raw socket has waited; of another one, all
	now     uint16 // the end of wheel.at
	spent   uint16 // readBytes and more, in the tick now, in units of that

	// Guarded by pollSet.mu.
	place   uint32
	placed  bool // it has a place in the set
	watched bool // the set reports it

	// Guarded by conn.mu.
	quiet uint8  // looks of the sweeper in which nothing had come
	asked bool   // the reader has been woken to park
	seen  uint32 // reads at the sweeper's last look
}

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// errNothing is the error of a read that must not wait.
var errNothing = errors.New("transport: nothing to read")

// mayWait reports whether the goroutine that reads s waits for more.
func (s *socket) mayWait() bool {
	if s.inline.Load() != nil {
		return false
	}
	switch readers := s.conn.endpoint.opts.Readers; {
	case readers == ReadersGoroutine || s.how.Load() == isKept || !s.canPark():
		return true
	case readers == ReadersPoll:
		return false
	default:
		return s.busy || s.reads.Load() == 0 && !s.events // the first message comes at once, as a rule
	}
}

// readAlone lets another goroutine watch the set if that one does which reads s. It is
// called by this, by one that takes its place, or by one that ends s.
func (s *socket) readAlone() {
	s.inline.Swap(nil).handOver()
}

// filled is called when something has been read. Others do not wait for a client
// that says much.
func (s *socket) filled() {
	s.reads.Store(s.reads.Load() + 1) // nobody else changes it
	if now := uint16(s.conn.endpoint.wheel.at.Load()); now != s.now {
		s.heavy = s.spent > heavy
		s.now, s.lately, s.spent = now, 0, 0
	}
	if s.lately <= quietReads {
		s.lately++
	}
	took := readBytes + len(s.buf.left)
	if s.spent += uint16(took / readBytes); s.spent > heavy {
		s.heavy = true
		s.spent = heavy + 1
	}
	s.emptied = s.raw != nil && len(s.buf.left) < len(s.buf.bytes)
	if s.heavy && (s.turns == 0 || s.raw == nil) {
		runtime.Gosched()
	}
	s.turns.taken(turns(took), turnBytes)
	if len(s.buf.left) <= quietBytes && s.lately <= quietReads {
		return
	}
	if !s.busy {
		s.busy = true
		s.conn.wake() // the sweeper sees when it is quiet again
	}
	s.readAlone()
}

// BeforeWait is called by an App on the goroutine that has called Receive, before
// it waits for longer than a lock is held. A socket that was lost has seen to the rest.
func (c *Conn) BeforeWait() {
	c.mu.Lock()
	s := c.socket
	c.mu.Unlock()
	if s != nil {
		s.readAlone()
	}
}

// park leaves s to the set of its shard. It reports false if the caller must read
// on.
func (s *socket) park() bool {
	return s.conn.endpoint.opts.Readers != ReadersGoroutine && s.conn.shard.parked.add(s)
}

// canPark reports whether s is a socket of the system, or stock TLS over one.
func (s *socket) canPark() bool { return s.raw != nil || tcpOf(s.net) != nil }

func tcpOf(conn net.Conn) *net.TCPConn {
	if t, ok := conn.(*tls.Conn); ok {
		switch under := t.NetConn().(type) {
		case *net.TCPConn:
			return under
		case *leanConn:
			return under.TCPConn
		}
	}
	return nil
}

// pollable is what can be put into a set.
func (s *socket) pollable() (syscall.RawConn, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	return tcpOf(s.net).SyscallConn()
}

// keep sees to it that a goroutine reads s, from now on to its end.
func (s *socket) keep() {
	if s.canPark() && s.conn.shard.parked.keep(s) {
		go s.conn.readAgain()
	}
}

// readAgain is the goroutine of a socket that was parked.
func (c *Conn) readAgain() {
	defer c.survive()
	c.read(false)
}

// parkIdleLocked asks the goroutine that waits for a busy client that has become
// quiet to park its socket. It is called by the sweeper.
func (c *Conn) parkIdleLocked() {
	s := c.socket
	if s == nil || c.link != linkServing || s.isSettled() {
		return
	}
	if reads := s.reads.Load(); reads != s.seen {
		s.seen, s.quiet = reads, 0
		return
	}
	if s.asked || s.closeCode != 0 {
		return
	}
	if s.quiet++; s.quiet < parkAfter {
		return
	}
	s.quiet, s.asked = 0, true
	_ = s.net.SetReadDeadline(longAgo) // fails only if it is closed already
}

// isSettled reports whether no goroutine reads s that could be asked to park it.
func (s *socket) isSettled() bool {
	return s.how.Load() != isRead || s.conn.endpoint.opts.Readers == ReadersGoroutine || !s.canPark()
}

// wasAsked reports whether a read has ended because the goroutine is to park, and
// takes the deadline back that has ended it.
func (s *socket) wasAsked(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.asked {
		return false
	}
	s.busy = false
	s.waitAgainLocked()
	return true
}

// waitAgainLocked takes back a deadline that has ended a read.
func (s *socket) waitAgainLocked() {
	s.asked = false
	until := time.Time{}
	if s.armed { // wroteAll sets it, too, but maybe before this
		until = deadline(s.conn.endpoint.opts.CloseTimeout)
	}
	_ = s.net.SetReadDeadline(until) // fails only if it is closed already
}

// A pollReader is a goroutine that watches a set.
type pollReader struct {
	watch *watch
	turn  atomic.Uint32 // inTurn: it serves a socket, and may be relieved of the set
}

const (
	noTurn uint32 = iota
	inTurn
	relieved
)

// handOver lets another goroutine watch the set, unless that of r is done with
// the socket that it serves. Any goroutine may call it, too often and for nil.
func (r *pollReader) handOver() {
	if r != nil && r.turn.CompareAndSwap(inTurn, relieved) {
		go (&pollReader{watch: r.watch}).run()
	}
}

// serve reads s, which the caller has taken. It reports false if the goroutine no
// longer watches the set.
func (r *pollReader) serve(s *socket) bool {
	r.turn.Store(inTurn)
	s.inline.Store(r)
	r.read(s)
	return r.turn.CompareAndSwap(inTurn, noTurn)
}

func (r *pollReader) read(s *socket) {
	c := s.conn
	defer c.survive()
	if s.readAll(false) && !c.hasNoSocket() { // another one has taken its place
		s.readAlone()
		c.read(false)
	}
}
