package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNegotiatedButNeverConnectedIsForgotten(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		for range 14 {
			time.Sleep(time.Second)
			if r := n.do("POST", url, "x"); r.status != 200 { // does not prolong it
				t.Fatalf("POST = %v", r)
			}
		}
		time.Sleep(3 * time.Second)
		if r := n.do("POST", url, "x"); r.status != 404 || r.body != notFound {
			t.Errorf("POST after the disconnect timeout = %v", r)
		}
		if len(n.apps) != 0 {
			t.Error("an App was made")
		}
	})
}

func TestAppIsTickedOnceASecondUntilItsEnd(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		time.Sleep(10*time.Second + time.Millisecond)
		a.mu.Lock()
		ticks := a.ticks
		a.mu.Unlock()
		if ticks != 10 {
			t.Errorf("%d ticks in 10 s", ticks)
		}
		a.conn.Finish()
		p.expect(opClose, `1000 ""`)
		time.Sleep(3 * time.Second)
		if a.ticks != ticks {
			t.Error("the App was ticked after Finish")
		}
	})
}

func TestQueueIsGivenBackAfterQuiet(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		a := n.app()
		a.conn.Cork()
		for range 100 {
			_ = a.conn.Send(text("x"))
		}
		a.conn.Uncork()
		for range 100 {
			p.expect(opText, "x")
		}
		time.Sleep(2500 * time.Millisecond)
		a.conn.mu.Lock()
		defer a.conn.mu.Unlock()
		if cap(a.conn.queue) > keepQueue {
			t.Errorf("room for %d frames is kept", cap(a.conn.queue))
		}
	})
}

func TestFiveThousandConnectsInAMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const clients, each = 20, 250
	n := serve(t, defaults(), nil)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range each {
				p := n.upgrade("/hub")
				p.send(opText, "x")
				p.expect(opText, "x")
				p.send(opClose, "\x03\xe8")
				p.expect(opClose, `1000 ""`)
				_ = p.conn.Close()
			}
		})
	}
	group.Wait()
	eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
	if len(n.apps) != clients*each {
		t.Errorf("%d Apps were made, want %d", len(n.apps), clients*each)
	}
}

func TestShutdownLetsEveryAppSayFarewell(t *testing.T) {
	n := serve(t, defaults(), nil)
	ws := n.upgrade("/hub")
	_ = n.app()
	_, stream := n.openSSE(n.negotiate())
	_ = n.app()
	url := n.negotiate()
	n.do("GET", url, "")
	polled := n.app()
	poll := n.pendingPoll(url, polled)
	between := n.negotiate()
	n.do("GET", between, "")
	_ = n.app()
	n.negotiate() // never connected

	done := make(chan error)
	go func() { done <- n.endpoint.Shutdown(context.Background()) }()
	ws.expect(opText, "farewell")
	ws.expect(opClose, `1000 ""`)
	if rest, err := io.ReadAll(stream); err != nil || string(rest) != "data: farewell\r\n\r\n" {
		t.Errorf("stream = %q, %v", rest, err)
	}
	checkPoll(t, "pending poll", poll.response("GET"), 200, octetStream, "farewell")
	select {
	case err := <-done:
		t.Errorf("Shutdown = %v before the client has answered the close frame", err)
	case <-time.After(20 * time.Millisecond):
	}
	ws.send(opClose, "\x03\xe8")
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if r := n.do("POST", "/hub/negotiate", ""); r.status != 503 {
		t.Errorf("negotiate after Shutdown = %v, want 503", r)
	}
	if r := n.do("GET", "/hub", "", handshakeHeaders...); r.status != 503 {
		t.Errorf("WebSocket after Shutdown = %v, want 503", r)
	}
	if err := n.endpoint.Shutdown(context.Background()); err != nil {
		t.Errorf("second Shutdown = %v", err)
	}
}

// A deafApp never ends by itself.
type deafApp struct{ echoApp }

func (*deafApp) Shutdown() {}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	opts := defaults()
	var mu sync.Mutex
	var apps []*deafApp
	e := NewEndpoint(opts, func(c *Conn) App {
		a := &deafApp{echoApp{conn: c, over: make(chan struct{}), linger: true}}
		mu.Lock()
		apps = append(apps, a)
		mu.Unlock()
		return a
	})
	n := &node{t: t, endpoint: e}
	mux := http.NewServeMux()
	mux.Handle("/hub", e)
	mux.Handle("/hub/", e)
	n.listen(mux, func() []*Endpoint { return nil })
	ws := n.upgrade("/hub")
	_, stream := n.openSSE(n.negotiate())
	url := n.negotiate()
	n.do("GET", url, "")
	poll := n.dial()
	poll.request("GET", url, "")
	eventually(t, "all Apps are there", func() bool { mu.Lock(); defer mu.Unlock(); return len(apps) == 3 })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown = %v, want the context's error", err)
	}
	ws.expectEnd()
	if _, err := io.ReadAll(stream); err == nil {
		t.Error("the stream ends properly, want a cut one")
	}
	if r := poll.response("GET"); r.status != 204 && r.status != 404 {
		t.Errorf("pending poll = %v, want 204 or 404", r)
	}
	for _, a := range apps {
		if err := a.end(t); err != ErrShutdown {
			t.Errorf("cause = %v, want ErrShutdown", err)
		}
		a.conn.Finish()
	}
	if n.connections() != 0 {
		t.Error("connections are left")
	}
}

func TestUnusedEndpointHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		e := NewEndpoint(defaults(), nil)
		c, _ := e.newConn(0, false)
		e.remove(c)
		e.remove(c)
		synctest.Wait()
		if e.ticking {
			t.Error("the sweeper runs though the table is empty")
		}
	})
}

func TestStatesOfADisposedConnection(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.linger = true })
	ws := n.upgrade(n.negotiate())
	a := n.app()
	_ = ws.conn.Close()
	_ = a.end(t)
	url := "/hub?id=" + a.conn.Token()
	if r := n.do("GET", url, "", handshakeHeaders...); r.status != 404 || r.body != "" {
		t.Errorf("WebSocket while the App is busy = %v, want an empty 404", r)
	}
	sse := n.negotiate()
	p, _ := n.openSSE(sse)
	b := n.app()
	_ = p.conn.Close()
	_ = b.end(t)
	r := n.do("GET", sse, "", "Accept: text/event-stream")
	if r.status != 404 || r.body != "" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("SSE while the App is busy = %v, want an empty 404", r)
	}
	a.conn.Finish()
	b.conn.Finish()
	if r := n.do("GET", url, "", handshakeHeaders...); r.status != 404 || !strings.Contains(r.body, notFound) {
		t.Errorf("WebSocket after the App's end = %v", r)
	}
}

func TestAppMayEndInStart(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) {
		a.onStart = func() {
			_ = a.conn.Send(text("bye"))
			a.conn.Finish()
		}
	})
	p := n.upgrade("/hub")
	p.expect(opText, "bye")
	p.expect(opClose, `1000 ""`)
	p.send(opClose, "")
	p.expectEnd()
	_, stream := n.openSSE(n.negotiate())
	if rest, err := io.ReadAll(stream); err != nil || string(rest) != "data: bye\r\n\r\n" {
		t.Errorf("stream = %q, %v", rest, err)
	}
	eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
}

func TestAppMayAbortInStart(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.onStart = func() { a.conn.Abort(io.EOF) } })
	p := n.upgrade("/hub")
	p.expectEnd()
	if err := n.app().end(t); err != io.EOF {
		t.Errorf("cause = %v, want that of Abort", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}
