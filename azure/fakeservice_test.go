package azure

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/server"
)

// A fakeService is what a hub takes for the service: tests say what it sends, and
// see what it gets.
type fakeService struct {
	t         *testing.T
	transport *http.Transport
	server    *http.Server
	handle    func(*fakeConn, wire.Message) // not nil: it is called for each message, outside of a bubble
	quiet     bool                          // it does not answer the handshake
	status    func(n int) int               // what the n-th upgrade is answered, from 1; nil: 101

	mu       sync.Mutex
	upgrades []*http.Request
	conns    []*fakeConn
}

// A fakeConn is a service connection at the service.
type fakeConn struct {
	service *fakeService
	url     string
	host    string
	net     net.Conn

	reading chan struct{} // holds a token; a test that has it keeps the service from reading

	writing sync.Mutex // a message goes out whole

	mu    sync.Mutex
	got   []got
	ended bool
}

// got is a message that came, or the end.
type got struct {
	m     wire.Message
	close int
}

func newFake(t *testing.T) *fakeService {
	f := &fakeService{t: t}
	l := memnet.Listen()
	f.server = &http.Server{Handler: f}
	go func() { _ = f.server.Serve(l) }()
	link := l.Link(nil)
	f.transport = &http.Transport{DialContext: link.DialContext}
	t.Cleanup(func() {
		_ = f.server.Close()
		for _, c := range f.all() {
			_ = c.net.Close()
		}
		if f.handle == nil {
			synctest.Wait()
		}
	})
	return f
}

const testKey = recorded.AccessKey

// hub returns a hub behind f.
func (f *fakeService) hub(o Options, opts server.Options) *server.Hub {
	f.t.Helper()
	if o.ConnectionString == "" && o.Endpoints == nil {
		o.ConnectionString = "Endpoint=http://127.0.0.1;Port=18900;AccessKey=" + testKey + ";Version=1.0;"
	}
	o.Transport, o.HubName = f.transport, "chat"
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.MaximumReceiveMessageSize = 1 << 20
	h, err := NewHub(&Chat{}, &o, &opts)
	if err != nil {
		f.t.Fatal(err)
	}
	chatHub.Store(h)
	f.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.Shutdown(ctx)
		time.Sleep(time.Second) // fake: the hub's watch ends
	})
	return h
}

func (f *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.upgrades = append(f.upgrades, r)
	n, status := len(f.upgrades), http.StatusSwitchingProtocols
	if f.status != nil {
		status = f.status(n) // with the lock, which tests take to read what it writes
	}
	f.mu.Unlock()
	if status != http.StatusSwitchingProtocols {
		w.WriteHeader(status)
		return
	}
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		f.t.Errorf("upgrade: %v", err)
		return
	}
	c := &fakeConn{service: f, url: r.URL.String(), host: r.Host, net: conn, reading: make(chan struct{}, 1)}
	c.reading <- struct{}{}
	f.mu.Lock()
	f.conns = append(f.conns, c)
	f.mu.Unlock()
	go c.read()
}

// answer sets what later upgrades are answered.
func (f *fakeService) answer(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = func(int) int { return status }
}

func (f *fakeService) all() []*fakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.conns)
}

// conn is the n-th service connection, from 0, once all has come to rest.
func (f *fakeService) conn(n int) *fakeConn {
	f.t.Helper()
	synctest.Wait()
	all := f.all()
	if n >= len(all) {
		f.t.Fatalf("there are %d service connections, want number %d", len(all), n)
	}
	return all[n]
}

func (c *fakeConn) read() {
	var frames wire.Reader
	for {
		<-c.reading
		c.reading <- struct{}{}
		frame, err := readFrame(c.net)
		switch {
		case err != nil || frame.Header.OpCode == ws.OpClose:
			code := 1006
			if err == nil {
				status, _ := ws.ParseCloseFrameData(frame.Payload)
				code = int(status)
				_ = ws.WriteFrame(c.net, ws.NewCloseFrame(frame.Payload)) // the app may be gone
			}
			c.add(got{close: code})
			_ = c.net.Close()
			return
		case frame.Header.OpCode != ws.OpBinary || !frame.Header.Fin:
			c.service.t.Errorf("a frame that is not a binary message: %v", frame.Header)
		}
		for m, err := range frames.Messages(bytes.Clone(frame.Payload)) {
			if err != nil {
				c.service.t.Errorf("bad frame from the app: %v", err)
				continue
			}
			c.add(got{m: m})
			if _, ok := m.(*wire.HandshakeRequest); ok && !c.service.quiet {
				c.send(&wire.HandshakeResponse{})
			}
			if c.service.handle != nil {
				c.service.handle(c, m)
			}
		}
	}
}

// readFrame reads what the app has sent, which is no stranger: it is not bounded.
func readFrame(r io.Reader) (frame ws.Frame, err error) {
	if frame.Header, err = ws.ReadHeader(r); err != nil {
		return frame, err
	}
	frame.Payload = make([]byte, frame.Header.Length)
	_, err = io.ReadFull(r, frame.Payload)
	return ws.UnmaskFrameInPlace(frame), err
}

func (c *fakeConn) add(g got) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, g)
	c.ended = c.ended || g.close != 0
}

// send sends messages in one WebSocket message.
func (c *fakeConn) send(messages ...wire.Message) {
	var b []byte
	for _, m := range messages {
		b = wire.Append(b, m)
	}
	c.raw(b)
}

func (c *fakeConn) raw(b []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = wsutil.WriteServerBinary(c.net, b) // the app may be gone
}

// close ends the connection: with a close frame, or 1006 without.
func (c *fakeConn) close(code int) {
	if code != 1006 {
		_ = ws.WriteFrame(c.net, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
		return
	}
	_ = c.net.Close()
}

// take returns what has come since the last time, once all has come to rest,
// without the pings that a server sends by itself.
func (c *fakeConn) take() []got {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.got
	c.got = nil
	return slices.DeleteFunc(list, func(g got) bool { return isOwnPing(g.m) })
}

func isOwnPing(m wire.Message) bool {
	ping, ok := m.(*wire.Ping)
	return ok && len(ping.Messages) > 0 && (ping.Messages[0] == "#clientInHub" || ping.Messages[0] == pingStatus)
}

// open opens a client of the json protocol and says what came of its handshake.
func (c *fakeConn) open(id string, claims ...wire.Claim) {
	protocol, query := "json", "?hub=chat&asrs.op=%2Fchat"
	c.send(&wire.OpenConnection{ConnectionID: id, Claims: claims, QueryString: &query, Protocol: &protocol})
	c.data(id, `{"protocol":"json","version":1}`+"\x1e")
}

func (c *fakeConn) data(id, text string) {
	c.send(&wire.ConnectionData{ConnectionID: id, Payload: []byte(text)})
}
