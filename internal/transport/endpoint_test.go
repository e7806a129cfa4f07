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

// An endlessApp never ends by itself.
type endlessApp struct{ echoApp }

func (*endlessApp) Shutdown() {}

// A Shutdown that comes while an App is being started does not cut its connection.
func TestShutdownLetsAnAppSayFarewellThatIsBeingStarted(t *testing.T) {
	open := map[string]func(n *node) (all func() string){
		"WebSocket": func(n *node) func() string {
			p := n.upgrade("/hub")
			return func() string {
				_, got, _ := p.tryFrame()
				p.send(opClose, "\x03\xe8")
				return got
			}
		},
		"SSE": func(n *node) func() string {
			_, stream := n.openSSE(n.negotiate())
			return func() string { b, _ := io.ReadAll(stream); return string(b) }
		},
		"long polling": func(n *node) func() string {
			p, url := n.dial(), n.negotiate()
			p.request("GET", url, "") // which begins, and ends when the App has been started
			return func() string {
				p.response("GET")
				p.request("GET", url, "")
				return p.response("GET").body
			}
		},
	}
	for name, open := range open {
		t.Run(name, func(t *testing.T) {
			var begun, release chan struct{} // a bubble wants its own
			slow := func(a *echoApp) {
				a.onStart = func() { close(begun); <-release }
			}
			shut := func(t *testing.T, n *node) {
				begun, release = make(chan struct{}), make(chan struct{})
				all := open(n)
				<-begun
				a := n.app()
				down := make(chan error)
				go func() { down <- n.endpoint.Shutdown(t.Context()) }()
				eventually(t, "the connection knows", func() bool {
					a.conn.mu.Lock()
					defer a.conn.mu.Unlock()
					return a.conn.rare != nil && a.conn.rare.shutdown
				})
				close(release)
				if got := all(); !strings.Contains(got, "farewell") {
					t.Errorf("got %q, want the farewell", got)
				}
				if err := <-down; err != nil {
					t.Errorf("Shutdown = %v", err)
				}
			}
			if name != "long polling" {
				shut(t, serve(t, defaults(), slow))
				return
			}
			inBubble(t, defaults(), slow, shut) // the next poll must come within pollGrace
		})
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	opts := defaults()
	var mu sync.Mutex
	var apps []*endlessApp
	e := NewEndpoint(opts, func(c *Conn) App {
		a := &endlessApp{echoApp{conn: c, over: make(chan struct{}), linger: true}}
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

func TestShutdownWaitsForThePollThatFetchesTheFarewell(t *testing.T) {
	for name, comes := range map[string]bool{"a client that polls again": true, "a client that does not": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
				url := n.negotiate()
				n.do("GET", url, "")
				n.app()
				started := time.Now()
				done := make(chan error)
				go func() { done <- n.endpoint.Shutdown(context.Background()) }()
				synctest.Wait()
				if comes {
					checkPoll(t, "poll after Shutdown", n.do("GET", url, ""), 200, octetStream, "farewell")
					checkPoll(t, "the last poll", n.do("GET", url, ""), 204, textPlain, "")
				}
				if err := <-done; err != nil {
					t.Errorf("Shutdown = %v", err)
				}
				if took := time.Since(started); took > pollGrace || (took == 0) != comes {
					t.Errorf("Shutdown took %v", took)
				}
			})
		})
	}
}
