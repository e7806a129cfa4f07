package transport

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A gate holds the bytes that it is given back until it is opened, like an App
// that cannot take more.
type gate struct {
	mu      sync.Mutex
	active  int
	overlap bool
	open    chan struct{}
}

func (g *gate) install(a *echoApp) {
	a.receive = func([]byte, bool) bool {
		g.mu.Lock()
		g.active++
		g.overlap = g.overlap || g.active > 1
		g.mu.Unlock()
		taken := true
		select {
		case <-g.open:
		case <-a.conn.Done():
			taken = false
		}
		g.mu.Lock()
		g.active--
		g.mu.Unlock()
		return taken
	}
}

func (g *gate) held() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active > 0
}

func TestPostReachesApp(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	big := strings.Repeat("0123456789", 20_000)
	for _, body := range []string{"", "a", big} {
		r := n.do("POST", url, body, "Content-Type: application/x-www-form-urlencoded")
		if r.status != 200 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
			t.Errorf("POST of %d bytes = %v, want an empty 200", len(body), r)
		}
	}
	p := n.dial()
	p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n4\r\nnked\r\n0\r\n\r\n")
	if r := p.response("POST"); r.status != 200 {
		t.Errorf("chunked POST = %v", r)
	}
	if got := a.got(); got != "a"+big+"chunked" {
		t.Errorf("received %d bytes, want %d", len(got), len("a"+big+"chunked"))
	}
}

func TestPostsAreSerialized(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	n := serve(t, defaults(), g.install)
	url := n.negotiate()
	n.do("GET", url, "")
	answers := make(chan reply, 4)
	for i := range 4 {
		p := n.dial()
		p.request("POST", url, fmt.Sprint("body ", i))
		go func() { answers <- p.response("POST") }()
	}
	eventually(t, "one POST waits in the App", g.held)
	select {
	case r := <-answers:
		t.Errorf("POST = %v while the App takes nothing", r)
	case <-time.After(50 * time.Millisecond):
	}
	close(g.open)
	for range 4 {
		if r := <-answers; r.status != 200 {
			t.Errorf("POST = %v", r)
		}
	}
	if g.overlap {
		t.Error("two POSTs were received at the same time")
	}
	if got := n.app().got(); len(got) != 4*len("body 0") {
		t.Errorf("received %q", got)
	}
}

func TestPostBlockedByBackpressureDisposeIs404(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	n := serve(t, defaults(), g.install)
	url := n.negotiate()
	n.do("GET", url, "")
	answers := make(chan reply, 2)
	for range 2 { // one waits in the App, the other for its turn
		p := n.dial()
		p.request("POST", url, "x")
		go func() { answers <- p.response("POST") }()
	}
	eventually(t, "one POST waits in the App", g.held)
	if r := n.do("DELETE", url, ""); r.status != 202 {
		t.Errorf("DELETE = %v", r)
	}
	for range 2 {
		r := <-answers
		if r.status != 404 || r.header.Get("Content-Type") != "text/plain" || (r.body != "" && r.body != notFound) {
			t.Errorf("POST = %v, want 404", r)
		}
	}
}

func TestAPostThatEndsItsConnectionWasTaken(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) {
		a.receive = func([]byte, bool) bool {
			a.conn.Abort(ErrTooSlow)
			<-a.conn.Done()
			return true
		}
	})
	url := n.negotiate()
	n.do("GET", url, "")
	if r := n.do("POST", url, "leave"); r.status != 200 {
		t.Errorf("POST = %v, want 200", r)
	}
}

func TestPollDoesNotNeedTheTurnOfAPost(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	n := serve(t, defaults(), g.install)
	url := n.negotiate()
	n.do("GET", url, "")
	p := n.dial()
	p.request("POST", url, "x")
	eventually(t, "the POST waits in the App", g.held)
	_ = n.app().conn.Send(text("data"))
	checkPoll(t, "poll", n.do("GET", url, ""), 200, octetStream, "data")
	close(g.open)
	if r := p.response("POST"); r.status != 200 {
		t.Errorf("POST = %v", r)
	}
}

// TestAPostBeforeTheTransportIsRefused and keeps nothing: the transport may still
// be opened, and the connection lives no longer for it.
func TestAPostBeforeTheTransportIsRefused(t *testing.T) {
	for _, connect := range []string{"poll", "SSE", "WebSocket"} {
		t.Run(connect, func(t *testing.T) {
			n := serve(t, defaults(), nil)
			url := n.negotiate()
			for range 2 {
				r := n.do("POST", url, "early")
				if _, typed := r.header["Content-Type"]; r.status != 400 || r.body != "" || typed {
					t.Fatalf("POST = %v, want an empty 400 without a type", r)
				}
			}
			switch connect {
			case "poll":
				checkPoll(t, "first poll", n.do("GET", url, ""), 200, octetStream, "")
				n.do("POST", url, "late")
				checkPoll(t, "second poll", n.do("GET", url, ""), 200, octetStream, "late")
			case "SSE":
				_, stream := n.openSSE(url)
				n.do("POST", url, "late")
				if got := readN(t, stream, 14); got != "data: late\r\n\r\n" {
					t.Errorf("event = %q", got)
				}
			case "WebSocket":
				p := n.upgrade(url)
				p.send(opText, "late")
				p.expect(opText, "late")
			}
		})
	}
}

func TestPostsKeepNoConnectionThatWasOnlyNegotiated(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		for range 17 {
			if r := n.do("POST", url, "x"); r.status != 400 {
				t.Fatalf("POST = %v, want 400", r)
			}
			time.Sleep(900 * time.Millisecond) // 15.3 s in all
		}
		time.Sleep(time.Second) // the table's next tick
		if r := n.do("POST", url, "x"); r.status != 404 {
			t.Errorf("POST after the disconnect timeout = %v, want 404", r)
		}
	})
}

func TestPostOverTheLimit(t *testing.T) {
	opts := defaults()
	opts.MaximumPostSize = 1000
	n := serve(t, opts, nil)
	url := n.negotiate()
	n.do("GET", url, "")
	if r := n.do("POST", url, strings.Repeat("x", 1000)); r.status != 200 {
		t.Errorf("POST of the limit = %v", r)
	}
	p := n.dial()
	p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\n\r\nx") // the rest never comes
	r := p.response("POST")
	if r.status != 400 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("POST over the limit = %v, want an empty 400", r)
	}
	p.expectEnd()
	p = n.dial()
	p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("y", 1001) + "\r\n0\r\n\r\n")
	if r := p.response("POST"); r.status != 400 || r.body != "" {
		t.Errorf("chunked POST over the limit = %v, want an empty 400", r)
	}
	if r := n.do("POST", url, "after"); r.status != 200 {
		t.Errorf("POST afterwards = %v: the connection lives on", r)
	}
}

func TestPostCutOffByTheClient(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	p := n.dial()
	p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\npart")
	eventually(t, "what came is received", func() bool { return a.got() == "part" })
	_ = p.conn.(*net.TCPConn).CloseWrite()
	p.expectEnd()
	if r := n.do("POST", url, " rest"); r.status != 200 {
		t.Errorf("next POST = %v", r)
	}
	if got := a.got(); got != "part rest" {
		t.Errorf("received %q", got)
	}
}

func TestSlowPostBodyIs400(t *testing.T) {
	inBubble(t, defaults(), func(a *echoApp) { a.silent = true }, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		p := n.dial()
		p.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
		start := time.Now()
		go func() {
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(p.conn, strings.Repeat("x", 100)); err != nil {
					return // the server has had enough
				}
			}
		}()
		if r := p.response("POST"); r.status != 400 || r.body != "" {
			t.Errorf("POST of 100 bytes a second = %v, want an empty 400", r)
		}
		if took := time.Since(start); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("refused after %v, want 5 to 15 s", took)
		}
		_ = p.conn.Close()

		url = n.negotiate()
		n.do("GET", url, "")
		steady := n.dial()
		steady.write("POST " + url + " HTTP/1.1\r\nHost: test\r\nContent-Length: 5000\r\n\r\n")
		for range 10 {
			time.Sleep(time.Second)
			steady.write(strings.Repeat("y", 500))
		}
		if r := steady.response("POST"); r.status != 200 {
			t.Errorf("POST of 500 bytes a second = %v, want 200", r)
		}
		synctest.Wait()
	})
}
