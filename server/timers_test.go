package server_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/server"
)

// A fakeClient is a memoryConn that remembers what it was sent, and when.
type fakeClient struct {
	memoryConn
	start time.Time

	mu   sync.Mutex
	sent []event
}

type event struct {
	at     time.Duration
	record string
}

func (c *fakeClient) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := p; len(rest) > 1; {
		n, head := int(rest[1]&0x7f), 2
		if n == 126 {
			n, head = int(rest[2])<<8|int(rest[3]), 4
		}
		text := string(rest[head : head+n])
		if rest[0]&0xf == 8 {
			text = "close"
		}
		for r := range strings.SplitSeq(strings.TrimSuffix(text, "\x1e"), "\x1e") {
			c.sent = append(c.sent, event{time.Since(c.start), r})
		}
		rest = rest[head+n:]
	}
	return len(p), nil
}

func (c *fakeClient) events(record string) (at []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.sent {
		if e.record == record {
			at = append(at, e.at)
		}
	}
	return at
}

func (c *fakeClient) say(record string) { c.in <- clientFrame(record) }

// count is how many records hold text.
func (c *fakeClient) count(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.sent {
		if strings.Contains(e.record, text) {
			n++
		}
	}
	return n
}

// openFake opens a WebSocket in the bubble of a synctest.
func openFake(t *testing.T, hub *server.Hub) *fakeClient {
	t.Helper()
	return openFakeAt(t, hub, "/hub")
}

func openFakeAt(t *testing.T, hub *server.Hub, target string) *fakeClient {
	t.Helper()
	c := newFake()
	openConn(hub, target, c)
	return c
}

func newFake() *fakeClient {
	c := &fakeClient{start: time.Now()}
	c.in, c.records, c.reached = make(chan []byte, 10), &atomic.Int64{}, make(chan struct{}, 1)
	return c
}

// openConn opens a WebSocket over conn.
func openConn(hub *server.Hub, target string, conn net.Conn) {
	r := httptest.NewRequest("GET", target, nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	hub.ServeHTTP(hijacked{httptest.NewRecorder(), conn}, r)
}

// end lets the client go and waits until nothing of the hub is left.
func (c *fakeClient) end(t *testing.T, hub *server.Hub) {
	t.Helper()
	c.in <- ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
	synctest.Wait()
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	close(c.in)
}

const ping = `{"type":6}`

func TestTimers(t *testing.T) {
	within := func(t *testing.T, got, least time.Duration) {
		t.Helper()
		if got < least || got > least+1100*time.Millisecond {
			t.Errorf("happened after %v, want %v to a second more", got, least)
		}
	}
	t.Run("an idle connection gets one ping per interval", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(benchHub{}, nil)
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			time.Sleep(50 * time.Second)
			pings := c.events(ping)
			if len(pings) != 3 {
				t.Fatalf("pings after 50 s at %v, want 3", pings)
			}
			within(t, pings[0], 15*time.Second)
			c.end(t, hub)
		})
	})
	t.Run("calls do not put pings off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(benchHub{}, nil)
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			for range 35 {
				time.Sleep(time.Second)
				c.say(`{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`)
			}
			if pings := c.events(ping); len(pings) != 2 {
				t.Errorf("pings after 35 s at %v, want 2", pings)
			}
			c.end(t, hub)
		})
	})
	t.Run("a client that never pings is never timed out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(benchHub{}, nil)
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			time.Sleep(10 * time.Minute)
			if closed := c.events("close"); len(closed) != 0 {
				t.Errorf("closed at %v", closed)
			}
			c.end(t, hub)
		})
	})
	t.Run("a client that has pinged and falls silent is timed out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(benchHub{}, nil)
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			c.say(ping)
			time.Sleep(40 * time.Second)
			closed := c.events(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
			if len(closed) != 1 {
				t.Fatalf("Close at %v, want one", closed)
			}
			within(t, closed[0], 30*time.Second)
			c.end(t, hub)
		})
	})
	t.Run("without a handshake the connection ends after the timeout, not a tick later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(benchHub{}, &server.Options{HandshakeTimeout: 1500 * time.Millisecond})
			c := openFake(t, hub)
			time.Sleep(5 * time.Second)
			refused := c.events(`{"error":"Handshake was canceled."}`)
			if len(refused) != 1 || refused[0] != 1500*time.Millisecond {
				t.Errorf("refused at %v, want at 1.5 s", refused)
			}
			c.end(t, hub)
		})
	})
	t.Run("an expired user is asked to reconnect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			expires := time.Now().Add(20 * time.Second)
			hub := newHub(benchHub{}, &server.Options{
				Authenticate: func(*http.Request) (server.User, error) {
					return server.User{ID: "alice", Expires: expires}, nil
				},
				Endpoint: server.EndpointOptions{CloseOnAuthenticationExpiration: true},
			})
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			time.Sleep(30 * time.Second)
			closed := c.events(`{"type":7,"allowReconnect":true}`)
			if len(closed) != 1 {
				t.Fatalf("Close at %v, want one", closed)
			}
			within(t, closed[0], 20*time.Second)
			c.end(t, hub)
		})
	})
}
