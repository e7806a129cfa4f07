package transport

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen: longer than a machine
// with too much to do stands still.
const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// defaults are ASP.NET Core's.
func defaults() Options {
	return Options{
		Transports:             All,
		TransportMaxBufferSize: 64 << 10,
		SlowClientTimeout:      30 * time.Second,
		TransportSendTimeout:   10 * time.Second,
		CloseTimeout:           5 * time.Second,
		PollTimeout:            90 * time.Second,
		DisconnectTimeout:      15 * time.Second,
		MaximumPostSize:        30_000_000,
		Logger:                 slog.New(slog.DiscardHandler),

		MaximumWaitingPosts:      100,
		MaximumNegotiated:        20_000,
		MaximumRequestLine:       8 << 10,
		MaximumRequestHeaderSize: 32 << 10,
		MaximumRequestHeaders:    100,
	}
}

// An echoApp sends back what it receives, like the raw endpoint of the
// reference node, and remembers what its transport did.
type echoApp struct {
	conn *Conn

	mu       sync.Mutex
	received []byte
	starts   int
	ended    bool
	cause    error
	shutdown bool
	ticks    int
	over     chan struct{} // closed by Ended

	silent  bool                               // do not send back
	linger  bool                               // do not finish when the input ends
	mumbles bool                               // do not say farewell when the client is too slow
	receive func(p []byte, isReader bool) bool // instead of echoing
	onTick  func(time.Time)
	rest    time.Duration // what Tick returns
	onStart func()
}

func (a *echoApp) Start() {
	a.mu.Lock()
	a.starts++
	a.mu.Unlock()
	if a.onStart != nil {
		a.onStart()
	}
}

func (a *echoApp) Receive(p []byte, isReader bool) bool {
	a.mu.Lock()
	a.received = append(a.received, p...)
	a.mu.Unlock()
	if a.receive != nil {
		return a.receive(p, isReader)
	}
	if !a.silent {
		_ = a.conn.Send(text(string(p)))
	}
	return true
}

func (a *echoApp) Ended(cause error) {
	a.mu.Lock()
	a.ended, a.cause = true, cause
	a.mu.Unlock()
	close(a.over)
	if !a.linger {
		go a.conn.Finish() // as a hub does
	}
}

// TooSlow says farewell as a hub does.
func (a *echoApp) TooSlow() {
	if a.mumbles {
		return
	}
	go func() {
		_ = a.conn.SendLast(text("too slow"))
		a.conn.Finish()
	}()
}

func (a *echoApp) Shutdown() {
	a.mu.Lock()
	a.shutdown = true
	a.mu.Unlock()
	go func() {
		_ = a.conn.Send(text("farewell"))
		a.conn.Finish()
	}()
}

func (a *echoApp) Tick(now time.Time) time.Duration {
	a.mu.Lock()
	a.ticks++
	a.mu.Unlock()
	if a.onTick != nil {
		a.onTick(now)
	}
	return a.rest
}

func (a *echoApp) got() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.received)
}

func (a *echoApp) hasEnded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

func (a *echoApp) end(t testing.TB) error {
	t.Helper()
	select {
	case <-a.over:
	case <-time.After(patience):
		t.Fatal("the App was not told that its input has ended")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

func text(s string) Frame { return BuildFrame(append(NewFrameBuffer(len(s)), s...), false) }

// A node is an HTTP server with an endpoint at /hub.
type node struct {
	t        testing.TB
	endpoint *Endpoint
	apps     chan *echoApp
	connect  func() (net.Conn, error)
}

// serve starts a node whose connections have echo Apps; prepare may change them.
func serve(t testing.TB, opts Options, prepare func(*echoApp)) *node {
	t.Helper()
	n, mux := newNode(t, opts, prepare)
	n.listen(mux, func() []*Endpoint { return []*Endpoint{n.endpoint} })
	return n
}

func newNode(t testing.TB, opts Options, prepare func(*echoApp)) (*node, *http.ServeMux) {
	n := &node{t: t, apps: make(chan *echoApp, 20_000)}
	n.endpoint = NewEndpoint(opts, func(c *Conn) App {
		a := &echoApp{conn: c, over: make(chan struct{})}
		if prepare != nil {
			prepare(a)
		}
		n.apps <- a
		return a
	})
	mux := http.NewServeMux()
	mux.Handle("/hub", n.endpoint)
	mux.Handle("/hub/", n.endpoint)
	n.endpoint.MountedAt("/hub/")
	return n, mux
}

// listen serves h until the test ends.
func (n *node) listen(h http.Handler, endpoints func() []*Endpoint) {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	n.connect = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
	n.t.Cleanup(func() {
		stop(endpoints()...)
		server.Close()
	})
}

// stop ends endpoints; what does not end by itself is cut.
func stop(endpoints ...*Endpoint) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	for _, e := range endpoints {
		_ = e.Shutdown(ctx)
	}
}

// inBubble runs f with a node whose clock is fake and whose network is pipes.
func inBubble(t *testing.T, opts Options, prepare func(*echoApp), f func(t *testing.T, n *node)) {
	t.Helper()
	inBubbleOf(t, opts, prepare, func(*http.Server) {}, f)
}

// inBubbleOf is inBubble with an http.Server that is configured by configure.
func inBubbleOf(t *testing.T, opts Options, prepare func(*echoApp), configure func(*http.Server), f func(t *testing.T, n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, mux := newNode(t, opts, prepare)
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		configure(server)
		n.connect = l.dial
		served := make(chan error)
		go func() { served <- server.Serve(l) }()
		t.Cleanup(func() {
			stop(n.endpoint)
			_ = server.Close()
			<-served
		})
		f(t, n)
	})
}

// A pipeListener accepts the other ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// app returns the App of the connection that was made next.
func (n *node) app() *echoApp {
	n.t.Helper()
	select {
	case a := <-n.apps:
		return a
	case <-time.After(patience):
		n.t.Fatal("no App was made")
		return nil
	}
}

func (n *node) connections() int {
	n.endpoint.mu.Lock()
	defer n.endpoint.mu.Unlock()
	return len(n.endpoint.table)
}

// eventually waits until what happens.
func eventually(t testing.TB, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happens(); {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// isParkedNow reports whether the socket of c is parked.
func (c *Conn) isParkedNow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socket != nil && c.socket.how.Load() == isParked
}

// lookAt is what the sweeper does, as often as it takes to park an idle socket.
func (c *Conn) lookAt(times int) {
	for range times {
		c.mu.Lock()
		c.parkIdleLocked()
		c.mu.Unlock()
	}
}
