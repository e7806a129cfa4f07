package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// numbered is frame i of a test: longer than what is joined, so that each is
// written by itself.
func numbered(i, size int) Frame {
	return text(fmt.Sprintf("%05d%s", i, strings.Repeat("x", size-5)))
}

// A slowReader reads a little at a time.
type slowReader struct {
	r     io.Reader
	most  int
	pause time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(p[:min(len(p), s.most)])
}

// openings open a connection over each transport; what it is sent is read from
// body, whatever surrounds it.
var openings = map[string]func(n *node) (p *peer, body io.Reader){
	"WebSockets": func(n *node) (*peer, io.Reader) {
		p := n.upgrade("/hub")
		return p, p.r
	},
	"ServerSentEvents": func(n *node) (*peer, io.Reader) {
		p := n.dial()
		p.request("GET", n.negotiate(), "", "Accept: text/event-stream")
		p.head()
		return p, httputil.NewChunkedReader(p.r)
	},
	"ServerSentEvents of HTTP/1.0": func(n *node) (*peer, io.Reader) {
		p := n.dial()
		p.write("GET " + n.negotiate() + " HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		p.head()
		return p, p.r
	},
	"LongPolling": func(n *node) (*peer, io.Reader) {
		p, url := n.dial(), n.negotiate()
		p.request("GET", url, "")
		p.response("GET")
		return p, &polls{p: p, url: url}
	},
}

// head reads the head of an answer.
func (p *peer) head() {
	p.t.Helper()
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = p.r.ReadString('\n'); err != nil {
			p.t.Fatal(err)
		}
	}
}

// polls reads the bodies of one poll after the other.
type polls struct {
	p    *peer
	url  string
	left int64
}

func (l *polls) Read(b []byte) (int, error) {
	if l.left == 0 {
		l.p.request("GET", l.url, "")
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = l.p.r.ReadString('\n'); err != nil {
				return 0, err
			}
			if strings.HasPrefix(line, "HTTP/1.1 2") && !strings.Contains(line, "200") {
				return 0, io.EOF
			}
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &l.left)
		}
	}
	n, err := l.p.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

func TestALongMessageReachesAClientThatReadsSlowlyAllTheTime(t *testing.T) {
	for name, open := range openings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
				_, body := open(n)
				a := n.app()
				const size = 400_000 // 100 s at this pace: ten times the send timeout
				_ = a.conn.Send(text(strings.Repeat("x", size) + "end"))
				slow := &slowReader{r: body, most: 4000, pause: time.Second}
				got := ""
				for !strings.HasSuffix(got, "end") {
					b := make([]byte, 4096)
					m, err := slow.Read(b)
					if err != nil {
						t.Fatalf("after %d bytes: %v", len(got), err)
					}
					got = got[max(0, len(got)-10):] + strings.TrimRight(string(b[:m]), "\r\n")
				}
				if a.hasEnded() {
					t.Errorf("ended: %v", a.cause)
				}
			})
		})
	}
}

func TestAClientThatFallsBehindInTimeGetsABeginningAndTheFarewell(t *testing.T) {
	for name, open := range openings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
				_, body := open(n)
				a := n.app()
				start := time.Now()
				const messages, size = 100, joinMost
				for i := range messages {
					if err := a.conn.Send(numbered(i, size)); err != nil {
						t.Fatalf("Send = %v", err)
					}
				}
				refused := make(chan time.Duration, 1)
				go func() {
					for a.conn.Send(numbered(messages, size)) == nil {
						time.Sleep(time.Second)
					}
					refused <- time.Since(start)
				}()
				// One message in 4 s: 400 s for all of them.
				all, err := io.ReadAll(&slowReader{r: body, most: size / 8, pause: 500 * time.Millisecond})
				if err != nil && name == "WebSockets" {
					t.Logf("the end of reading: %v", err)
				}
				if took := <-refused; took < 30*time.Second || took > 70*time.Second {
					t.Errorf("refused after %v, want 30 s to twice that", took)
				}
				got := string(all)
				next := 0
				for ; strings.Contains(got, fmt.Sprintf("%05dx", next)); next++ {
				}
				if next == 0 || next == messages || strings.Count(got, "0x")+strings.Count(got, "1x") > next {
					t.Errorf("messages up to %d came", next)
				}
				for i := next; i < messages+1; i++ {
					if strings.Contains(got, fmt.Sprintf("%05dx", i)) {
						t.Errorf("message %d came behind a gap at %d", i, next)
					}
				}
				last, farewell := strings.LastIndex(got, "x"), strings.Index(got, "too slow")
				if farewell < last {
					t.Errorf("the farewell is at %d, the last message ends at %d", farewell, last)
				}
				synctest.Wait()
				if err := a.conn.Send(text("x")); !errors.Is(err, ErrTooSlow) && !errors.Is(err, ErrClosed) {
					t.Errorf("Send after the end = %v", err)
				}
			})
		})
	}
}

func TestAClientThatStaysALittleBehindIsNotTooSlow(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		const size = joinMost
		for i := range 60 { // one comes, one goes; five wait always
			if err := a.conn.Send(numbered(i, size)); err != nil {
				t.Fatalf("Send %d = %v", i, err)
			}
			if i < 5 {
				continue
			}
			time.Sleep(4 * time.Second)
			if _, payload := p.frame(); !strings.HasPrefix(payload, fmt.Sprintf("%05d", i-5)) {
				t.Fatalf("frame %.5q, want %d", payload, i-5)
			}
		}
		if a.hasEnded() {
			t.Errorf("ended: %v", a.cause)
		}
	})
}

func TestAClientThatIsTooSlowForItsFarewellIsCut(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		_ = a.conn.Send(text(strings.Repeat("x", 10_000_000)))
		time.Sleep(time.Second)
		a.conn.TooSlow()
		over := make(chan struct{})
		go func() { // a trickle, so that no write times out
			defer close(over)
			for b := make([]byte, piece); ; time.Sleep(5 * time.Second) {
				if _, err := io.ReadFull(p.r, b); err != nil {
					return
				}
			}
		}()
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if n.connections() != 0 {
			t.Error("the connection is not forgotten after the send timeout")
		}
		<-over
	})
}

func TestDropOldestKeepsTheLatestAndAllThatIsNoSend(t *testing.T) {
	conns, l := stuck(1, 1<<40)
	c := conns[0]
	c.DropOldest(100_000)
	c.mu.Lock()
	c.out.frames = append(c.out.frames, text("in flight").Latest())
	c.out.queued = len(c.out.frames[0].buf)
	c.out.takeSome(nil, 1)
	c.mu.Unlock()
	for i := range 100 {
		f := numbered(i, 10_000)
		if i%10 != 0 {
			f = f.Latest()
		}
		if i%10 == 0 && i < 60 {
			f = text(fmt.Sprintf("%05d answer", i))
		}
		if err := c.Send(f); err != nil {
			t.Fatalf("Send = %v", err)
		}
		if c.out.queued > 160_000 {
			t.Fatalf("%d bytes wait", c.out.queued)
		}
	}
	var got []string
	bytes := 0
	for i, f := range c.out.waiting() {
		bytes += len(f.buf)
		if i > 0 {
			got = append(got, string(f.Payload()[:5]))
		}
	}
	for i := 0; i < 100; i += 10 {
		if !strings.Contains(strings.Join(got, " "), fmt.Sprintf("%05d", i)) {
			t.Errorf("%d was dropped: it is no send", i)
		}
	}
	if got[len(got)-1] != "00099" || string(c.out.waiting()[0].Payload()) != "in flight" {
		t.Errorf("queued: %v; want the newest there", got)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Errorf("%s behind %s", got[i], got[i-1])
		}
	}
	if bytes != c.out.queued || l.Dropped() != uint64(100-len(got)) || c.app == appTooSlow {
		t.Errorf("%d bytes, counted %d; %d dropped, counted %d; slow %v", bytes, c.out.queued, 100-len(got), l.Dropped(), c.app == appTooSlow)
	}
}

func TestOneThatWantsTheLatestIsNotClosedForItsSends(t *testing.T) {
	for name, most := range map[string]int{"beyond its bound": 1 << 19, "beyond the time": 1 << 30} {
		t.Run(name, func(t *testing.T) { wantsTheLatest(t, most) })
	}
}

func wantsTheLatest(t *testing.T, most int) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.DropOldest(most)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 100 {
				if err := a.conn.Send(numbered(i, joinMost).Latest()); err != nil {
					t.Errorf("Send = %v", err)
				}
				time.Sleep(time.Second)
			}
		}()
		got, last := 0, ""
		for last != "00099" {
			time.Sleep(6 * time.Second) // what fits into the queue takes longer than SlowClientTimeout
			_, payload := p.frame()
			if got++; payload[:5] <= last {
				t.Fatalf("%.5s behind %s", payload, last)
			}
			last = payload[:5]
		}
		<-done
		if got > 50 || a.hasEnded() {
			t.Errorf("%d of 100 came, ended %v", got, a.hasEnded())
		}
	})
}

func TestNothingButTheFarewellFollowsWhatWasDropped(t *testing.T) {
	conns, _ := stuck(1, 1<<40)
	c := conns[0]
	c.handler.(*echoApp).mumbles = true
	_ = c.Send(text("being written"))
	c.mu.Lock()
	c.out.takeSome(nil, 1)
	c.mu.Unlock()
	_ = c.Send(text("dropped"))
	c.TooSlow()
	if err := c.Send(text("behind the gap")); err != ErrTooSlow {
		t.Errorf("Send = %v, want ErrTooSlow", err)
	}
	if err := c.SendWait(t.Context(), text("behind the gap")); err != ErrTooSlow {
		t.Errorf("SendWait = %v, want ErrTooSlow", err)
	}
	c.pong(nil)
	if err := c.SendLast(text("farewell")); err != nil {
		t.Errorf("SendLast = %v", err)
	}
	got := ""
	for _, f := range c.out.waiting() {
		got += string(f.Payload()) + "; "
	}
	if want := "being written; farewell; "; got != want {
		t.Errorf("queued: %q, want %q", got, want)
	}
}

func TestWaitForClientWaitsForOneThatMakesProgressOnly(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		wait := func(ctx context.Context) chan error {
			ended := make(chan error, 1)
			go func() { ended <- a.conn.WaitForClient(ctx) }()
			synctest.Wait()
			return ended
		}
		if err := <-wait(t.Context()); err != nil {
			t.Errorf("with an empty queue: %v", err)
		}
		for i := range 5 {
			_ = a.conn.Send(numbered(i, 30_000))
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := wait(ctx)
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("after cancel: %v", err)
		}
		ended = wait(t.Context())
		for i := range 5 {
			select {
			case <-ended:
				if i < 4 {
					t.Errorf("ended with %d messages queued", 5-i)
				}
			default:
				if i == 4 {
					t.Error("waits though one message is left")
				}
			}
			time.Sleep(500 * time.Millisecond)
			p.frame()
			synctest.Wait()
		}
		for i := range 5 {
			_ = a.conn.Send(numbered(i, 30_000))
		}
		start := time.Now()
		if err := <-wait(t.Context()); err != nil {
			t.Errorf("for a client that reads nothing: %v", err)
		}
		if took := time.Since(start); took < time.Second || took > 3*time.Second {
			t.Errorf("waited %v for a client that reads nothing, want one to two ticks", took)
		}
		ended = wait(t.Context())
		if err := <-ended; err != nil || a.hasEnded() {
			t.Errorf("%v, ended %v", err, a.hasEnded())
		}
		p.frame()
		time.Sleep(time.Second) // it reads again
		ended = wait(t.Context())
		a.conn.Abort(io.EOF)
		if err := <-ended; err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}
