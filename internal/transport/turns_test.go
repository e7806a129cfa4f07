package transport

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A stranger is a goroutine that is always ready to run. Only one processor is left to
// all, so that it runs when another one waits or lets it.
type stranger struct {
	ran   atomic.Int64
	steps struct {
		sync.Mutex
		last, rows, all int64
	}
}

func newStranger(t *testing.T) *stranger {
	before := runtime.GOMAXPROCS(1)
	s := &stranger{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				s.ran.Add(1)
				runtime.Gosched()
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		runtime.GOMAXPROCS(before)
	})
	return s
}

// step notes a piece of work of the goroutine that is watched.
func (s *stranger) step() {
	x := &s.steps
	x.Lock()
	defer x.Unlock()
	if now := s.ran.Load(); x.all == 0 || now != x.last {
		x.last = now
		x.rows++
	}
	x.all++
}

// want fails if there were more than most steps in a row. That is a mean: now and then
// Go's scheduler takes another one before the stranger, with the race detector by chance.
func (s *stranger) want(t *testing.T, most int64) {
	t.Helper()
	x := &s.steps
	x.Lock()
	defer x.Unlock()
	if x.all > most*x.rows {
		t.Errorf("%d steps were done in %d rows, want %d in a row at most", x.all, x.rows, most)
	}
	if x.all <= most {
		t.Errorf("there were only %d steps", x.all)
	}
}

// A client that says as much as it can leaves the processor to others, however it is
// read.
func TestAClientThatAlwaysSaysSomethingLetsOthersRun(t *testing.T) {
	const messages, length = 1 << 11, 100 // 200 KiB, which the system holds
	flood := strings.Repeat(clientFrame(opText, strings.Repeat("x", length)), messages)
	most := map[string]int64{"auto": 6, "goroutine": 6, "poll": 6, "TLS": 15} // twice what a turn has; without turns 14 and 20 come
	for name, serveIt := range map[string]func(t *testing.T) *node{
		"auto":      func(t *testing.T) *node { return serve(t, withReaders(ReadersAuto), nil) },
		"goroutine": func(t *testing.T) *node { return serve(t, withReaders(ReadersGoroutine), nil) },
		"poll":      func(t *testing.T) *node { return serve(t, withReaders(ReadersPoll), nil) },
		"TLS":       func(t *testing.T) *node { return serveTLS(t, withReaders(ReadersAuto), bareTLS) },
	} {
		t.Run(name, func(t *testing.T) {
			n := serveIt(t)
			p := n.upgrade("/hub")
			a := n.app()
			s := newStranger(t)
			begin, done := make(chan struct{}), make(chan struct{})
			got := 0
			a.receive = func(p []byte, _ bool) bool {
				if got == 0 {
					a.conn.BeforeWait()
					<-begin
				}
				s.step()
				if got += len(p); got == 1+messages*length {
					close(done)
				}
				return true
			}
			p.send(opText, "1")
			p.write(flood)
			close(begin)
			<-done
			s.want(t, most[name])
		})
	}
}

// A client that says much, and waits in between, is served after those that are woken with it.
func TestAHeavyClientIsServedAfterOthers(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	const much, rounds = 3 << 20, 30
	flood := strings.Repeat(clientFrame(opText, strings.Repeat("x", 16<<10)), much/(16<<10))
	for name, serveIt := range map[string]func(t *testing.T) *node{
		"auto":      func(t *testing.T) *node { return serve(t, withReaders(ReadersAuto), nil) },
		"goroutine": func(t *testing.T) *node { return serve(t, withReaders(ReadersGoroutine), nil) },
		"TLS":       func(t *testing.T) *node { return serveTLS(t, withReaders(ReadersAuto), bareTLS) },
	} {
		t.Run(name, func(t *testing.T) {
			if name != "goroutine" && readersNow == "poll" {
				t.Skip("HUBWIRE_READERS says that one goroutine reads both clients, in the order of the system")
			}
			n := serveIt(t)
			// No tick ends while it says much, nor later: it is heavy in one, and the next.
			n.endpoint.ticking, n.endpoint.quit = true, make(chan struct{})
			served := make(chan string, 2)
			join := func(who string, silent int) *peer {
				p := n.upgrade("/hub")
				got := 0
				n.app().receive = func(p []byte, _ bool) bool {
					if got += len(p); got >= silent {
						served <- who
					}
					return true
				}
				return p
			}
			heavy, other := join("heavy", much), join("other", 0)
			heavy.write(flood)
			<-served
			first := 0
			for range rounds {
				other.send(opText, "x")
				heavy.send(opText, "x") // Go runs what has become readable last first
				if <-served == "other" {
					first++
				}
				<-served
			}
			// Now and then they are not woken together.
			if first < rounds*2/3 {
				t.Errorf("the other client was served first in %d of %d rounds", first, rounds)
			}
		})
	}
}

// Nor do many clients that say something at once, and that one goroutine reads.
func TestClientsOfOneSetLetOthersRun(t *testing.T) {
	if !haveRaw || runtime.GOOS != "linux" {
		t.Skip("no client is parked here")
	}
	before := runtime.GOMAXPROCS(1) // the endpoint has one set
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	n := serve(t, withReaders(ReadersPoll), nil)
	var s *stranger
	const clients = 8 * 64
	var left atomic.Int64
	left.Store(clients)
	done := make(chan struct{})
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = n.upgrade("/hub")
		a := n.app()
		a.receive = func([]byte, bool) bool {
			if s.step(); left.Add(-1) == 0 {
				close(done)
			}
			return true
		}
		eventually(t, "it is parked", a.conn.isParkedNow)
	}
	s = newStranger(t)
	for _, p := range peers {
		p.send(opText, "x")
	}
	<-done
	s.want(t, 4*64)
}

func TestAMessageToManyLetsOthersRun(t *testing.T) {
	s := newStranger(t)
	conns, _ := sinks(500)
	for _, c := range conns {
		sinkOf(c).then = s.step
	}
	for _, c := range conns {
		_ = c.Send(text("x"))
	}
	drained(t, conns)
	s.want(t, 3*64)
}
