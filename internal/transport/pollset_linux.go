package transport

import (
	"os"
	"sync"
	"syscall"
)

// A pollSet has the sockets of a shard that were ever parked, until they end.
type pollSet struct {
	mu      sync.Mutex // guards what follows; no other lock is taken with it
	watch   *watch     // nil: nothing was parked since the endpoint was empty
	sockets []*socket  // by place
	free    []uint32   // places without a socket
	ends    bool       // the endpoint is empty: the watch ends with the last socket
}

// A watch is an epoll set that is itself in Go's poller: the goroutine that
// watches it waits as others do for their socket, and blocks no thread. It reports
// sockets for as long as there is something to read, parked or not: one that is
// read by its own goroutine is disarmed the first time that it is reported. So a
// quiet client costs no further system call. All but epoll is owned by the goroutine
// that watches; file may be closed by others.
type watch struct {
	set    *pollSet
	epoll  int
	file   *os.File
	raw    syscall.RawConn
	events [64]syscall.EpollEvent
	next   int   // of events, to be served
	count  int   // of events
	turns  turns // batches of events since it has waited
}

const (
	readable = syscall.EPOLLIN | syscall.EPOLLRDHUP

	// disarmed reports the end of a socket, for that cannot be switched off, but once: with
	// no flag epoll would do so whenever it is asked, until the socket is closed.
	disarmed = syscall.EPOLLONESHOT
)

// add parks s. It reports false if that cannot be done, now or ever.
func (p *pollSet) add(s *socket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.how.CompareAndSwap(isRead, isParked) {
		return false
	}
	if s.watched {
		return true
	}
	op := syscall.EPOLL_CTL_MOD
	if !s.placed {
		op = syscall.EPOLL_CTL_ADD
	}
	if p.watch == nil && !p.openLocked() || !p.placeLocked(s).arm(s, op, readable) {
		s.how.Store(isKept)
		p.removeLocked(s)
		return false
	}
	s.watched = true
	return true
}

// placeLocked gives s a place, if it has none.
func (p *pollSet) placeLocked(s *socket) *watch {
	switch n := len(p.free); {
	case s.placed:
	case n > 0:
		s.place, p.free = p.free[n-1], p.free[:n-1]
		p.sockets[s.place] = s
	default:
		s.place = uint32(len(p.sockets))
		p.sockets = append(p.sockets, s)
	}
	s.placed = true
	return p.watch
}

// take makes the caller the one that reads the socket at place, if it is parked.
// There may be none, or another one, since the event: that one has nothing to read, and
// parks again.
func (p *pollSet) take(place int32) *socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(place) >= len(p.sockets) {
		return nil // of a watch that has ended
	}
	s := p.sockets[place]
	if s == nil {
		return nil
	}
	if s.how.CompareAndSwap(isParked, isRead) {
		s.emptied = false
		return s
	}
	if s.watched {
		s.watched = false
		p.watch.arm(s, syscall.EPOLL_CTL_MOD, disarmed) // fails only if it is closed already
	}
	return nil
}

// keep sees to it that s is never parked again. It reports whether it was, and the
// caller must see to it that it is read.
func (p *pollSet) keep(s *socket) (wasParked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wasParked = s.how.Swap(isKept) == isParked
	s.watched = false
	if s.placed { // it leaves epoll with its place, which the next socket gets
		p.watch.arm(s, syscall.EPOLL_CTL_DEL, 0) // fails only if it is closed already
	}
	p.removeLocked(s)
	return wasParked
}

func (p *pollSet) removeLocked(s *socket) {
	if !s.placed {
		return
	}
	s.placed = false
	p.sockets[s.place] = nil
	p.free = append(p.free, s.place)
	p.endLocked()
}

// end ends the watch once nothing is parked: the endpoint is empty.
func (p *pollSet) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = true
	p.endLocked()
}

func (p *pollSet) endLocked() {
	if !p.ends || len(p.free) < len(p.sockets) || p.watch == nil {
		return
	}
	_ = p.watch.file.Close()
	p.watch, p.sockets, p.free = nil, nil, nil
}

// openLocked makes the watch. It reports false where the system has no descriptor
// left: sockets are not parked then.
func (p *pollSet) openLocked() bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = syscall.SetNonblock(fd, true) // so that NewFile puts it into Go's poller; cannot fail
	w := &watch{set: p, epoll: fd, file: os.NewFile(uintptr(fd), "epoll")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		_ = w.file.Close()
		return false
	}
	p.watch, p.ends = w, false
	go (&pollReader{watch: w}).run()
	return true
}

// arm says for which events s is reported; op is EPOLL_CTL_ADD once for each socket, and
// EPOLL_CTL_DEL at its end.
// It is called with the lock of the set, so
// that no event comes before the place is known.
func (w *watch) arm(s *socket, op int, events uint32) bool {
	event := syscall.EpollEvent{Events: events, Fd: int32(s.place)}
	raw, err := s.pollable()
	if err != nil {
		return false
	}
	closed := raw.Control(func(fd uintptr) { // fd cannot be closed, and used again, meanwhile
		err = syscall.EpollCtl(w.epoll, op, int(fd), &event)
	})
	return closed == nil && err == nil
}

// run serves the sockets that have something to read, until the watch ends or
// another goroutine goes on.
func (r *pollReader) run() {
	defer r.handOver() // if user code ends the goroutine
	w := r.watch
	wait := func(fd uintptr) bool {
		n, err := syscall.EpollWait(int(fd), w.events[:], 0)
		w.next, w.count = 0, max(n, 0)
		if n == 0 {
			w.turns = 0
		}
		return n > 0 || err != nil && err != syscall.EINTR
	}
	for {
		for w.next < w.count {
			place := w.events[w.next].Fd
			w.next++
			s := w.set.take(place)
			switch {
			case s == nil:
			case s.raw == nil: // to read it is to wait for a whole record
				s.woken = true
				go s.conn.readAgain()
			case !r.serve(s):
				return
			}
		}
		w.turns.taken(1, turnBatches)
		if w.raw.Read(wait) != nil {
			return
		}
	}
}
