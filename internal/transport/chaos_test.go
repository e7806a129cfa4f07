package transport

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEverythingAtOnce lets clients of all transports and their Apps do at
// random, and at the same time, all that either side may do. Nothing may hang,
// and in the end nothing may be left.
func TestEverythingAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	opts := defaults()
	opts.CloseTimeout = 20 * time.Millisecond
	opts.TransportSendTimeout = 50 * time.Millisecond
	opts.PollTimeout = 20 * time.Millisecond
	opts.DisconnectTimeout = 100 * time.Millisecond
	opts.Limit = NewLimit(1 << 20)
	opts.AllowStatefulReconnects = true
	n := serve(t, opts, func(a *echoApp) {
		seed := rand.Uint64()
		a.onStart = func() { go actAtRandom(a, rand.New(rand.NewPCG(seed, 1))) }
	})
	const clients, rounds = 16, 25
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range rounds {
				clientAtRandom(n, r)
			}
		})
	}
	group.Wait()
	eventually(t, "everything is forgotten", func() bool { return n.connections() == 0 })
}

// actAtRandom is what an App does, from a goroutine of its own.
func actAtRandom(a *echoApp, r *rand.Rand) {
	frame := text(strings.Repeat("x", 1+r.IntN(40_000)))
	for range r.IntN(30) {
		switch r.IntN(12) {
		case 0:
			a.conn.Cork()
			_ = a.conn.Send(frame)
			a.conn.Uncork()
		case 1:
			a.conn.Abort(io.EOF)
		case 2:
			a.conn.Finish()
		case 3:
			a.conn.FinishError()
		case 4:
			a.Shutdown()
		case 5:
			_ = a.conn.WouldWait()
		case 6:
			<-time.After(time.Millisecond)
		default:
			if a.conn.Send(frame) == ErrTooSlow {
				a.conn.Abort(ErrTooSlow)
			}
		}
	}
	<-time.After(5 * time.Millisecond)
	a.conn.Finish()
}

// clientAtRandom opens a connection and leaves it in one of many ways.
func clientAtRandom(n *node, r *rand.Rand) {
	url := n.negotiate([]string{"", "&useStatefulReconnect=true"}[r.IntN(2)])
	do := func(method string, headers ...string) *peer {
		p := n.dial()
		_, _ = io.WriteString(p.conn, method+" "+url+" HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n"+strings.Join(append(headers, "\r\n"), "\r\n"))
		return p
	}
	peers := []*peer{}
	switch r.IntN(4) {
	case 0, 1:
		p := do("GET", handshakeHeaders...)
		peers = append(peers, p)
		for range r.IntN(20) {
			_, _ = io.WriteString(p.conn, clientFrame([]byte{opText, opBinary, opPing}[r.IntN(3)], strings.Repeat("y", r.IntN(120))))
		}
		if r.IntN(3) == 0 {
			_, _ = io.WriteString(p.conn, clientFrame(opClose, "\x03\xe8"))
		}
		if r.IntN(4) == 0 {
			peers = append(peers, do("GET", handshakeHeaders...))
		}
	case 2:
		peers = append(peers, do("GET", "Accept: text/event-stream"))
	default:
		for range 1 + r.IntN(5) {
			peers = append(peers, do("GET"))
		}
	}
	for range r.IntN(3) {
		peers = append(peers, do([]string{"POST", "DELETE"}[r.IntN(2)]))
	}
	for _, p := range peers {
		switch r.IntN(3) {
		case 0:
			_ = p.conn.(*net.TCPConn).SetLinger(0)
		case 1:
			_ = p.conn.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(10)) * time.Millisecond))
			_, _ = io.Copy(io.Discard, p.r)
		}
		_ = p.conn.Close()
	}
}
