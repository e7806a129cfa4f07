package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A burstHub sends its caller numbered texts, and tells how it ended.
type burstHub struct{ ended chan error }

func (burstHub) Echo(text string) string { return text }

func (burstHub) Burst(call *server.Call, count, size int) error {
	return burst(call.Context(), call.Clients().Caller(), count, size)
}

func (burstHub) BurstAll(call *server.Call, count, size int) error {
	return burst(call.Context(), call.Clients().All(), count, size)
}

func (h burstHub) OnDisconnected(_ *server.Call, cause error) { h.ended <- cause }

func newBurstHub(opts *server.Options) (burstHub, *server.Hub) {
	h := burstHub{make(chan error, 100)}
	return h, newHub(h, opts)
}

func burst(ctx context.Context, to server.ClientProxy, count, size int) error {
	text := strings.Repeat("x", size)
	for i := range count {
		if err := to.Send(ctx, "M", i, text); err != nil {
			return err
		}
	}
	return nil
}

// A way is a transport under a protocol.
type way struct {
	name                 string
	codec                protocol.Codec
	tls, stateful        bool
	serverSent, longPoll bool
}

func ways() (all []way) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		all = append(all,
			way{name: "WebSockets", codec: codec},
			way{name: "WebSockets over TLS", codec: codec, tls: true},
			way{name: "WebSockets with stateful reconnect", codec: codec, stateful: true},
			way{name: "LongPolling", codec: codec, longPoll: true})
	}
	return append(all, way{name: "ServerSentEvents", codec: protocol.JSON{}, serverSent: true})
}

// open connects a client that reads whenever next is called.
func (w way) open(t *testing.T, hub *server.Hub, s *httptest.Server) *matrixClient {
	t.Helper()
	c := &matrixClient{t: t, codec: w.codec}
	base, token, version := s.URL, "", 1
	if w.serverSent || w.longPoll {
		token = "?id=" + negotiate(t, base, "").ConnectionToken
	}
	if w.stateful {
		token, version = negotiateStateful(t, hub), 2
	}
	client := s.Client()
	do := func(method string, p []byte, header ...string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, base+"/hub"+token, bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			r.Header.Set(header[0], header[1])
		}
		answer, err := client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s is answered %s", method, answer.Status)
		}
		return answer
	}
	all := func(answer *http.Response) []byte {
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	c.write = func(p []byte) { all(do("POST", p)) }
	switch {
	case w.serverSent:
		events := bufio.NewReader(do("GET", nil, "Accept", "text/event-stream").Body)
		c.read = func() []byte {
			for {
				line, err := events.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
					return bytes.TrimRight(data, "\r\n")
				}
			}
		}
	case w.longPoll:
		all(do("GET", nil))
		c.read = func() []byte { return all(do("GET", nil)) }
	default:
		conn := socketTo(t, s, token)
		in := bufio.NewReader(conn)
		op := ws.OpText
		if w.codec.Binary() {
			op = ws.OpBinary
		}
		c.write = func(p []byte) {
			if err := wsutil.WriteClientMessage(conn, op, p); err != nil {
				t.Fatal(err)
			}
		}
		c.read = func() []byte {
			op, p, err := readFrame(in)
			if err != nil || op == ws.OpClose {
				t.Fatalf("read %q, %v", p, err)
			}
			return p
		}
	}
	c.write(fmt.Appendf(nil, "{\"protocol\":%q,\"version\":%d}\x1e", w.codec.Name(), version))
	for !bytes.HasPrefix(c.rest, []byte("{}\x1e")) {
		c.rest = append(c.rest, c.read()...)
	}
	c.rest = c.rest[3:]
	return c
}

// socketTo opens a WebSocket, over TLS where s has it.
func socketTo(t *testing.T, s *httptest.Server, query string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(s.URL, "https") {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	}
	t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequest("GET", s.URL+"/hub"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	head := []byte{}
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b[0]) {
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatalf("%q, %v", head, err)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		t.Fatalf("upgrade: %q", head)
	}
	return conn
}

// serveAlso serves hub over plain TCP or TLS. The kernel's buffers are small, so
// that little is enough for a client to be behind; but no smaller than a packet
// of the loopback (64 KiB), for which the kernel would wait.
func serveAlso(t *testing.T, hub *server.Hub, withTLS bool) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if secured, ok := conn.(*tls.Conn); ok {
			conn = secured.NetConn()
		}
		if err := conn.(*net.TCPConn).SetWriteBuffer(128 << 10); err != nil {
			t.Errorf("SetWriteBuffer: %v", err)
		}
		return ctx
	}
	if withTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		if tr, ok := s.Client().Transport.(*http.Transport); ok {
			tr.CloseIdleConnections()
		}
		if err := hub.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Shutdown: %v", err)
		}
		s.Close()
	})
	return s
}

// expectBurst receives count texts of size in their order and acknowledges them
// where that is wanted.
func (c *matrixClient) expectBurst(count, size int, acks bool) {
	c.t.Helper()
	for i := 0; i < count; {
		m := c.next()
		inv, ok := m.(*protocol.Invocation)
		if !ok {
			if _, control := m.(*protocol.Ack); control {
				continue
			}
			c.t.Fatalf("received %#v instead of text %d", m, i)
		}
		var n int
		if err := c.codec.Unmarshal(inv.RawArguments[0], &n); err != nil || n != i || len(inv.RawArguments[1]) < size {
			c.t.Fatalf("received number %d of %d bytes instead of %d, %v", n, len(inv.RawArguments[1]), i, err)
		}
		if i++; acks {
			c.write(c.append(nil, &protocol.Ack{SequenceID: int64(i)}))
		}
	}
}

// A client that reads gets a burst as a whole, however it was sent: of many
// texts, of long ones, and of one that is longer than all buffers together.
func TestABurstReachesAClientThatReads(t *testing.T) {
	bursts := []struct{ count, size int }{{300, 2_000}, {8, 100_000}, {2, 1_000_000}}
	if testing.Short() {
		bursts = bursts[2:]
	}
	for _, w := range ways() {
		t.Run(w.name+" "+w.codec.Name(), func(t *testing.T) {
			h, hub := newBurstHub(&server.Options{Endpoint: server.EndpointOptions{AllowStatefulReconnects: true}})
			s := serveAlso(t, hub, w.tls)
			for _, b := range bursts {
				for _, from := range []string{"outside", "Burst", "BurstAll"} {
					c := w.open(t, hub, s)
					done := make(chan error, 1)
					if from == "outside" {
						c.write(c.append(nil, &protocol.Invocation{InvocationID: "1", Target: "Echo", Arguments: []any{"x"}}))
						for {
							if _, answer := c.next().(*protocol.Completion); answer {
								break
							}
						}
						go func() { done <- burst(t.Context(), hub.Clients().All(), b.count, b.size) }()
					} else {
						done <- nil
						c.write(c.append(nil, &protocol.Invocation{Target: from, Arguments: []any{b.count, b.size}}))
					}
					c.expectBurst(b.count, b.size, w.stateful && from != "outside")
					if err := <-done; err != nil {
						t.Errorf("Send from %s: %v", from, err)
					}
					c.write(c.append(nil, &protocol.Close{}))
					if cause := <-h.ended; cause != nil {
						t.Errorf("%d x %d from %s: OnDisconnected got %v", b.count, b.size, from, cause)
					}
				}
			}
		})
	}
}

func TestNothingComesBehindAGapAndNobodyWaits(t *testing.T) {
	h, hub := newBurstHub(&server.Options{QueueLimit: server.NewQueueLimit(1 << 20)})
	s := serveAlso(t, hub, false)
	w := way{codec: protocol.JSON{}}
	for range 5 {
		c, healthy := w.open(t, hub, s), w.open(t, hub, s)
		for _, one := range []*matrixClient{c, healthy} {
			one.write(one.append(nil, &protocol.Invocation{InvocationID: "1", Target: "Echo", Arguments: []any{"x"}}))
			one.next()
		}
		sent := 0
		for ended := false; !ended; sent++ { // until the one that does not read is closed
			if sent > 100_000 {
				t.Fatal("the client that does not read is not closed")
			}
			if err := hub.Clients().All().Send(t.Context(), "M", sent, strings.Repeat("x", 20_000)); err != nil {
				t.Fatal(err)
			}
			healthy.number(sent)
			select {
			case cause := <-h.ended:
				if ended = true; !errors.Is(cause, server.ErrTooSlow) {
					t.Errorf("OnDisconnected got %v, want ErrTooSlow", cause)
				}
			default:
			}
		}
		next := 0
		for m := c.next(); ; m = c.next() {
			if inv, ok := m.(*protocol.Invocation); ok {
				c.check(inv, next)
				next++
				continue
			}
			if end, ok := m.(*protocol.Close); !ok || !end.AllowReconnect {
				t.Errorf("received %#v behind %d texts, want a Close", m, next)
			}
			break
		}
		if next == sent { // none is well, too: the goroutine that writes may not have run
			t.Errorf("%d of %d texts came", next, sent)
		}
		healthy.write(healthy.append(nil, &protocol.Close{}))
		if cause := <-h.ended; cause != nil {
			t.Errorf("the healthy client: OnDisconnected got %v", cause)
		}
	}
	if got := hub.QueueStats(); got.Bytes != 0 || got.TooSlow != 5 {
		t.Errorf("QueueStats() = %+v, want nothing queued and 5 closed", got)
	}
}

func (c *matrixClient) number(want int) {
	c.t.Helper()
	inv, ok := c.next().(*protocol.Invocation)
	if !ok {
		c.t.Fatalf("received something else than text %d", want)
	}
	c.check(inv, want)
}

func (c *matrixClient) check(inv *protocol.Invocation, want int) {
	c.t.Helper()
	var n int
	if err := c.codec.Unmarshal(inv.RawArguments[0], &n); err != nil || n != want {
		c.t.Fatalf("received number %d instead of %d, %v", n, want, err)
	}
}
