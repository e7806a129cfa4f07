package transport

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// A stuckApp does not return from Receive before release is closed.
type stuckApp struct {
	*echoApp
	in, release chan struct{}
}

func (a *stuckApp) Receive(p []byte, isReader bool) bool {
	if string(p) != "wait" {
		return a.echoApp.Receive(p, isReader)
	}
	a.conn.BeforeWait()
	close(a.in)
	<-a.release
	return true
}

// awaitReset waits until the system has closed its side of the TCP connection that raw is.
func awaitReset(t *testing.T, raw syscall.RawConn) {
	t.Helper()
	const closed = 7 // TCP_CLOSE
	eventually(t, "the reset has come", func() bool {
		state := 0
		err := raw.Control(func(fd uintptr) {
			state, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		})
		return err == nil && state&0xff == closed
	})
}

func (s *socket) placeNow() uint32 {
	set := &s.conn.shard.parked
	set.mu.Lock()
	defer set.mu.Unlock()
	return s.place
}

// isQuiet reports whether the set of c has soon nothing to report.
func isQuiet(c *Conn) bool {
	set := &c.shard.parked
	set.mu.Lock()
	defer set.mu.Unlock()
	var events [64]syscall.EpollEvent
	for range 100 {
		if n, err := syscall.EpollWait(set.watch.epoll, events[:], 0); n == 0 && err == nil {
			return true
		}
	}
	return false
}

// A client that was parked once is reset while nobody reads it: the watch does not look at
// it again and again, and whoever gets its place is not taken for it.
func TestAResetClientThatIsNotReadKeepsNoWatchBusy(t *testing.T) {
	for _, end := range []bool{false, true} {
		n, mux := newNode(t, withReaders(ReadersPoll), nil)
		n.listen(mux, func() []*Endpoint { return []*Endpoint{n.endpoint} })
		release := make(chan struct{})
		free := sync.OnceFunc(func() { close(release) })
		t.Cleanup(free)
		echo, apps := n.endpoint.newApp, make(chan *stuckApp, 100)
		n.endpoint.newApp = func(c *Conn) App {
			c.shard = &n.endpoint.flushers.shards[0]
			a := &stuckApp{echoApp: echo(c).(*echoApp), in: make(chan struct{}), release: release}
			apps <- a
			return a
		}
		open := func() (*peer, *stuckApp) {
			p := n.upgrade("/hub")
			a := <-apps
			eventually(t, "it is parked", a.conn.isParkedNow)
			return p, a
		}
		open() // the set has one that stays
		p, a := open()
		s := a.conn.socket
		isWatched := func() bool {
			set := &a.conn.shard.parked
			set.mu.Lock()
			defer set.mu.Unlock()
			return s.watched
		}
		p.send(opText, "wait")
		<-a.in
		p.send(opText, "more")
		eventually(t, "it is disarmed", func() bool { return !isWatched() })
		var next *peer
		if end { // its place is free for the next one
			place := s.placeNow()
			a.conn.Finish()
			var b *stuckApp
			next, b = open()
			if got := b.conn.socket.placeNow(); got != place {
				t.Fatalf("the next one has place %d, not %d", got, place)
			}
		}
		_ = p.conn.(*net.TCPConn).SetLinger(0)
		_ = p.conn.Close()
		awaitReset(t, s.raw)
		if !isQuiet(a.conn) {
			t.Errorf("the set reports a client that was reset for as long as nobody reads it (its App has finished: %t)", end)
		}
		if next != nil {
			next.send(opText, "hello")
			next.expect(opText, "hello")
		}
		free()
		eventually(t, "it is read to its end", func() bool { return n.connections() == 1 || next != nil && n.connections() == 2 })
	}
}

// One that was disarmed is reported again once it is parked, whatever has come meanwhile.
func TestADisarmedClientIsHeardWhenItIsParkedAgain(t *testing.T) {
	for name, last := range map[string]func(p *peer){
		"bytes":   func(p *peer) { p.send(opText, "last") },
		"the end": func(p *peer) { _ = p.conn.Close() },
		"a reset": func(p *peer) { _ = p.conn.(*net.TCPConn).SetLinger(0); _ = p.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, withReaders(ReadersPoll), nil)
			p := n.upgrade("/hub")
			a := n.app()
			eventually(t, "it is parked", a.conn.isParkedNow)
			s, set := a.conn.socket, &a.conn.shard.parked
			set.mu.Lock()
			if !s.how.CompareAndSwap(isParked, isRead) { // the test reads it
				t.Fatal("it is not parked")
			}
			set.mu.Unlock()
			p.send(opText, "first")
			eventually(t, "it is disarmed", func() bool {
				set.mu.Lock()
				defer set.mu.Unlock()
				return !s.watched
			})
			last(p) // with what was not read, one read
			if name == "a reset" {
				awaitReset(t, s.raw)
			}
			if !isQuiet(a.conn) {
				t.Error("it is reported though it is disarmed")
			}
			if !set.add(s) {
				t.Fatal("it cannot be parked again")
			}
			if name == "bytes" {
				p.expect(opText, "firstlast")
				_ = p.conn.Close()
			}
			if err := a.end(t); err == nil || err == io.EOF {
				t.Errorf("cause = %v, want that it is lost", err)
			}
		})
	}
}
