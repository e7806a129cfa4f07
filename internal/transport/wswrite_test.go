package transport

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestFramesOfEverySizeArriveInOrder(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 100, joinLimit - 2, joinLimit, 70_000, 3, 1_000_000, 5}
	for _, size := range sizes { // more than the system takes at once: nobody reads yet
		if err := a.conn.Send(text(strings.Repeat("x", size))); err != nil {
			t.Fatalf("Send of %d bytes = %v", size, err)
		}
	}
	for _, size := range sizes {
		if first, got := p.frame(); first != opText || len(got) != size {
			t.Fatalf("frame %#x of %d bytes, want text of %d", first, len(got), size)
		}
	}
}

func TestFinishSendsWhatIsQueuedAndCloses(t *testing.T) {
	o := defaults()
	// On a busy machine the system may hold the bytes back for seconds.
	o.TransportSendTimeout, o.CloseTimeout = time.Minute, time.Minute
	for code, finish := range map[string]func(*Conn){`1000 ""`: (*Conn).Finish, `1011 ""`: (*Conn).FinishError} {
		n := serve(t, o, nil)
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.Cork()
		_ = a.conn.Send(text("one"))
		_ = a.conn.Send(text(strings.Repeat("x", 3_000_000))) // more than the system takes
		finish(a.conn)
		finish(a.conn)
		a.conn.Finish()
		p.expect(opText, "one")
		if _, payload := p.frame(); len(payload) != 3_000_000 {
			t.Errorf("%d bytes arrive, want all that was queued", len(payload))
		}
		p.expect(opClose, code)
		p.send(opText, "discarded")
		p.send(opPing, "unanswered")
		p.send(opClose, "\x03\xe8")
		p.expectEnd()
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
		if a.hasEnded() || a.got() != "" {
			t.Errorf("after Finish: Ended %v, received %q; want neither", a.hasEnded(), a.got())
		}
		select {
		case <-a.conn.Done():
		default:
			t.Error("Done is not closed after Finish")
		}
	}
}

func TestSilentClientAfterAppEndIsCut(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		start := time.Now()
		p.expectEnd()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("cut after %v, want CloseTimeout, 5 s", took)
		}
		synctest.Wait()
		if n.connections() != 0 {
			t.Error("the connection is not forgotten")
		}
	})
}

func TestCloseTimeoutResets(t *testing.T) {
	opts := defaults()
	opts.CloseTimeout = 50 * time.Millisecond
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	n.app().conn.Finish()
	p.expect(opClose, `1000 ""`)
	if _, err := io.ReadAll(p.r); err == nil {
		t.Error("the client sees FIN, want RST as from ASP.NET Core")
	}
}

func TestSendTimeoutClosesWebSocket(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		n.upgrade("/hub") // never reads
		a := n.app()
		_ = a.conn.Send(text("x"))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if a.hasEnded() {
			t.Fatal("ended before the send timeout")
		}
		time.Sleep(2 * time.Second)
		if err := a.end(t); err != ErrSendTimeout {
			t.Errorf("cause = %v, want ErrSendTimeout", err)
		}
		synctest.Wait()
		if n.connections() != 0 {
			t.Error("the connection is not forgotten")
		}
	})
}

// A busySystem is the raw side of a socket of which the system takes nothing
// without waiting. What waits is written to the net.Conn beside it.
type busySystem struct{ syscall.RawConn }

func (busySystem) Read(func(uintptr) bool) error { return net.ErrClosed }
func (busySystem) Control(func(uintptr)) error   { return nil }

// When a client has taken a part of a write cannot be seen, only that it did so.
func TestAClientThatStopsInTheMiddleOfAWriteIsCutInTime(t *testing.T) {
	if !haveRaw {
		t.Skip("on this system each write is a whole send timeout")
	}
	const timeout = 10 * time.Second // as in defaults
	opts := defaults()
	opts.Readers = ReadersGoroutine // this socket cannot be parked
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		synctest.Wait() // the reader waits for bytes
		a.conn.socket.raw = busySystem{}
		_ = a.conn.Send(text(strings.Repeat("x", 5*joinMost)))
		read := func(size int) {
			if _, err := io.ReadFull(p.conn, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		read(joinMost * 3 / 2)
		time.Sleep(timeout - time.Second) // slow, but in time
		read(joinMost)
		stopped := time.Now()
		<-a.over
		if err := a.end(t); err != ErrSendTimeout {
			t.Errorf("cause = %v, want ErrSendTimeout", err)
		}
		if took := time.Since(stopped); took < timeout || took > timeout*5/4 {
			t.Errorf("cut %v after it took something for the last time, want %v to %v", took, timeout, timeout*5/4)
		}
	})
}

// A client that takes nothing more is not waited for, whoever has begun the end.
func TestTheLastWriteHasADeadline(t *testing.T) {
	for name, raw := range map[string]syscall.RawConn{"a system that takes nothing now": busySystem{}, "a net.Conn": nil} {
		for _, end := range []string{"the client", "the App", "the App of a stream"} {
			if raw != nil && !haveRaw {
				continue
			}
			t.Run(end+", "+name, func(t *testing.T) {
				opts := defaults()
				opts.Readers = ReadersGoroutine // this socket cannot be parked
				if end == "the App of a stream" {
					opts.Readers = ReadersPoll // or it would have none; the pipe beside it cannot be parked
				}
				inBubble(t, opts, nil, func(t *testing.T, n *node) {
					var p *peer
					if end == "the App of a stream" {
						p, _ = n.openSSE(n.negotiate())
					} else {
						p = n.upgrade("/hub")
					}
					c := n.app().conn
					synctest.Wait() // the reader waits for bytes
					if c.socket == nil {
						t.Skip("HUBWIRE_READERS says that the request serves the stream")
					}
					c.socket.raw = raw
					begun := time.Now()
					if end == "the client" {
						p.send(opClose, "\x03\xe8")
					} else {
						c.Finish()
					}
					for n.connections() > 0 && time.Since(begun) < time.Minute {
						time.Sleep(100 * time.Millisecond)
					}
					want := opts.TransportSendTimeout
					if end == "the client" {
						want = min(want, opts.CloseTimeout)
					}
					if took := time.Since(begun); took < want || took > want*5/4 {
						t.Errorf("forgotten after %v, want %v to %v", took, want, want*5/4)
					}
				})
			})
		}
	}
}

func TestSendTimeoutOfARealSocket(t *testing.T) {
	opts := defaults()
	opts.TransportSendTimeout = 50 * time.Millisecond
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	a := n.app()
	_ = a.conn.Send(text(strings.Repeat("x", 20_000_000)))
	if err := a.end(t); err != ErrSendTimeout {
		t.Errorf("cause = %v, want ErrSendTimeout", err)
	}
	if _, err := io.Copy(io.Discard, p.r); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the client sees %v, want the end", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func TestCloseFrameOvertakesTheQueueButNoFrame(t *testing.T) {
	opts := defaults() // the system may hold so many bytes back for seconds
	opts.CloseTimeout, opts.TransportSendTimeout = time.Minute, time.Minute
	n := serve(t, opts, nil)
	p := n.upgrade("/hub")
	a := n.app()
	big := strings.Repeat("x", 30_000_000) // more than the system takes ahead
	_ = a.conn.Send(text(big))
	eventually(t, "its writing has begun", func() bool {
		a.conn.mu.Lock()
		defer a.conn.mu.Unlock()
		return int(a.conn.out.taken) == len(a.conn.out.waiting()) && a.conn.socket.writing
	})
	a.conn.mu.Lock()
	a.conn.out.add(text("never sent"))
	a.conn.mu.Unlock()
	p.send(opClose, "\x03\xe8")
	if err := a.end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
	if _, payload := p.frame(); payload != big {
		t.Errorf("%d bytes arrive, want the whole frame", len(payload))
	}
	p.expect(opClose, `1000 ""`)
	p.expectEnd()
}

// A client that reads gets a pong for each ping, though its queue is never empty; one that
// does not read gets as many as may wait.
func TestPongsOfAClientForWhichSomethingAlwaysWaits(t *testing.T) {
	conns, _ := sinks(1)
	c := conns[0]
	c.Cork() // nothing is written but here
	c.out.add(text("first"))
	for i := range 3 * maximumPongs {
		c.pong([]byte{byte(i)})
		c.out.add(text("next"))
		if got := c.out.waiting()[1].buf; got[0] != pongByte || got[2] != byte(i) {
			t.Fatalf("behind ping %d waits % x, want its pong", i, got)
		}
		c.out.take(2, len(c.out.frames[c.out.head].buf)+3)
		c.out.written(c.out.inFlight)
	}
	for range 3 * maximumPongs {
		c.pong(nil)
	}
	if got := len(c.out.waiting()) - 1; got != maximumPongs {
		t.Errorf("%d pongs wait, want %d", got, maximumPongs)
	}
	c.out.drop()
	if c.out.pongs != 0 {
		t.Errorf("%d pongs are counted in an empty queue", c.out.pongs)
	}
}

func TestLossOfTheClient(t *testing.T) {
	n := serve(t, defaults(), nil)
	ways := map[string]func(*net.TCPConn){
		"FIN":   func(c *net.TCPConn) { _ = c.CloseWrite() },
		"close": func(c *net.TCPConn) { _ = c.Close() },
		"RST":   func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"mid-frame": func(c *net.TCPConn) {
			_, _ = io.WriteString(c, clientFrame(opText, "whole")[:8])
			_ = c.Close()
		},
	}
	for name, way := range ways {
		p := n.upgrade("/hub")
		way(p.conn.(*net.TCPConn))
		if err := n.app().end(t); !errors.Is(err, ErrLost) {
			t.Errorf("%s: cause = %v, want ErrLost", name, err)
		}
	}
	eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
}

func TestAbortCutsTheSocket(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade("/hub")
	a := n.app()
	cause := errors.New("because")
	a.conn.Cork()
	_ = a.conn.Send(text("never sent"))
	a.conn.Abort(cause)
	a.conn.Abort(errors.New("second"))
	if err := a.end(t); err != cause {
		t.Errorf("cause = %v, want that of Abort", err)
	}
	if _, _, err := p.tryFrame(); err == nil {
		t.Error("a frame came after Abort")
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}
