package transport

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A statefulApp is an echoApp that may reconnect. It sends again all that it
// has ever sent.
type statefulApp struct {
	*echoApp
	mu    sync.Mutex // keeps order between what is kept and what is queued
	kept  []Frame
	calls []string

	onLost        func() // may be nil
	onReconnected func() // in place of resuming; may be nil
}

func (a *statefulApp) Lost(cause error) {
	if !errors.Is(cause, ErrLost) {
		panic(cause)
	}
	if a.onLost != nil {
		a.onLost()
	}
	a.note("lost")
}

func (a *statefulApp) Reconnected() {
	a.note("reconnected")
	if a.onReconnected != nil {
		a.onReconnected()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn.Resume()
	_ = a.conn.Send(text("sequence"))
	for _, f := range a.kept {
		_ = a.conn.Send(f)
	}
}

func (a *statefulApp) send(s string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, text(s))
	return a.conn.Send(text(s))
}

func (a *statefulApp) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, what)
}

func (a *statefulApp) noted() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.calls, " ")
}

// serveStateful makes n an endpoint whose Apps reconnect.
func stateful(n *node) chan *statefulApp {
	apps := make(chan *statefulApp, 10)
	n.endpoint.opts.AllowStatefulReconnects = true
	n.endpoint.newApp = func(c *Conn) App {
		a := &statefulApp{echoApp: &echoApp{conn: c, over: make(chan struct{}), silent: true}}
		apps <- a
		return a
	}
	return apps
}

func TestReconnectAfterALoss(t *testing.T) {
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	url := n.negotiate("&useStatefulReconnect=true")
	p := n.upgrade(url)
	a := <-apps
	if !a.conn.Stateful() {
		t.Fatal("Stateful() = false")
	}
	_ = a.send("one")
	p.expect(opText, "one")
	p.write(clientFrame(opText, "cut off")[:10])
	_ = p.conn.Close()
	eventually(t, "the loss is noticed", func() bool { return a.noted() == "lost" })
	_ = a.send("two") // dropped by the connection, kept by the App
	p = n.upgrade(url)
	p.expect(opText, "sequence")
	p.expect(opText, "one")
	p.expect(opText, "two")
	p.send(opText, "after")
	eventually(t, "the new socket is read", func() bool { return strings.HasSuffix(a.got(), "after") })
	if got := a.noted(); got != "lost reconnected" {
		t.Errorf("callbacks = %s", got)
	}
	p.send(opClose, "\x03\xe8")
	p.expect(opClose, `1000 ""`)
	if err := a.end(t); err != nil {
		t.Errorf("cause = %v, want nil: a close frame is the end", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	if r := n.do("GET", url, "", handshakeHeaders...); r.status != 404 || r.body != notFound {
		t.Errorf("reconnect after the end = %v", r)
	}
}

func TestReconnectReplacesSocket(t *testing.T) {
	opts := defaults()
	opts.CloseTimeout, opts.DisconnectTimeout = time.Hour, time.Hour // for none of them the new one waits
	n := serve(t, opts, nil)
	apps := stateful(n)
	url := n.negotiate("&useStatefulReconnect=true")
	old := n.upgrade(url)
	a := <-apps
	for i := range 5 {
		p := n.upgrade(url)
		p.expect(opText, "sequence")
		old.expectEnd()
		p.send(opText, "from the new socket")
		eventually(t, "the new socket is read", func() bool { return strings.Count(a.got(), "new") == i+1 })
		old = p
	}
	if got := a.noted(); strings.Contains(got, "lost") || strings.Count(got, "reconnected") != 5 {
		t.Errorf("callbacks = %s, want only reconnected", got)
	}
	if len(apps) != 0 {
		t.Error("another App was made")
	}
	a.conn.Finish()
	old.expect(opClose, `1000 ""`)
	old.send(opClose, "\x03\xe8")
}

func TestReconnectWhileTheAppStarts(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		apps := stateful(n)
		makeApp, made, release := n.endpoint.newApp, make(chan struct{}), make(chan struct{})
		n.endpoint.newApp = func(c *Conn) App {
			close(made)
			<-release
			return makeApp(c)
		}
		url := n.negotiate("&useStatefulReconnect=true")
		old := n.upgrade(url)
		<-made
		replaced := make(chan *peer)
		go func() { replaced <- n.upgrade(url) }()
		synctest.Wait()
		select {
		case <-replaced:
			t.Fatal("there were two sockets before there was an App")
		default:
		}
		close(release)
		p := <-replaced
		p.expect(opText, "sequence")
		old.expectEnd()
		a := <-apps
		if got := a.noted(); got != "reconnected" {
			t.Errorf("callbacks = %s", got)
		}
		p.send(opClose, "")
		p.expect(opClose, `1000 ""`)
	})
}

func TestFailedUpgradeLetsTheNextSocketGoOn(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		stateful(n)
		c, _ := n.endpoint.newConn(1, true, nil)
		r := httptest.NewRequest(http.MethodGet, "/hub", nil)
		first, status := c.activateSocket(r, nil)
		if !first || status != 0 {
			t.Fatalf("activateSocket = %v, %d", first, status)
		}
		done := make(chan struct{})
		go func() { c.awaitStart(r); close(done) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("did not wait for the App")
		default:
		}
		c.deactivate(true, ErrLost)
		<-done // else the bubble is deadlocked
		if n.connections() != 0 {
			t.Error("the connection is not forgotten")
		}
	})
}

func TestReplacedSocketWithAGoroutineInTheApp(t *testing.T) {
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	url := n.negotiate("&useStatefulReconnect=true")
	old := n.upgrade(url)
	a := <-apps
	release := make(chan struct{})
	var once sync.Once
	a.receive = func(p []byte, _ bool) bool {
		once.Do(func() { <-release })
		return true
	}
	old.write(clientFrame(opText, "slow") + apart + clientFrame(opText, "left in the buffer"))
	eventually(t, "the App is busy", func() bool { return a.got() == "slow" })
	p := n.upgrade(url)
	old.expectEnd()
	if got := a.noted(); got != "" {
		t.Errorf("callbacks while Receive runs: %s", got)
	}
	close(release)
	p.expect(opText, "sequence")
	p.send(opText, "new")
	eventually(t, "the new socket is read", func() bool { return a.got() == "slownew" })
	p.send(opClose, "")
	p.expect(opClose, `1000 ""`)
}

// The loss is noticed when the next socket has been let in, but is not there yet.
func TestLossIsNoticedDuringTheNextUpgrade(t *testing.T) {
	n, mux := newNode(t, defaults(), nil)
	apps := stateful(n)
	hijacks := make(chan chan struct{}, 1)
	n.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(slowHijacker{w, hijacks}, r)
	}), func() []*Endpoint { return []*Endpoint{n.endpoint} })
	url := n.negotiate("&useStatefulReconnect=true")
	upgrade := func() chan *peer {
		p := make(chan *peer, 1)
		go func() { p <- n.upgrade(url) }()
		return p
	}
	first := upgrade()
	close(<-hijacks)
	old, a := <-first, <-apps
	next := upgrade()
	release := <-hijacks
	_ = old.conn.Close()
	eventually(t, "the loss is noticed", func() bool { return a.noted() == "lost" })
	close(release)
	p := <-next
	p.expect(opText, "sequence")
	p.send(opText, "from the new socket")
	eventually(t, "the new socket is read", func() bool { return a.got() == "from the new socket" })
	if got := a.noted(); got != "lost reconnected" {
		t.Errorf("callbacks = %s", got)
	}
}

// A slowHijacker gives its connection away when it is let.
type slowHijacker struct {
	http.ResponseWriter
	hijacks chan chan struct{}
}

func (w slowHijacker) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w slowHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	release := make(chan struct{})
	w.hijacks <- release
	<-release
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// A writer notices the loss while the reader is busy, and the next socket is
// there before the App has been told.
func TestReconnectedComesBehindLost(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		apps := stateful(n)
		url := n.negotiate("&useStatefulReconnect=true")
		old := n.upgrade(url)
		a := <-apps
		busy, losing := make(chan struct{}), make(chan struct{})
		a.receive = func([]byte, bool) bool { <-busy; return true }
		a.onLost = func() { <-losing }
		_ = a.send("who writes this notices") // the client does not read
		synctest.Wait()
		old.write(clientFrame(opText, "x"))
		synctest.Wait()
		_ = old.conn.Close()
		synctest.Wait()
		p := n.upgrade(url)
		close(busy)
		synctest.Wait()
		if got := a.noted(); got != "" {
			t.Errorf("callbacks while Lost runs: %s", got)
		}
		close(losing)
		p.expect(opText, "sequence")
		p.expect(opText, "who writes this notices")
		if got := a.noted(); got != "lost reconnected" {
			t.Errorf("callbacks = %s", got)
		}
		p.send(opClose, "")
		p.expect(opClose, `1000 ""`)
	})
}

func TestReconnectTooLate(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		apps := stateful(n)
		url := n.negotiate("&useStatefulReconnect=true")
		p := n.upgrade(url)
		a := <-apps
		_ = p.conn.Close()
		time.Sleep(14 * time.Second)
		if a.hasEnded() {
			t.Fatal("ended before the disconnect timeout")
		}
		time.Sleep(3 * time.Second)
		if err := a.end(t); err != ErrTimeout {
			t.Errorf("cause = %v, want ErrTimeout", err)
		}
		synctest.Wait()
		if r := n.do("GET", url, "", handshakeHeaders...); r.status != 404 || r.body != notFound {
			t.Errorf("reconnect = %v", r)
		}
	})
}

func TestDisableReconnectRefusesSecondSocket(t *testing.T) {
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	url := n.negotiate("&useStatefulReconnect=true")
	p := n.upgrade(url)
	a := <-apps
	a.conn.DisableReconnect()
	if r := n.do("GET", url, "", handshakeHeaders...); r.status != 409 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("second socket = %v, want an empty 409", r)
	}
	_ = a.send("still here")
	p.expect(opText, "still here")
	_ = p.conn.Close()
	if err := a.end(t); !errors.Is(err, ErrLost) {
		t.Errorf("cause = %v, want ErrLost", err)
	}
	if got := a.noted(); got != "" {
		t.Errorf("callbacks = %s, want none", got)
	}
}

func TestSendTimeoutIsNoLoss(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		apps := stateful(n)
		n.upgrade(n.negotiate("&useStatefulReconnect=true"))
		a := <-apps
		_ = a.send("x") // the client never reads
		time.Sleep(11 * time.Second)
		if err := a.end(t); err != ErrSendTimeout {
			t.Errorf("cause = %v, want ErrSendTimeout", err)
		}
	})
}

func TestReconnectOfAnotherUserIs403KeepsConnection(t *testing.T) {
	opts := defaults()
	byHeader(&opts)
	n := serve(t, opts, nil)
	apps := stateful(n)
	url := n.negotiateAs("a", "&useStatefulReconnect=true")
	p := n.upgrade(url, "X-User: a")
	a := <-apps
	r := n.do("GET", url, "", append(handshakeHeaders, "X-User: b")...)
	if r.status != 403 || r.body != anotherUser {
		t.Errorf("reconnect of another user = %v", r)
	}
	_ = a.send("still here")
	p.expect(opText, "still here")
	p = n.upgrade(url, "X-User: a")
	p.expect(opText, "sequence")
}
