package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// defaults are ASP.NET Core's.
func defaults() Options {
	return Options{
		Transports:             All,
		TransportMaxBufferSize: 64 << 10,
		MaximumQueuedBytes:     4 << 20,
		TransportSendTimeout:   10 * time.Second,
		CloseTimeout:           5 * time.Second,
		PollTimeout:            90 * time.Second,
		DisconnectTimeout:      15 * time.Second,
		MaximumPostSize:        30_000_000,
		Logger:                 slog.New(slog.DiscardHandler),
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

	silent   bool                           // do not send back
	linger   bool                           // do not finish when the input ends
	receive  func(p []byte, lend bool) bool // instead of echoing
	onTick   func(time.Time)
	onStart  func()
	finished bool
}

func (a *echoApp) Start() {
	a.mu.Lock()
	a.starts++
	a.mu.Unlock()
	if a.onStart != nil {
		a.onStart()
	}
}

func (a *echoApp) Receive(p []byte, lend bool) bool {
	a.mu.Lock()
	a.received = append(a.received, p...)
	a.mu.Unlock()
	if a.receive != nil {
		return a.receive(p, lend)
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

func (a *echoApp) Shutdown() {
	a.mu.Lock()
	a.shutdown = true
	a.mu.Unlock()
	go func() {
		_ = a.conn.Send(text("farewell"))
		a.conn.Finish()
	}()
}

func (a *echoApp) Tick(now time.Time) {
	a.mu.Lock()
	a.ticks++
	a.mu.Unlock()
	if a.onTick != nil {
		a.onTick(now)
	}
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
	case <-time.After(10 * time.Second):
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
	synctest.Test(t, func(t *testing.T) {
		n, mux := newNode(t, opts, prepare)
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
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
	case <-time.After(10 * time.Second):
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
	for end := time.Now().Add(10 * time.Second); !happens(); {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// A peer is one TCP connection of a client.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (n *node) dial() *peer {
	n.t.Helper()
	conn, err := n.connect()
	if err != nil {
		n.t.Fatal(err)
	}
	return newPeer(n.t, conn)
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // fake time in a bubble
	return p
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, s); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// A reply is an HTTP answer with its headers as they came.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %v %q", r.status, r.header, r.body) }

// request writes a request; headers are lines.
func (p *peer) request(method, path, body string, headers ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: test\r\n", method, path)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" || method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	p.write(b.String() + "\r\n" + body)
}

// response reads the answer to a request.
func (p *peer) response(method string) reply {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading the answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	r := reply{status: res.StatusCode, header: res.Header}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return r
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("reading the body: %v", err)
	}
	r.body = string(body)
	r.header.Del("Date")
	return r
}

// do sends one request on a connection of its own.
func (n *node) do(method, path, body string, headers ...string) reply {
	n.t.Helper()
	p := n.dial()
	defer func() { _ = p.conn.Close() }()
	p.request(method, path, body, headers...)
	return p.response(method)
}

// negotiated is the answer to a negotiate.
type negotiated struct {
	ID    string `json:"connectionId"`
	Token string `json:"connectionToken"`
	Error string `json:"error"`
}

// negotiate returns the URL of a new connection.
func (n *node) negotiate(query ...string) string {
	n.t.Helper()
	r := n.do("POST", "/hub/negotiate?negotiateVersion=1"+strings.Join(query, ""), "")
	var a negotiated
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || a.Token == "" {
		n.t.Fatalf("negotiate: %v", r)
	}
	return "/hub?id=" + a.Token
}

// handshakeHeaders open a WebSocket.
var handshakeHeaders = []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// upgrade opens a WebSocket.
func (n *node) upgrade(path string, headers ...string) *peer {
	n.t.Helper()
	p := n.dial()
	p.upgrade(path, headers...)
	return p
}

func (p *peer) upgrade(path string, headers ...string) {
	p.t.Helper()
	p.request("GET", path, "", append(handshakeHeaders, headers...)...)
	if r := p.response("GET"); r.status != http.StatusSwitchingProtocols {
		p.t.Fatalf("upgrade: %v", r)
	}
}

// clientFrame builds a masked frame.
func clientFrame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n > math.MaxUint16:
		b = binary.BigEndian.AppendUint64(append(b, 0xff), uint64(n))
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, 0xfe), uint16(n))
	default:
		b = append(b, 0x80|byte(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return string(b)
}

// Opcodes of whole messages.
const (
	opContinuation = 0x80
	opText         = 0x81
	opBinary       = 0x82
	opClose        = 0x88
	opPing         = 0x89
	opPong         = 0x8a
)

func (p *peer) send(first byte, payload string) {
	p.t.Helper()
	p.write(clientFrame(first, payload))
}

// frame reads one frame of the server; a close frame's payload is its code and
// reason as text.
func (p *peer) frame() (first byte, payload string) {
	p.t.Helper()
	first, payload, err := p.tryFrame()
	if err != nil {
		p.t.Fatalf("reading a frame: %v", err)
	}
	return first, payload
}

func (p *peer) tryFrame() (first byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(p.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(p.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return 0, "", err
	}
	if head[0] == opClose && n >= 2 {
		return head[0], fmt.Sprintf("%d %q", binary.BigEndian.Uint16(b), b[2:]), nil
	}
	return head[0], string(b), nil
}

// expect reads one frame and compares.
func (p *peer) expect(first byte, payload string) {
	p.t.Helper()
	if f, got := p.frame(); f != first || got != payload {
		p.t.Fatalf("frame = %#x %.100q, want %#x %.100q", f, got, first, payload)
	}
}

// expectEnd reads until TCP ends.
func (p *peer) expectEnd() {
	p.t.Helper()
	b, err := io.ReadAll(p.r)
	if err != nil && strings.Contains(err.Error(), "timeout") {
		p.t.Fatal("TCP did not end")
	}
	if len(b) > 0 {
		p.t.Fatalf("read %.200q before the end, want nothing", b)
	}
}
