//go:build linux

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// What is sent while somebody counts is missing, or delivered, but never
// delivered more often than it was sent.
func TestDeliveriesAreNeverMoreThanWasSent(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	sender := &conn{fd: fds[0]}
	defer sender.close()
	g := &group{r: &run{}, t: protoJSON.invocation(false, "Broadcast", text(100)), conns: []*conn{sender}, sender: sender}
	const messages = 20_000
	var done atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { // the client that gets what is sent, and the one who counts it
		defer done.Store(true)
		defer syscall.Close(fds[1])
		size, got := 0, 0
		buf := make([]byte, 64<<10)
		for delivered := 0; delivered < messages; {
			n, err := syscall.Read(fds[1], buf)
			if err != nil || n <= 0 {
				t.Errorf("read %d bytes: %v", n, err)
				return
			}
			if size == 0 {
				size = n // the first message comes alone
			}
			got += n
			g.deliv.Add(uint64(got/size - delivered))
			delivered = got / size
		}
	})
	wg.Go(func() {
		for !done.Load() {
			if n := g.missing(); n < 0 {
				t.Errorf("%d are missing", n)
				return
			}
		}
	})
	for i := range messages {
		g.send(now())
		for !done.Load() && (g.missing() > 50 || i == 0 && g.missing() > 0) { // the socket takes them all
			runtime.Gosched()
		}
	}
}
