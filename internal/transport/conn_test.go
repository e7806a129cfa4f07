package transport

import (
	"io"
	"strings"
	"testing"
)

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

func TestAbortDuringReceive(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) {
		a.receive = func(p []byte, _ bool) bool {
			if string(p) == "abort" {
				a.conn.Abort(ErrTooSlow)
			}
			return true
		}
	})
	p := n.upgrade("/hub")
	p.write(clientFrame(opText, "abort") + apart + clientFrame(opText, "unheard"))
	a := n.app()
	if err := a.end(t); err != ErrTooSlow {
		t.Errorf("cause = %v", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	if got := a.got(); got != "abort" {
		t.Errorf("received %q, want nothing after Abort", got)
	}
}
