package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// stuck returns connections whose sockets take nothing, at one limit.
func stuck(n int, most int64) ([]*Conn, *Limit) {
	conns, _ := sinks(n)
	l := NewLimit(most)
	for _, c := range conns {
		c.endpoint.opts.Limit = l
		c.socket.writing = true
		c.handler = &echoApp{conn: c, over: make(chan struct{}), linger: true}
		c.socket.net = closedConn{}
	}
	return conns, l
}

func TestBytesThatManyQueuesShareCountOnce(t *testing.T) {
	conns, l := stuck(10, 1<<40)
	frame := text(strings.Repeat("x", 50_000))
	for range 3 { // the first one is within what is free
		for _, c := range conns {
			_ = c.Send(frame)
		}
	}
	if got, want := l.Used(), int64(len(frame.buf)); got != want {
		t.Errorf("%d bytes count, want %d: they are the same for all", got, want)
	}
	other := text(strings.Repeat("y", 50_000))
	_ = conns[0].Send(other)
	if got, want := l.Used(), int64(len(frame.buf)+len(other.buf)); got != want {
		t.Errorf("%d bytes count, want %d", got, want)
	}
	for i, c := range conns {
		c.mu.Lock()
		switch i % 3 { // all the ways out of a queue
		case 0:
			c.out.drop()
		case 1:
			c.out.takeSome(nil, 1<<30)
			c.writtenLocked(10)
			c.writtenLocked(c.out.inFlight)
		default:
			c.out.takeSome(nil, 1)
			c.mu.Unlock()
			c.TooSlow()
			c.mu.Lock()
			c.writtenLocked(c.out.inFlight)
		}
		c.mu.Unlock()
	}
	eventually(t, "nothing counts", func() bool { return l.Used() == 0 && len(l.uses) == 0 && len(l.behind) == 0 })
}

func TestTheFurthestBehindGiveWayUntilItFits(t *testing.T) {
	conns, l := stuck(6, 1_100_000)
	now := time.Now()
	for i, c := range conns {
		since := map[int]time.Duration{0: 9, 1: 5, 2: 20, 3: 5, 4: 1, 5: 7}[i]
		c.slowWatchLocked().markAt = now.Add(-since * time.Second)
		_ = c.Queue(text(strings.Repeat("x", 60_000))) // free
		size := 200_000
		if i == 3 { // as far behind as 1, with more bytes
			size = 250_000
		}
		_ = c.Queue(text(strings.Repeat("x", size)))
	}
	slow := func() (which []int) {
		for i, c := range conns {
			c.mu.Lock()
			if w := c.out.watch; w != nil && !w.foundAt.IsZero() {
				which = append(which, i)
			}
			c.mu.Unlock()
		}
		return which
	}
	l.Relieve()
	if got := fmt.Sprint(slow()); got != "[2]" {
		t.Errorf("%s gave way for 50,000 bytes, want the one that is 20 s behind", got)
	}
	_ = conns[4].Queue(text(strings.Repeat("x", 400_000)))
	l.Relieve()
	if got := fmt.Sprint(slow()); got != "[0 2 5]" {
		t.Errorf("%s gave way, want those that are 20, 9 and 7 s behind", got)
	}
	_ = conns[4].Queue(text(strings.Repeat("x", 100_000)))
	l.Relieve()
	if got := fmt.Sprint(slow()); got != "[0 2 3 5]" {
		t.Errorf("%s gave way, want of two the one with more bytes", got)
	}
	if got := l.Used(); got > 1_100_000 {
		t.Errorf("%d bytes count, more than the limit", got)
	}
	if got := l.TooSlow(); got != 4 {
		t.Errorf("TooSlow() = %d, want 4", got)
	}
}

func TestASenderRelievesTheLimitBeforeItReturns(t *testing.T) {
	for name, send := range map[string]func(*Conn, Frame) error{
		"Send":     (*Conn).Send,
		"SendWait": func(c *Conn, f Frame) error { return c.SendWait(t.Context(), f) },
		"Queue":    func(c *Conn, f Frame) error { defer c.Relieve(); return c.Queue(f) },
	} {
		conns, l := stuck(2, 250_000)
		_ = conns[0].Queue(text(strings.Repeat("x", 200_000)))
		conns[0].slowWatchLocked().markAt = time.Now().Add(-time.Second)
		if err := send(conns[1], text(strings.Repeat("x", 100_000))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if l.Used() > 250_000 || conns[0].Send(text("x")) == nil {
			t.Errorf("%s: %d bytes count, want no more than 250,000: the other client is further behind", name, l.Used())
		}
	}
}

func TestOneThatStillHoldsBytesThoughItWasToldToEndIsCut(t *testing.T) {
	conns, l := stuck(1, 100_000)
	c := conns[0]
	_ = c.Queue(text(strings.Repeat("x", 200_000)))
	c.mu.Lock()
	c.out.takeSome(nil, 1) // being written
	c.mu.Unlock()
	c.TooSlow()
	if l.Used() == 0 {
		t.Error("what is being written does not count")
	}
	l.Relieve()
	c.mu.Lock()
	link := c.link // the App, which was told, may be finishing
	c.mu.Unlock()
	if l.Used() != 0 || !link.over() {
		t.Errorf("%d bytes count, the link is %v; want the connection cut", l.Used(), link)
	}
}

func TestOneMessageThatIsTooMuchForTheLimitIsCutAtOnce(t *testing.T) {
	conns, l := stuck(1, 100_000)
	c := conns[0]
	c.handler.(*echoApp).mumbles = true
	_ = c.Queue(text(strings.Repeat("x", 200_000)))
	c.mu.Lock()
	c.out.takeSome(nil, 1) // being written: it cannot be dropped
	c.mu.Unlock()
	l.Relieve()
	if l.Used() != 0 {
		t.Errorf("%d bytes count, more than the limit", l.Used())
	}
}
