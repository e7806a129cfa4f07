package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/server"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen: longer than a machine
// with too much to do stands still.
const patience = time.Minute

func TestMain(m *testing.M) {
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("testing.(*M).before.func1")); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// serve mounts hub at /hub on a server of its own.
func serve(t testing.TB, hub http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if h, ok := hub.(interface{ Shutdown(context.Context) error }); ok {
			if err := h.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}
		s.Close()
	})
	return s.URL
}

// newHub is NewHub with a silent log.
func newHub[H any](hub H, opts *server.Options) *server.Hub {
	if opts == nil {
		opts = &server.Options{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return server.MustHub(hub, opts)
}

// A client is a WebSocket that speaks JSON records, without negotiation. It is raw,
// and not one of internal/hubclient, for tests that send what no client would, in
// frames of their choice, and compare what comes byte by byte.
type client struct {
	t       testing.TB
	conn    net.Conn
	in      *bufio.Reader
	records [][]byte // received, not yet expected
	closed  ws.StatusCode
}

// dial opens a WebSocket; query begins with "?" or is empty.
func dial(t testing.TB, url, query string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/hub"+query)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	c := &client{t: t, conn: conn, in: in}
	t.Cleanup(func() { _ = conn.Close() })
	return c
}

// connect dials and shakes hands.
func connect(t testing.TB, url string) *client {
	t.Helper()
	c := dial(t, url, "")
	c.handshake()
	return c
}

func (c *client) handshake() {
	c.t.Helper()
	c.send(`{"protocol":"json","version":1}`)
	c.expect(`{}`)
}

// send sends records in one frame.
func (c *client) send(records ...string) {
	c.t.Helper()
	text := strings.Join(records, "\x1e") + "\x1e"
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		c.t.Fatalf("send %s: %v", text, err)
	}
}

// receive returns the next record, or "close 1000" and the like.
func (c *client) receive() string {
	c.t.Helper()
	for len(c.records) == 0 {
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		op, p, err := readFrame(c.in)
		if err != nil {
			return "broken: " + err.Error()
		}
		switch op {
		case ws.OpClose:
			c.closed, _ = ws.ParseCloseFrameData(p)
			return "close " + itoa(int(c.closed))
		case ws.OpText, ws.OpBinary, ws.OpContinuation:
			for r := range bytes.SplitAfterSeq(p, []byte{0x1e}) {
				if len(r) > 0 {
					c.records = append(c.records, bytes.TrimSuffix(r, []byte{0x1e}))
				}
			}
		}
	}
	r := c.records[0]
	c.records = c.records[1:]
	return string(r)
}

// frame returns the payload of the next frame.
func (c *client) frame() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	_, p, err := readFrame(c.in)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	return string(p)
}

// readFrame reads one frame of a server, of at most 64 MiB.
func readFrame(in io.Reader) (op ws.OpCode, payload []byte, err error) {
	h, err := ws.ReadHeader(in)
	if err != nil {
		return 0, nil, err
	}
	if h.Length > 64<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", h.Length)
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(in, payload)
	return h.OpCode, payload, err
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// expect wants exactly these records next.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		got := c.receive()
		for strings.HasPrefix(got, `{"type":8,`) { // an Ack comes once a second, whenever that is
			got = c.receive()
		}
		if got != w {
			c.t.Fatalf("received %s\n    want %s", got, w)
		}
	}
}

// call sends an invocation with an id and expects its completion.
func (c *client) call(id, target, args, want string) {
	c.t.Helper()
	c.send(`{"type":1,"invocationId":"` + id + `","target":"` + target + `","arguments":` + args + `}`)
	c.expect(`{"type":3,"invocationId":"` + id + `",` + want + `}`)
}

// question expects a call of the client, of which rest is target and arguments,
// and returns its invocation id.
func (c *client) question(rest string) (id string) {
	c.t.Helper()
	got := c.receive()
	_, behind, _ := strings.Cut(got, `"invocationId":"`)
	id, _, _ = strings.Cut(behind, `"`)
	if want := `{"type":1,"invocationId":"` + id + `",` + rest + `}`; got != want {
		c.t.Fatalf("received %s\n    want %s", got, want)
	}
	return id
}

// eventually waits until what happens.
func eventually(t testing.TB, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happens(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}
