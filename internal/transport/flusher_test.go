package transport

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A sink is a socket that takes everything.
type sink struct {
	conn *Conn
	all  *sunk
	then func() // called after each write, if it is not nil
}

// sunk is what all sinks have taken.
type sunk struct{ writes, bytes atomic.Int64 }

// A drain is a socket that takes everything at once.
type drain struct {
	raw  syscall.RawConn
	mu   sync.Mutex // held from a write until peer has read it
	peer net.Conn
	buf  []byte
}

// oneDrain is for all sinks.
var oneDrain = sync.OnceValue(func() *drain {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	peer, err := l.Accept()
	if err != nil {
		panic(err)
	}
	if err := conn.(*net.TCPConn).SetWriteBuffer(8 * joinMost); err != nil {
		panic(err)
	}
	return &drain{raw: rawConn(conn), peer: peer, buf: make([]byte, 8*joinMost)}
})

// write lets f, which writes something, have the socket.
func (d *drain) write(f func(uintptr)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.raw.Control(f); err != nil {
		return err
	}
	_, err := d.peer.Read(d.buf)
	return err
}

func (k *sink) Read(func(uintptr) bool) error  { return syscall.EINVAL }
func (k *sink) Write(func(uintptr) bool) error { return syscall.EINVAL }
func (k *sink) Control(f func(uintptr)) error {
	k.conn.mu.Lock()
	n := k.conn.out.inFlight
	k.conn.mu.Unlock()
	k.all.writes.Add(1)
	k.all.bytes.Add(int64(n))
	err := oneDrain().write(f)
	if k.then != nil {
		k.then()
	}
	return err
}

// sinkOf is the sink of a connection of sinks.
func sinkOf(c *Conn) *sink { return c.socket.raw.(*sink) }

// sinks returns an endpoint with n connections whose sockets are sinks.
func sinks(n int) ([]*Conn, *sunk) {
	e := NewEndpoint(defaults(), nil)
	all := &sunk{}
	conns := make([]*Conn, n)
	for i := range conns {
		c := &Conn{endpoint: e, shard: &e.flushers.shards[i%len(e.flushers.shards)], transport: WebSockets, state: state{linkServing, appRunning}}
		c.out.behindAt = FreeBytes
		c.socket = &socket{conn: c, raw: &sink{conn: c, all: all}}
		conns[i] = c
	}
	return conns, all
}

func drained(t testing.TB, conns []*Conn) {
	eventually(t, "everything is written", func() bool {
		for _, c := range conns {
			c.mu.Lock()
			left := c.out.queued
			c.mu.Unlock()
			if left > 0 {
				return false
			}
		}
		return true
	})
}

func TestFlusherJoinsWhatWaits(t *testing.T) {
	conns, k := sinks(10)
	frame := text("0123456789")
	for range 100 {
		for _, c := range conns {
			_ = c.Send(frame)
		}
	}
	drained(t, conns)
	if got := k.bytes.Load(); got != 100*10*12 {
		t.Errorf("%d bytes were written, want %d", got, 100*10*12)
	}
	if got := k.writes.Load(); got > 900 {
		t.Errorf("%d writes for 1,000 frames, want them joined", got)
	}
	for _, c := range conns {
		if c.out.dirty || c.next != nil {
			t.Error("a connection is left on the list")
		}
	}
}

// Messages to all come each millisecond, and to write to all takes longer.
func TestAPauseIsAsLongAsItsRoundAllows(t *testing.T) {
	for _, test := range []struct {
		write  time.Duration // what one takes
		rounds int64         // for 100 messages: 100 ms, by a round and its pause
	}{
		{10 * time.Microsecond, 100 / 5},            // 4 ms and 1
		{100 * time.Microsecond, 100 / 42},          // 40 and 2
		{10 * time.Nanosecond, 100},                 // each by itself
		{2500 * time.Nanosecond, 100 * 1000 / 1250}, // 1 and 0.25
	} {
		synctest.Test(t, func(t *testing.T) {
			const clients = 400
			conns, k := sinks(clients)
			for _, c := range conns {
				c.shard = conns[0].shard
				sinkOf(c).then = func() { time.Sleep(test.write) }
			}
			for range 100 {
				for _, c := range conns {
					_ = c.Send(text("x"))
				}
				time.Sleep(time.Millisecond)
			}
			drained(t, conns)
			conns[0].endpoint.flushers.wait()
			if got := k.writes.Load(); got < test.rounds*clients || got > (test.rounds+3)*clients {
				t.Errorf("a write of %v: %d writes for 100 messages to %d clients, want those of %d to %d rounds", test.write, got, clients, test.rounds, test.rounds+3)
			}
		})
	}
}

func TestABusyConnectionDoesNotStarveItsShard(t *testing.T) {
	conns, _ := sinks(2)
	busy, other := conns[0], conns[1]
	other.shard = busy.shard
	frame := text(strings.Repeat("x", joinLimit))       // one write each
	sinkOf(busy).then = func() { _ = busy.Send(frame) } // there is always more to write
	_ = busy.Send(frame)
	_ = other.Send(text("x"))
	drained(t, conns[1:])
	busy.mu.Lock()
	busy.closeLocked(linkClosed)
	busy.mu.Unlock()
}

func TestShutdownWaitsForTheFlusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns, _ := sinks(2)
		one, other := conns[0], conns[1]
		other.shard = one.shard
		sinkOf(one).then = func() { _ = other.Send(text("x")) } // its turn comes after a pause
		_ = one.Send(text("x"))
		synctest.Wait()
		if one.endpoint.flushers.active.Load() == 0 {
			t.Fatal("the flusher makes no pause")
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := one.endpoint.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
				if one.endpoint.flushers.active.Load() > 0 || !other.out.empty() {
					t.Error("the flusher is not done after Shutdown")
				}
			})
		}
		both.Wait()
	})
}

// An overlap counts goroutines that write at the same time.
type overlap struct{ now, most atomic.Int32 }

// write takes a while.
func (o *overlap) write(d time.Duration) {
	n := o.now.Add(1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	time.Sleep(d)
	o.now.Add(-1)
}

// Messages to all 100 clients come each millisecond, and to write to all takes longer.
func TestOneFlusherWritesWhileItJoinsFrames(t *testing.T) {
	for _, test := range []struct {
		name  string
		each  int           // messages at once
		gap   time.Duration // until the next ones
		write time.Duration // what one takes
		least int32         // that write at the same time
		most  int32
	}{
		{"one message, now and then", 1, time.Second, 20 * time.Microsecond, 2, 4},
		{"four at once, all the time", 4, time.Millisecond, 20 * time.Microsecond, 1, 1},
		{"one at a time, all the time", 1, time.Millisecond, 20 * time.Microsecond, 2, 4},
		{"a round is long", 4, time.Millisecond, longRound / 50, 2, 4}, // help comes once in 64 writes
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns, _ := sinks(100)
				e, o := conns[0].endpoint, &overlap{}
				e.flushers.start(4)
				for i, c := range conns {
					c.shard = &e.flushers.shards[i%4]
					sinkOf(c).then = func() { o.write(test.write) }
				}
				for i := range 100 {
					if i == 50 { // what flushers know of writes is known by now
						o.most.Store(0)
					}
					for range test.each {
						for _, c := range conns {
							_ = c.Send(text("x"))
						}
					}
					time.Sleep(test.gap)
				}
				if got := o.most.Load(); got < test.least || got > test.most {
					t.Errorf("%d goroutines write at the same time, want %d to %d", got, test.least, test.most)
				}
				drained(t, conns)
				e.flushers.wait() // time stands still once this has returned
			})
		})
	}
}

// Flushers begin and end all the time, while others push.
func TestNothingStaysOnTheListOfAShard(t *testing.T) {
	conns, k := sinks(64)
	conns[0].endpoint.flushers.start(4)
	for i, c := range conns {
		c.shard = &c.endpoint.flushers.shards[i%4]
	}
	const senders, rounds = 4, 500
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range rounds {
				for j := range 1 + (i+n)%8 {
					_ = conns[(i*7+n+j*5)%len(conns)].Send(text("x"))
				}
				if i%16 == n {
					drained(t, conns) // they have ended, or are about to
				}
			}
		})
	}
	all.Wait()
	drained(t, conns)
	conns[0].endpoint.flushers.wait()
	for _, c := range conns {
		if c.out.dirty || c.next != nil {
			t.Error("a connection is left on a list")
		}
	}
	if k.writes.Load() == 0 {
		t.Error("nothing was written")
	}
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			conns, _ := sinks(n)
			frame := text("{\"type\":1,\"target\":\"M\",\"arguments\":[\"0123456789\"]}\x1e")
			deliver := func() {
				for _, c := range conns {
					if err := c.Send(frame); err != nil {
						b.Fatal(err)
					}
				}
			}
			for range 3 {
				deliver()
			}
			drained(b, conns)
			b.ReportAllocs()
			for b.Loop() {
				if conns[0].WouldWait() {
					drained(b, conns)
				}
				deliver()
			}
			drained(b, conns)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}

func BenchmarkUncork(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			conns, _ := sinks(1)
			frame := text("0123456789012345678901234567890123456789")
			b.ReportAllocs()
			for b.Loop() {
				conns[0].Cork()
				for range n {
					_ = conns[0].Send(frame)
				}
				conns[0].Uncork()
			}
		})
	}
}

// A closedConn can be closed.
type closedConn struct{ net.Conn }

func (closedConn) Close() error { return nil }
