package transport

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestAWheelReturnsEachConnectionWhenItIsDue(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		w, at := &wheel{}, uint32(0)
		due := map[*Conn]uint32{}
		conns := make([]*Conn, 50)
		for i := range conns {
			conns[i] = &Conn{}
		}
		for range 2000 {
			c := conns[r.IntN(len(conns))]
			_, known := due[c]
			switch what := r.IntN(10); {
			case what == 0 && known:
				w.remove(c)
				delete(due, c)
			case what < 3 && !known:
				w.add(c)
				due[c] = at + 1
			case what < 7: // does nothing to one that is not in the wheel
				ticks := 1 + r.Uint32N(mostTicks)
				w.move(c, ticks)
				if known {
					due[c] = at + ticks
				}
			default:
				at += 1 + r.Uint32N(3)
				w.turn(at)
				for c := w.next(); c != nil; c = w.next() {
					if due[c] > at || due[c] == 0 {
						t.Fatalf("seed %d: due in tick %d, returned in %d", seed, due[c], at)
					}
					due[c] = at + 1
				}
				for _, when := range due {
					if when <= at {
						t.Fatalf("seed %d: due in tick %d, not returned in %d", seed, when, at)
					}
				}
			}
		}
	}
}

func TestTheSweeperLooksAtIdleConnectionsOnlyWhenTheirAppsWantIt(t *testing.T) {
	looks := func(t *testing.T, rest, during time.Duration) (ticks int) {
		inBubble(t, defaults(), func(a *echoApp) { a.rest = rest }, func(t *testing.T, n *node) {
			p := n.upgrade("/hub")
			a := n.app()
			time.Sleep(during)
			a.mu.Lock()
			ticks = a.ticks
			a.mu.Unlock()
			_ = p.conn.Close()
		})
		return ticks
	}
	if n := looks(t, 0, time.Minute); n < 59 {
		t.Errorf("%d looks in a minute at one whose App wants each, want 60", n)
	}
	if n := looks(t, 15*time.Second, 10*time.Minute); n < 37 || n > 41 {
		t.Errorf("%d looks in ten minutes at one whose App wants none for 15 s, want one in 16 s", n)
	}
	if n := looks(t, forever, time.Hour); n < 56 || n > 60 {
		t.Errorf("%d looks in an hour at one whose App wants none, want one in 63 s", n)
	}
}

// unswept serves a node whose sweeper does not look by itself, and returns a client
// that is asleep.
func unswept(t *testing.T) (*peer, *Conn) {
	t.Helper()
	n := serve(t, defaults(), func(a *echoApp) { a.rest = time.Minute })
	n.endpoint.ticking, n.endpoint.quit = true, make(chan struct{})
	p := n.upgrade("/hub")
	c := n.app().conn
	p.send(opText, "hello")
	p.expect(opText, "hello")
	eventually(t, "an idle connection falls asleep", func() bool {
		c.lookAt(1)
		c.tick(time.Now())
		return c.isAsleep()
	})
	return p, c
}

func (c *Conn) isAsleep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asleep
}

func TestWhatTheSweeperMustSeeWakesAConnection(t *testing.T) {
	changes := map[string]func(t *testing.T, p *peer, c *Conn){
		"much is received": func(_ *testing.T, p *peer, _ *Conn) {
			p.send(opText, fmt.Sprint(make([]byte, quietBytes)))
		},
		"its client takes nothing": func(_ *testing.T, _ *peer, c *Conn) {
			_ = c.Send(text(strings.Repeat("x", 30<<20))) // more than the system takes
		},
		"the App waits for its client": func(_ *testing.T, _ *peer, c *Conn) { c.Behind(time.Now()) },
		"only the latest is wanted":    func(_ *testing.T, _ *peer, c *Conn) { c.DropOldest(1000) },
		"the App has finished":         func(_ *testing.T, _ *peer, c *Conn) { c.Finish() },
		"the client has gone":          func(_ *testing.T, p *peer, _ *Conn) { _ = p.conn.Close() },
		"its credentials are new":      func(_ *testing.T, _ *peer, c *Conn) { c.endpoint.refresh(nil, c, "user") },
		"something is sent once more":  sendTwice,
		"it was found too slow":        func(_ *testing.T, _ *peer, c *Conn) { c.TooSlow() },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			p, c := unswept(t)
			change(t, p, c)
			eventually(t, "it is awake", func() bool { return !c.isAsleep() })
		})
	}
}

func sendTwice(t *testing.T, p *peer, c *Conn) {
	for range 2 {
		_ = c.Send(text("hello"))
		p.expect(opText, "hello")
		writingIsOver(t, c)
	}
}

// writingIsOver waits until what the client has received is accounted for.
func writingIsOver(t *testing.T, c *Conn) {
	eventually(t, "the writing is over", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.out.queued == 0 && !c.socket.writing
	})
}

// One ping in a while is no reason to look again, and no memory stays for it.
func TestAPingLeavesAConnectionAsleep(t *testing.T) {
	p, c := unswept(t)
	if err := c.SendNow(text("ping")); err != nil {
		t.Fatal(err)
	}
	p.expect(opText, "ping")
	writingIsOver(t, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asleep || c.out.frames != nil {
		t.Errorf("asleep %t with memory for %d frames", c.asleep, cap(c.out.frames))
	}
}

func TestSendNowWritesAtOnceAndInOrder(t *testing.T) {
	conns, k := sinks(1)
	c := conns[0]
	for i := range 3 {
		if err := c.SendNow(text("now")); err != nil {
			t.Fatal(err)
		}
		if got := k.writes.Load(); got != int64(i+1) {
			t.Errorf("%d writes after %d sends", got, i+1)
		}
	}
	c.Cork()
	_ = c.Send(text("first"))
	_ = c.SendNow(text("then"))
	if got := k.writes.Load(); got != 3 {
		t.Errorf("%d writes, want none while it is corked", got-3)
	}
	c.Uncork()
	drained(t, conns)
}

// What a second of an idle connection costs the sweeper. Awake is what it costs
// where the sweeper looks at each connection each second.
func BenchmarkIdleSecond(b *testing.B) {
	for _, c := range []struct {
		name string
		rest time.Duration
	}{{"asleep", 15 * time.Second}, {"awake", 0}} {
		b.Run(c.name, func(b *testing.B) {
			const clients = 10_000
			conns, _ := sinks(clients)
			e := conns[0].endpoint
			for _, conn := range conns {
				conn.handler = &echoApp{conn: conn, rest: c.rest}
				conn.socket.how.Store(isParked)
				e.wheel.add(conn)
			}
			b.ResetTimer()
			for second := 0; second*clients < b.N; second++ {
				e.wheel.turn(e.wheel.at.Load() + 1)
				for conn := e.wheel.next(); conn != nil; conn = e.wheel.next() {
					conn.tick(time.Now())
				}
			}
		})
	}
}
