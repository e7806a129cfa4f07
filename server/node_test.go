package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/server"
)

// healthOf returns what a health check of h is told.
func healthOf(h http.Handler) (status int, text string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func wantHealth(t *testing.T, what string, h http.Handler, status int, text string) {
	t.Helper()
	if gotStatus, got := healthOf(h); gotStatus != status || got != text+"\n" {
		t.Errorf("%s is answered %d %q, want %d %q", what, gotStatus, got, status, text)
	}
}

func TestANodeIsReadyWhileItsChecksSaySoAndItDoesNotDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, roomHub{}, nil)
		raw := server.NewConnectionHandler(func(*server.Connection) error { return nil }, nil)
		var trouble error
		node := &server.Node{Hubs: []server.Drainer{n.Hub(), raw}, Checks: []func() error{
			func() error { return nil },
			func() error {
				if trouble == io.EOF {
					panic("the check is wrong")
				}
				return trouble
			},
		}}
		wantHealth(t, "Live", node.Live(), 200, "ok")
		wantHealth(t, "Ready", node.Ready(), 200, "ready")
		trouble = errors.New("backplane: degraded")
		wantHealth(t, "Ready with a failing check", node.Ready(), 503, "backplane: degraded")
		trouble = io.EOF
		if status, text := healthOf(node.Ready()); status != 503 || !strings.Contains(text, "the check is wrong") {
			t.Errorf("Ready with a check that panics is answered %d %q", status, text)
		}
		trouble = nil
		wantHealth(t, "Ready with all checks well again", node.Ready(), 200, "ready")
		if err := <-draining(n, t.Context(), server.DrainOptions{Notice: never}); err != nil {
			t.Errorf("Drain: %v", err)
		}
		wantHealth(t, "Ready of a hub that drains", node.Ready(), 503, "draining")
		wantHealth(t, "Live of a hub that drains", node.Live(), 200, "ok")
	})
}

// A nodeTest is a Node that serves in a bubble.
type nodeTest struct {
	*server.Node
	listener *memnet.Listener
	stop     context.CancelFunc
	ended    chan error
}

// startNode serves hub at /hub and raw at /raw until stop is called.
func startNode(t *testing.T, logger *slog.Logger, hub *server.Hub, raw *server.ConnectionHandler) *nodeTest {
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	server.Mount(mux, "/raw", raw)
	n := &nodeTest{listener: memnet.Listen(), ended: make(chan error, 1), Node: &server.Node{
		Server: &http.Server{Handler: mux}, Hubs: []server.Drainer{hub, raw}, Logger: logger,
	}}
	mux.Handle("GET /readyz", n.Ready())
	ctx, cancel := context.WithCancel(t.Context())
	n.stop = cancel
	go func() { n.ended <- n.Serve(ctx, n.listener) }()
	return n
}

func (n *nodeTest) connect(t *testing.T) *hubclient.Client {
	t.Helper()
	c, err := hubclient.Dial(t.Context(), hubclient.Options{ConnOptions: hubclient.ConnOptions{URL: "http://hub.test/hub", DialContext: n.listener.Link(nil).DialContext}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (n *nodeTest) ready(t *testing.T) int {
	t.Helper()
	web := &http.Transport{DialContext: n.listener.Link(nil).DialContext}
	defer web.CloseIdleConnections()
	answer, err := (&http.Client{Transport: web}).Get("http://hub.test/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// Package signal starts a goroutine that never ends, once; in a bubble it would
// be the bubble's.
func listenToSignals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	signal.Stop(c)
}

func TestANodeDrainsItsHubsAndRawEndpointsAtItsEnd(t *testing.T) {
	listenToSignals()
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		rawEnded := make(chan error, 1)
		raw := server.NewConnectionHandler(func(c *server.Connection) error {
			_, err := c.Read(make([]byte, 1))
			rawEnded <- err
			return err
		}, &server.ConnectionOptions{Logger: quiet})
		hub := server.MustHub(roomHub{}, &server.Options{Logger: quiet})
		n := startNode(t, quiet, hub, raw)
		c := n.connect(t)
		stream, err := n.listener.Link(nil).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if _, err := io.WriteString(stream, "GET /raw HTTP/1.1\r\nHost: hub.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := raw.Counts().WebSockets; got != 1 {
			t.Fatalf("the raw endpoint has %d connections", got)
		}
		begin := time.Now()
		n.stop()
		time.Sleep(4 * time.Second)
		if status := n.ready(t); status != 503 {
			t.Errorf("the node says %d while it drains", status)
		}
		n.connect(t) // it is served: the notice is not over
		<-c.Done()
		var closed *hubclient.CloseMessage
		if err := c.Err(); !errors.As(err, &closed) || !closed.AllowReconnect || time.Since(begin) < 5*time.Second {
			t.Errorf("the client ends with %v after %v", err, time.Since(begin))
		}
		if err := <-rawEnded; err != io.EOF || time.Since(begin) < 5*time.Second {
			t.Errorf("the raw handler has read %v after %v, want the end of its input", err, time.Since(begin))
		}
		stream.Close()
		if err := <-n.ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := n.listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is open: %v", err)
		}
	})
}

func TestANodeCutsWhatIsLeftAfterItsTimeout(t *testing.T) {
	listenToSignals()
	synctest.Test(t, func(t *testing.T) {
		var log safeBuffer
		h := newDrainHub()
		hub := server.MustHub(h, &server.Options{Logger: slog.New(slog.DiscardHandler)})
		raw := server.NewConnectionHandler(func(*server.Connection) error { return nil }, &server.ConnectionOptions{Logger: slog.New(slog.DiscardHandler)})
		n := startNode(t, slog.New(slog.NewTextHandler(&log, nil)), hub, raw)
		c := n.connect(t)
		if err := c.Send("Block", nil); err != nil {
			t.Fatal(err)
		}
		<-h.begun
		begin := time.Now()
		n.stop()
		if err := <-n.ended; err != nil || time.Since(begin) != 28*time.Second {
			t.Errorf("Serve returned %v after %v, want nil after 28 s", err, time.Since(begin))
		}
		close(h.release)
		if text := log.String(); !strings.Contains(text, "was cut") {
			t.Errorf("the log does not say so:\n%s", text)
		}
	})
}

func TestANodeWhoseListenerFailsReturnsItsError(t *testing.T) {
	listenToSignals()
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		hub := server.MustHub(roomHub{}, &server.Options{Logger: quiet})
		raw := server.NewConnectionHandler(func(*server.Connection) error { return nil }, &server.ConnectionOptions{Logger: slog.New(slog.DiscardHandler)})
		n := startNode(t, quiet, hub, raw)
		c := n.connect(t)
		if err := n.listener.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-n.ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v, want that of the listener", err)
		}
		<-c.Done()
		n.Server.Close()
	})
}

func TestANodeThatHasEndedIsNotReady(t *testing.T) {
	listenToSignals()
	synctest.Test(t, func(t *testing.T) {
		n := &server.Node{Server: &http.Server{}, Logger: slog.New(slog.DiscardHandler)} // without hubs: nothing else says so
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := n.Serve(ctx, memnet.Listen()); err != nil {
			t.Errorf("Serve: %v", err)
		}
		wantHealth(t, "Ready", n.Ready(), 503, "draining")
	})
}

func TestANodeThatCannotListenSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := &server.Node{Server: &http.Server{Addr: l.Addr().String()}}
	if err := n.ListenAndServe(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("ListenAndServe on an address that is taken: %v", err)
	}
}
