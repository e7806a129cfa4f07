package transport

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A crashApp panics in one of its methods.
type crashApp struct {
	*statefulApp
	at    string
	calls int
	ended int
}

func (a *crashApp) hit(method string) {
	if a.at == method {
		panic("a mistake in " + method)
	}
}

func (a *crashApp) Start() { a.hit("Start"); a.statefulApp.Start() }

func (a *crashApp) Receive(p []byte, isReader bool) bool {
	a.hit("Receive")
	if a.at != "Receive on another goroutine" {
		return a.statefulApp.Receive(p, isReader)
	}
	if a.calls++; a.calls == 2 {
		panic("a mistake under ReadOn")
	}
	go a.conn.ReadOn()
	return false
}

func (a *crashApp) Ended(cause error) { a.ended++; a.hit("Ended"); a.statefulApp.Ended(cause) }
func (a *crashApp) Tick(now time.Time) time.Duration {
	a.hit("Tick")
	return a.statefulApp.Tick(now)
}

func (a *crashApp) Shutdown()        { a.hit("Shutdown"); a.statefulApp.Shutdown() }
func (a *crashApp) Lost(cause error) { a.hit("Lost"); a.statefulApp.Lost(cause) }
func (a *crashApp) Reconnected()     { a.hit("Reconnected"); a.statefulApp.Reconnected() }

// A panic on any goroutine that serves a connection ends that connection for
// good: the process, the other connections and a shutdown go on.
func TestAPanicEndsOneConnection(t *testing.T) {
	everywhere := []string{"WebSockets", "ServerSentEvents", "LongPolling"}
	for _, test := range []struct {
		at         string
		transports []string
	}{
		{"newApp", everywhere},
		{"Start", everywhere},
		{"Receive", everywhere},
		{"Receive on another goroutine", everywhere[:1]},
		{"Ended", everywhere},
		{"Tick", everywhere},
		{"Shutdown", everywhere},
		{"Lost", everywhere[:1]},
		{"Reconnected", everywhere[:1]},
	} {
		for _, transport := range test.transports {
			t.Run(test.at+", "+transport, func(t *testing.T) {
				opts := defaults()
				opts.AllowStatefulReconnects = true
				inBubble(t, opts, nil, func(t *testing.T, n *node) { crashOnce(t, n, test.at, transport) })
			})
		}
	}
}

// A write that fails tells the App of the loss, on the goroutine of the shard. One that ends
// that goroutine holds up neither what is sent to others, nor its own next socket, nor a
// Shutdown.
func TestAShardWritesOnAfterAnAppHasEndedItsGoroutine(t *testing.T) {
	if !haveRaw {
		t.Skip("on this system goroutines of their own write")
	}
	opts := defaults()
	opts.AllowStatefulReconnects = true
	opts.Readers = ReadersGoroutine // this socket cannot be parked
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		echo := n.endpoint.newApp
		n.endpoint.newApp = func(c *Conn) App {
			c.shard = &n.endpoint.flushers.shards[0]
			return &statefulApp{echoApp: echo(c).(*echoApp), onLost: func() { runtime.Goexit() }}
		}
		url := n.negotiate("&useStatefulReconnect=true")
		n.upgrade(url)
		bad := n.app().conn
		synctest.Wait() // the reader waits for bytes
		bad.socket.raw = brokenSystem{}
		others, conns := make([]*peer, 5), make([]*Conn, 5)
		for i := range others {
			others[i] = n.upgrade("/hub")
			conns[i] = n.app().conn
		}
		flushers := &n.endpoint.flushers
		flushers.active.Store(int32(len(flushers.shards))) // all are on one list when it begins
		_ = conns[0].Send(text("hello"))
		_ = conns[1].Send(text("hello"))
		_ = bad.Send(text("hello"))
		_ = conns[2].Send(text("hello"))
		_ = conns[3].Send(text("hello"))
		flushers.active.Store(1)
		flushers.begin()
		for _, p := range others[:4] {
			p.expect(opText, "hello")
		}
		synctest.Wait()
		_ = conns[4].Send(text("later"))
		others[4].expect(opText, "later")
		if flushers.wait(); flushers.active.Load() > 0 {
			t.Error("a flusher has not ended")
		}
		n.upgrade(url).expect(opText, "sequence")
	})
}

// A brokenSystem is the raw side of a socket that was reset.
type brokenSystem struct{ syscall.RawConn }

func (brokenSystem) Read(func(uintptr) bool) error { return net.ErrClosed }
func (brokenSystem) Control(func(uintptr)) error   { return syscall.ECONNRESET }

func crashOnce(t *testing.T, n *node, at, transport string) {
	other := n.upgrade("/hub")
	n.app()
	var app *crashApp
	echo := n.endpoint.newApp
	n.endpoint.newApp = func(c *Conn) App {
		if at == "newApp" {
			panic("a mistake in newApp")
		}
		app = &crashApp{statefulApp: &statefulApp{echoApp: echo(c).(*echoApp)}, at: at}
		return app
	}
	url := n.negotiate("&useStatefulReconnect=true")
	crashes := func() { n.open(url, transport) }
	if at != "newApp" && at != "Start" {
		hangUp := n.open(url, transport)
		synctest.Wait()
		crashes = map[string]func(){
			"Receive": func() { hangUp("send") },
			"Receive on another goroutine": func() {
				hangUp("send")
				synctest.Wait()
				hangUp("send")
			},
			"Ended":    func() { hangUp("end") },
			"Tick":     func() {},
			"Shutdown": func() {},
			"Lost":     func() { hangUp("lose") },
			"Reconnected": func() {
				n.open(url, transport)
			},
		}[at]
	}
	crashes()
	time.Sleep(3 * time.Second)
	if at != "Shutdown" {
		if got := n.connections(); got != 1 {
			t.Errorf("%d connections are known, want the other one", got)
		}
	}
	other.send(0x81, "still here")
	other.expect(0x81, "still here")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { // the other App says farewell
		_, _ = other.r.WriteTo(io.Discard)
	}()
	if err := n.endpoint.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	_ = other.conn.Close()
	if told := app != nil && app.ended == 1; told == slices.Contains([]string{"newApp", "Start"}, at) {
		t.Errorf("the App was told of its end: %t", told)
	}
}

// open connects and returns what the client does next.
func (n *node) open(url, transport string) func(what string) {
	if transport == "WebSockets" {
		p := n.upgrade(url)
		return func(what string) {
			switch what {
			case "send":
				p.send(0x81, "x")
			case "end":
				p.send(0x88, "\x03\xe8")
			case "lose":
				_ = p.conn.Close()
			}
		}
	}
	p := n.dial()
	if transport == "LongPolling" {
		p.request("GET", url, "")
		p.response("GET")
	} else {
		p.request("GET", url, "", "Accept: text/event-stream")
		go func() { _, _ = p.r.WriteTo(io.Discard) }()
	}
	return func(what string) {
		switch {
		case what == "send":
			n.do("POST", url, "x")
		case transport == "LongPolling":
			n.do("DELETE", url, "")
		default:
			_ = p.conn.Close()
		}
	}
}
