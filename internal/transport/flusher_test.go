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
)

// A sink is a socket that takes everything.
type sink struct{ writes, bytes atomic.Int64 }

func (k *sink) Control(func(uintptr)) error   { return nil }
func (k *sink) Read(func(uintptr) bool) error { return syscall.EINVAL }
func (k *sink) Write(f func(uintptr) bool) error {
	k.writes.Add(1)
	f(0)
	return nil
}

// sinks returns an endpoint with n connections whose sockets are sinks.
func sinks(n int) ([]*Conn, *sink) {
	e := NewEndpoint(defaults(), nil)
	k := &sink{}
	conns := make([]*Conn, n)
	for i := range conns {
		c := &Conn{endpoint: e, shard: &e.shards[i%len(e.shards)], transport: WebSockets, state: state{linkServing, appRunning}}
		c.out.behindAt = FreeBytes
		s := &socket{conn: c, raw: k}
		s.tryW = func(uintptr) bool {
			s.wrote, s.wErr = len(s.out), nil
			k.bytes.Add(int64(len(s.out)))
			return true
		}
		c.socket = s
		conns[i] = c
	}
	return conns, k
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

func TestABusyConnectionDoesNotStarveItsShard(t *testing.T) {
	conns, _ := sinks(2)
	busy, other := conns[0], conns[1]
	other.shard = busy.shard
	frame := text(strings.Repeat("x", joinLimit)) // one write each
	busy.socket.tryW = func(uintptr) bool {
		busy.socket.wrote = len(busy.socket.out)
		_ = busy.Send(frame) // there is always more to write
		return true
	}
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
		one.socket.tryW = func(uintptr) bool {
			one.socket.wrote = len(one.socket.out)
			_ = other.Send(text("x")) // its turn comes after a pause
			return true
		}
		_ = one.Send(text("x"))
		synctest.Wait()
		if !one.shard.running.Load() {
			t.Fatal("the flusher makes no pause")
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := one.endpoint.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
				if one.shard.running.Load() || !other.out.empty() {
					t.Error("the flusher is not done after Shutdown")
				}
			})
		}
		both.Wait()
	})
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
