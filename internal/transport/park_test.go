//go:build linux

package transport

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIdleClientsNeedNoGoroutine(t *testing.T) {
	t.Run("plain", func(t *testing.T) { idleClients(t, serve(t, withReaders(ReadersPoll), nil)) })
	t.Run("TLS", func(t *testing.T) { idleClients(t, serveTLS(t, withReaders(ReadersPoll), bareTLS)) })
	t.Run("TLS of a lean listener", func(t *testing.T) { idleClients(t, serveTLS(t, withReaders(ReadersPoll), LeanTLS)) })
}

func idleClients(t *testing.T, n *node) {
	const clients = 100
	conns, peers := make([]*Conn, clients), make([]*peer, clients)
	for i := range peers {
		peers[i] = n.upgrade("/hub")
		conns[i] = n.app().conn
	}
	for round := range 3 {
		for i, c := range conns {
			eventually(t, "the client is parked", c.isParkedNow)
			peers[i].send(opText, fmt.Sprint("hello ", i, round))
			peers[i].expect(opText, fmt.Sprint("hello ", i, round))
		}
	}
	eventually(t, "no goroutine reads for one client", func() bool { return countStacks("transport.(*socket).readAll") == 0 })
	for _, c := range conns {
		eventually(t, "the client is parked, without a read buffer", func() bool {
			set := &c.shard.parked
			set.mu.Lock() // nobody takes it meanwhile
			defer set.mu.Unlock()
			return c.socket.how.Load() == isParked && c.socket.buf == nil
		})
	}
}

func TestAClientThatSaysNothingIsParkedAndOneThatSaysMuchIsNot(t *testing.T) {
	if readersNow != "" {
		t.Skip("HUBWIRE_READERS says how clients are read")
	}
	n := serve(t, withReaders(ReadersAuto), nil)
	n.endpoint.ticking, n.endpoint.quit = true, make(chan struct{}) // the sweeper must not look by itself
	p := n.upgrade("/hub")
	c := n.app().conn
	say := func(what string) {
		p.send(opText, what)
		p.expect(opText, what)
	}
	c.lookAt(parkAfter)
	eventually(t, "a client that says nothing is parked", c.isParkedNow)
	say("a word")
	eventually(t, "a client that says a word is parked again", c.isParkedNow)
	say(strings.Repeat("x", quietBytes+1))
	if c.isParkedNow() {
		t.Error("a client that has sent much is parked")
	}
	c.lookAt(1) // it sees what was read
	c.lookAt(parkAfter - 1)
	if c.isParkedNow() {
		t.Error("parked before it was quiet for long enough")
	}
	c.lookAt(1)
	eventually(t, "it is parked again", c.isParkedNow)
	for range quietReads + 1 {
		say("busy")
	}
	if c.isParkedNow() {
		t.Error("a client that is busy is parked")
	}
}

// What one client makes wait holds up no other one that is watched by the same
// goroutine: neither an App that waits nor a method that keeps the goroutine.
func TestParkedClientsDoNotWaitForEachOther(t *testing.T) {
	for _, how := range []string{
		"the App waits", "a method keeps the goroutine", "the goroutine ends",
		"its socket is lost, and the App waits", "its connection is aborted, and a method keeps the goroutine",
	} {
		t.Run(how, func(t *testing.T) {
			release, began, first := make(chan struct{}), make(chan struct{}), true
			n := serve(t, withReaders(ReadersPoll), func(a *echoApp) {
				if !first {
					return
				}
				first = false
				a.receive = func(p []byte, isReader bool) bool {
					close(began)
					switch how {
					case "the App waits":
						a.conn.BeforeWait()
						<-release
						return true
					case "the goroutine ends":
						go a.conn.ReadOn()
						runtime.Goexit()
					case "its socket is lost, and the App waits":
						a.conn.lost(a.conn.socket, io.EOF)
						a.conn.BeforeWait()
						<-release
						return true
					case "its connection is aborted, and a method keeps the goroutine":
						a.conn.Abort(io.EOF)
					}
					go a.conn.ReadOn()
					<-release
					return false
				}
			})
			slow := n.upgrade("/hub")
			c := n.app().conn
			eventually(t, "it is parked", c.isParkedNow)
			others := make([]*peer, 2*len(n.endpoint.flushers.shards)) // some are in the same set
			for i := range others {
				others[i] = n.upgrade("/hub")
				eventually(t, "it is parked", n.app().conn.isParkedNow)
			}
			slow.send(opText, "wait")
			<-began
			for _, p := range others {
				p.send(opText, "hello")
				p.expect(opText, "hello")
			}
			p := n.upgrade("/hub")
			eventually(t, "it is parked", n.app().conn.isParkedNow)
			p.send(opText, "hello")
			p.expect(opText, "hello")
			close(release)
		})
	}
}

func TestAParkedClientIsClosedAsAnyOther(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		closeParked(t, func(t *testing.T, opts Options) *node { return serve(t, opts, nil) })
	})
	t.Run("TLS", func(t *testing.T) {
		closeParked(t, func(t *testing.T, opts Options) *node { return serveTLS(t, opts, bareTLS) })
	})
	t.Run("TLS of a lean listener", func(t *testing.T) {
		closeParked(t, func(t *testing.T, opts Options) *node { return serveTLS(t, opts, LeanTLS) })
	})
}

func closeParked(t *testing.T, serve func(*testing.T, Options) *node) {
	openWith := func(t *testing.T, opts Options) (*node, *peer, *echoApp) {
		n := serve(t, opts)
		p := n.upgrade("/hub")
		a := n.app()
		eventually(t, "it is parked", a.conn.isParkedNow)
		return n, p, a
	}
	open := func(t *testing.T) (*node, *peer, *echoApp) { return openWith(t, withReaders(ReadersPoll)) }
	gone := func(t *testing.T, n *node) {
		t.Helper()
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	}
	t.Run("by its client", func(t *testing.T) {
		n, p, a := open(t)
		p.send(opClose, "\x03\xe8")
		p.expect(opClose, `1000 ""`)
		if err := a.end(t); err != nil {
			t.Errorf("cause = %v, want none", err)
		}
		gone(t, n)
	})
	t.Run("by its client, without a word", func(t *testing.T) {
		n, p, a := open(t)
		_ = p.conn.Close()
		if err := a.end(t); err == nil {
			t.Error("no cause")
		}
		gone(t, n)
	})
	t.Run("by the server", func(t *testing.T) {
		n, p, a := open(t)
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		p.send(opClose, "\x03\xe8")
		p.expectEnd()
		gone(t, n)
	})
	t.Run("by the server, and the client does not answer", func(t *testing.T) {
		opts := withReaders(ReadersPoll)
		opts.CloseTimeout = 100 * time.Millisecond
		n, p, a := openWith(t, opts)
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		gone(t, n)
	})
	t.Run("by an abort", func(t *testing.T) {
		n, _, a := open(t)
		a.conn.Abort(io.ErrUnexpectedEOF)
		if err := a.end(t); err != io.ErrUnexpectedEOF {
			t.Errorf("cause = %v, want that of the abort", err)
		}
		gone(t, n)
	})
}

// Descriptors are used again at once here: whatever is delivered must be its own.
func TestWhatIsReadIsTheConnectionsOwnHoweverFastDescriptorsAreUsedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	n := serve(t, withReaders(ReadersPoll), nil)
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for round := range 60 {
				if r.IntN(3) == 0 {
					url := n.negotiate()
					p, stream := n.openSSE(url)
					mine := fmt.Sprintf("data: %d/%d%s\r\n\r\n", i, round, strings.Repeat("x", r.IntN(2*quietBytes)))
					n.do("POST", url, mine[len("data: "):len(mine)-len("\r\n\r\n")])
					if got := readN(t, stream, len(mine)); got != mine {
						t.Errorf("got %.60q, want %.60q", got, mine)
					}
					_ = p.conn.Close()
					continue
				}
				p := n.upgrade("/hub")
				for word := range r.IntN(4) {
					mine := fmt.Sprintf("%d/%d/%d%s", i, round, word, strings.Repeat("x", r.IntN(2*quietBytes)))
					p.send(opText, mine)
					if first, got, err := p.tryFrame(); err != nil || first != opText || got != mine {
						t.Errorf("got %x %.60q %v, want %.60q", first, got, err, mine)
						return
					}
				}
				if r.IntN(2) == 0 {
					p.send(opClose, "\x03\xe8")
				}
				_ = p.conn.Close()
			}
		})
	}
	clients.Wait()
	eventually(t, "everything is forgotten", func() bool { return n.connections() == 0 })
}

func TestTheWatchEndsWithTheLastConnection(t *testing.T) {
	n := serve(t, withReaders(ReadersPoll), nil)
	watches := func() (open int) {
		for i := range n.endpoint.flushers.shards {
			p := &n.endpoint.flushers.shards[i].parked
			p.mu.Lock()
			if p.watch != nil {
				open++
			}
			p.mu.Unlock()
		}
		return open
	}
	for range 3 {
		p := n.upgrade("/hub")
		eventually(t, "it is parked", n.app().conn.isParkedNow)
		if watches() != 1 {
			t.Errorf("%d sets are watched, want 1", watches())
		}
		_ = p.conn.Close()
		eventually(t, "no set is watched", func() bool { return watches() == 0 })
	}
}

// Over TLS a goroutine writes each ping. It is done before the sweeper begins the next one,
// as a rule: for thousands of clients it would have a thousand stacks.
func TestTheSweeperLetsAPingOverTLSBeWrittenBeforeTheNextOne(t *testing.T) {
	const clients = 100
	n := serveTLS(t, withReaders(ReadersPoll), bareTLS)
	n.endpoint.ticking, n.endpoint.quit = true, make(chan struct{}) // the sweeper must not look by itself
	conns, peers := make([]*Conn, clients), make([]*peer, clients)
	for i := range peers {
		peers[i] = n.upgrade("/hub")
		a := n.app()
		a.onTick = func(time.Time) { _ = a.conn.SendNow(text("ping")) }
		conns[i] = a.conn
		eventually(t, "the client is parked", a.conn.isParkedNow)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that nobody else writes meanwhile
	begun := 0
	for _, c := range conns {
		c.tick(time.Now())
		c.mu.Lock()
		if c.socket.writing {
			begun++
		}
		c.mu.Unlock()
	}
	if begun > clients/2 {
		t.Errorf("%d of %d pings are still to be written", begun, clients)
	}
	for _, p := range peers {
		p.expect(opText, "ping")
	}
}
