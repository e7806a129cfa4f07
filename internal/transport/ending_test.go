package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// stateOf returns the present state of c.
func stateOf(c *Conn) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func forgotten(t *testing.T, n *node) {
	t.Helper()
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

// lostConnection returns a stateful connection whose socket was lost, and the
// URL for another one.
func lostConnection(t *testing.T, n *node, apps chan *statefulApp) (a *statefulApp, url string) {
	t.Helper()
	url = n.negotiate("&useStatefulReconnect=true")
	p := n.upgrade(url)
	a = <-apps
	_ = p.conn.Close()
	eventually(t, "the loss is noticed", func() bool { return a.noted() == "lost" })
	return a, url
}

func TestAnAppMayFailInStart(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.onStart = a.conn.FinishError })
	p := n.upgrade("/hub")
	p.expect(opClose, `1011 ""`)
	p.send(opClose, "")
	p.expectEnd()
	forgotten(t, n)
}

func TestAClientThatIsLostWhileItsAppStartsIsToldToTheApp(t *testing.T) {
	lost := make(chan struct{})
	n := serve(t, defaults(), func(a *echoApp) {
		a.onStart = func() {
			<-lost
			big := text(string(make([]byte, 1<<20)))
			for a.conn.Send(big) == nil { // what is written notices the loss
				<-a.conn.wrote()
			}
			if got, want := stateOf(a.conn), (state{linkClosed, appStarting}); got != want {
				t.Errorf("state = %v, want %v", got, want)
			}
		}
	})
	p := n.upgrade("/hub")
	_ = p.conn.(*net.TCPConn).SetLinger(0)
	_ = p.conn.Close()
	close(lost)
	if err := n.app().end(t); err == nil {
		t.Error("cause = nil, want the loss")
	}
	forgotten(t, n)
}

// wrote is closed when nothing is queued any more.
func (c *Conn) wrote() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c.mu.Lock()
			if c.out.queued == 0 || c.link.over() {
				c.mu.Unlock()
				return
			}
			w := c.rarelyLocked()
			if w.space == nil {
				w.space = make(chan struct{})
			}
			space := w.space
			c.mu.Unlock()
			<-space
		}
	}()
	return done
}

func TestADeleteWhileTheAppStartsIsToldToTheApp(t *testing.T) {
	starting, goOn := make(chan *Conn), make(chan struct{})
	n := serve(t, defaults(), func(a *echoApp) { a.onStart = func() { starting <- a.conn; <-goOn } })
	url := n.negotiate()
	p := n.dial()
	p.request("GET", url, "")
	c := <-starting
	if r := n.do("DELETE", url, ""); r.status != 202 {
		t.Errorf("DELETE = %v", r)
	}
	if got, want := stateOf(c), (state{linkLeaving, appStarting}); got != want {
		t.Errorf("state = %v, want %v", got, want)
	}
	close(goOn)
	if err := n.app().end(t); err != nil {
		t.Errorf("cause = %v, want nil: DELETE is the proper end", err)
	}
	if r := p.response("GET"); r.status != 200 || r.body != "" {
		t.Errorf("first poll = %v", r)
	}
	forgotten(t, n)
}

// afterDelete deletes a connection over long polling while a poll is pending,
// calls f when the App has heard of it, and returns the answer to the poll.
func afterDelete(t *testing.T, before, f func(c *Conn)) (poll reply) {
	t.Helper()
	prepare := func(a *echoApp) { a.linger, a.mumbles = true, true }
	inBubble(t, defaults(), prepare, func(t *testing.T, n *node) { // no time passes
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		p := n.pendingPoll(url, a)
		before(a.conn)
		if r := n.do("DELETE", url, ""); r.status != 202 {
			t.Errorf("DELETE = %v", r)
		}
		_ = a.end(t)
		f(a.conn)
		poll = p.response("GET")
		a.conn.Finish()
		forgotten(t, n)
	})
	return poll
}

func TestThePendingPollSaysHowAnAppEndsAfterADelete(t *testing.T) {
	nothing := func(*Conn) {}
	checkPoll(t, "poll of an App that fails", afterDelete(t, nothing, (*Conn).FinishError), 500, textPlain, "")
	abort := func(c *Conn) { c.Abort(io.EOF) }
	checkPoll(t, "poll of an App that aborts", afterDelete(t, nothing, abort), 204, textPlain, "")
	farewell := func(c *Conn) { _ = c.SendLast(text("farewell")); c.Finish() }
	checkPoll(t, "poll of a client that was too slow", afterDelete(t, (*Conn).TooSlow, farewell), 200, octetStream, "farewell")
}

func TestTheNextPollFetchesTheFarewellOfAClientThatIsTooSlow(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.mumbles = true })
	url := n.negotiate()
	n.do("GET", url, "")
	a := n.app()
	eventually(t, "the first poll is over", func() bool { return linkOf(a.conn) == linkWaiting })
	_ = a.conn.Send(text("dropped"))
	a.conn.TooSlow()
	_ = a.conn.SendLast(text("farewell"))
	a.conn.Finish()
	checkPoll(t, "poll", n.do("GET", url, ""), 200, octetStream, "farewell")
	checkPoll(t, "next poll", n.do("GET", url, ""), 204, textPlain, "")
	forgotten(t, n)
}

func TestAClientThatClosesAfterItWasTooSlowGetsNoFarewell(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.linger, a.mumbles = true, true })
	p := n.upgrade("/hub")
	a := n.app()
	eventually(t, "the App runs", func() bool { return stateOf(a.conn).app == appRunning })
	a.conn.TooSlow()
	p.send(opClose, "")
	p.expect(opClose, `1000 ""`)
	if err := a.end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
	if got, want := stateOf(a.conn), (state{linkClosed, appTooSlow}); got != want {
		t.Errorf("state = %v, want %v", got, want)
	}
	if err := a.conn.SendLast(text("farewell")); err != ErrClosed {
		t.Errorf("SendLast = %v, want ErrClosed", err)
	}
	a.conn.FinishError()
	forgotten(t, n)
}

func TestAbortEndsAConnectionThatWaitsForAnotherSocket(t *testing.T) {
	n := serve(t, defaults(), nil)
	a, _ := lostConnection(t, n, stateful(n))
	a.conn.Abort(io.EOF)
	if err := a.end(t); err != io.EOF {
		t.Errorf("cause = %v, want that of Abort", err)
	}
	forgotten(t, n)
}

func TestATooSlowClientThatIsLostEndsWithItsApp(t *testing.T) {
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	a, _ := lostConnection(t, n, apps)
	a.mumbles = true
	a.conn.TooSlow()
	if err := a.conn.Send(text("x")); err != ErrTooSlow {
		t.Errorf("Send = %v, want ErrTooSlow", err)
	}
	a.conn.Finish()
	forgotten(t, n)
}

// resuming returns a connection whose second socket is there, and whose App has
// not resumed.
func resuming(t *testing.T, n *node, apps chan *statefulApp) (a *statefulApp, p *peer, url string) {
	t.Helper()
	a, url = lostConnection(t, n, apps)
	a.onReconnected = func() {}
	p = n.upgrade(url)
	eventually(t, "the App hears of the socket", func() bool { return a.noted() == "lost reconnected" })
	return a, p, url
}

func TestAConnectionMayEndWhileItResumes(t *testing.T) {
	ends := map[string]func(*statefulApp, *peer){
		"too slow": func(a *statefulApp, p *peer) {
			a.mumbles = true
			a.conn.TooSlow()
			a.conn.Finish()
			p.expect(opClose, `1000 ""`)
		},
		"failed": func(a *statefulApp, p *peer) {
			a.conn.FinishError()
			p.expect(opClose, `1011 ""`)
		},
		"aborted": func(a *statefulApp, p *peer) {
			a.conn.Abort(io.EOF)
			p.expectEnd()
		},
		"closed": func(_ *statefulApp, p *peer) {
			p.send(opClose, "")
			p.expect(opClose, `1000 ""`)
		},
	}
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			a, p, _ := resuming(t, n, apps)
			if err := a.conn.Send(text("dropped: the App keeps it")); err != nil {
				t.Errorf("Send = %v", err)
			}
			end(a, p)
			_ = p.conn.Close()
			forgotten(t, n)
		})
	}
}

func TestASocketMayBeLostBeforeTheAppHasResumed(t *testing.T) {
	n := serve(t, defaults(), nil)
	apps := stateful(n)
	a, p, url := resuming(t, n, apps)
	_ = p.conn.Close()
	eventually(t, "the second loss is noticed", func() bool { return a.noted() == "lost reconnected lost" })
	a.conn.Resume() // late: it belongs to the socket that is lost
	if got, want := stateOf(a.conn), (state{linkLost, appRunning}); got != want {
		t.Errorf("state after a late Resume = %v, want %v", got, want)
	}
	_ = a.conn.Send(text("dropped: the App keeps it"))
	a.onReconnected = nil
	p = n.upgrade(url)
	p.expect(opText, "sequence")
	p.send(opClose, "")
	p.expect(opClose, `1000 ""`)
	forgotten(t, n)
}

// A socket is being opened for a connection when its App finishes: there is
// nothing left for the socket to serve.
func TestASocketThatComesAfterFinishIsCut(t *testing.T) {
	for _, lost := range []bool{true, false} {
		n, mux := newNode(t, defaults(), nil)
		apps := stateful(n)
		hijacks := make(chan chan struct{}, 1)
		n.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mux.ServeHTTP(slowHijacker{w, hijacks}, r)
		}), func() []*Endpoint { return []*Endpoint{n.endpoint} })
		url := n.negotiate("&useStatefulReconnect=true")
		old := n.dial()
		old.request("GET", url, "", handshakeHeaders...)
		close(<-hijacks)
		if r := old.response("GET"); r.status != http.StatusSwitchingProtocols {
			t.Fatalf("upgrade = %v", r)
		}
		a := <-apps
		if lost {
			_ = old.conn.Close()
			eventually(t, "the loss is noticed", func() bool { return a.noted() == "lost" })
		}
		p := n.dial()
		p.request("GET", url, "", handshakeHeaders...)
		release := <-hijacks
		a.conn.Finish()
		close(release)
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(p.r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("lost %v: the new socket stays open", lost)
		}
		if !lost {
			old.expect(opClose, `1000 ""`)
			_ = old.conn.Close()
		}
		forgotten(t, n)
	}
}
