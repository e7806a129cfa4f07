package transport

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Clients send to all 500, and again when they have what they sent. With a goroutine for each
// shard, whatever writes take along, a delivery costs three to eight times as much.
func BenchmarkBroadcastsInFlight(b *testing.B) {
	for _, inFlight := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) { broadcastsInFlight(b, inFlight) })
	}
}

func broadcastsInFlight(b *testing.B, inFlight int) {
	const all, size = 500, 100
	var conns []*Conn // set before anybody sends
	n := serve(b, defaults(), func(a *echoApp) {
		a.receive = func(p []byte, _ bool) bool {
			f := text(string(p))
			for _, c := range conns {
				_ = c.Send(f)
			}
			return true
		}
	})
	var peers []*peer
	for range all {
		peers = append(peers, n.upgrade("/hub"))
		conns = append(conns, n.app().conn)
	}
	var left, got, reads atomic.Int64
	left.Store(int64(b.N))
	over := make(chan struct{})
	var readers sync.WaitGroup
	for i, p := range peers {
		sends, own := i < inFlight, []byte{byte('A' + i%26)}
		message := []byte(clientFrame(opText, string(bytes.Repeat(own, size))))
		send := func() {
			if left.Add(-1) < 0 {
				return
			}
			_, _ = p.conn.Write(message)
		}
		readers.Go(func() {
			if sends {
				send()
			}
			mine, buf := 0, make([]byte, 64<<10)
			for {
				read, err := p.r.Read(buf)
				if err != nil {
					return
				}
				reads.Add(1)
				if got.Add(int64(read)) == int64(b.N)*all*(size+2) {
					close(over)
				}
				if !sends {
					continue
				}
				for mine += bytes.Count(buf[:read], own); mine >= size; mine -= size {
					send()
				}
			}
		})
	}
	began := cpuTime()
	<-over
	took := cpuTime() - began
	for _, p := range peers {
		_ = p.conn.Close()
	}
	readers.Wait()
	b.ReportMetric(float64(took)/float64(b.N*all), "cpu-ns/delivery")
	b.ReportMetric(float64(b.N*all)/float64(reads.Load()), "frames/read")
}

// cpuTime is that of the process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
