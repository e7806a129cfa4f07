package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// idleClients is how many are there when memory is counted.
const idleClients = 300

// mostIdle is how much more of the heap an idle client of the gateway may cost than
// one of a hub, in bytes.
const mostIdle = 1024

type idleHub struct{ server.Hub }

// An idle client of the gateway costs what one of a hub costs, and a little: both are
// measured with the same clients in the same process.
func TestAnIdleClientCostsLittleMoreThanAtAHub(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	hub, err := server.NewHub(idleHub{}, &server.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/client/", hub)
	ofHub := heapOfAClient(t, mux, nil)

	g, err := gateway.New(&gateway.Options{AccessKeys: []string{key}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ofGateway := heapOfAClient(t, g, func(ctx context.Context, link *memnet.Link) { serveHandshakes(ctx, t, link) })
	t.Logf("an idle client: %d bytes at a hub, %d at a gateway", ofHub, ofGateway)
	if ofGateway > ofHub+mostIdle {
		t.Errorf("an idle client of the gateway has %d bytes of the heap, and %d at a hub: want %d more at most", ofGateway, ofHub, mostIdle)
	}
	for _, end := range []func(context.Context) error{hub.Shutdown, g.Shutdown} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := end(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// heapOfAClient is what the heap has grown for each of idleClients clients, which have
// nothing of it but a socket each.
func heapOfAClient(t *testing.T, h http.Handler, before func(context.Context, *memnet.Link)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	servers := memnet.Listen()
	ctx, stop := context.WithCancel(t.Context())
	web := &http.Server{Handler: h}
	served := make(chan error, 2)
	go func() { served <- web.Serve(listener) }()
	go func() { served <- web.Serve(servers) }()
	if before != nil {
		before(ctx, servers.Link(nil))
	}
	token := sign(key, map[string]any{"aud": "http://x/client/?hub=chat", "asrs.s.uid": "ann"})
	all := make([]net.Conn, 0, 2*idleClients)
	for range idleClients { // tables and pools have grown
		all = append(all, idleClient(t, listener.Addr().String(), token))
	}
	first := settledHeap(t)
	for range idleClients {
		all = append(all, idleClient(t, listener.Addr().String(), token))
	}
	each := (settledHeap(t) - first) / idleClients
	for _, c := range all {
		_ = c.Close()
	}
	stop()
	_ = web.Close()
	<-served
	<-served
	return each
}

// idleClient connects by hand, and says no more than its handshake.
func idleClient(t *testing.T, address, token string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	hello := `{"protocol":"json","version":1}` + "\x1e"
	upgrade := "GET /client/?hub=chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	frame := append([]byte{0x81, 0x80 | byte(len(hello)), 0, 0, 0, 0}, hello...)
	if _, err := c.Write(append([]byte(upgrade), frame...)); err != nil {
		t.Fatal(err)
	}
	var got [1024]byte
	for n := 0; !bytes.HasSuffix(got[:n], []byte("{}\x1e")); {
		more, err := c.Read(got[n:])
		if n += more; err != nil {
			t.Fatalf("%v after %q", err, got[:n])
		}
	}
	return c
}

// settledHeap is what is in use once nothing changes any more. A client that has its
// answer is not idle yet: the goroutine that wrote it still has its buffers, and so has
// what earlier tests have just ended.
func settledHeap(t *testing.T) int {
	t.Helper()
	const same, most = 4, 4 << 10 // samples, and the bytes that they may differ by
	var lastHeap, lastGoroutines, quiet int
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		heap, goroutines := heap(), runtime.NumGoroutine()
		if d := heap - lastHeap; goroutines == lastGoroutines && -most < d && d < most {
			if quiet++; quiet == same {
				return heap
			}
		} else {
			quiet = 0
		}
		lastHeap, lastGoroutines = heap, goroutines
	}
	t.Fatal("the heap does not become quiet")
	return 0
}

func heap() int {
	for range 3 { // pools give up what they have at the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// serveHandshakes is an app server that accepts every client, and keeps nothing of it.
func serveHandshakes(ctx context.Context, t *testing.T, link *memnet.Link) {
	t.Helper()
	conn, err := hubclient.Open(ctx, hubclient.ConnOptions{
		URL: "http://gateway/server/?hub=chat&cid=1", DialContext: link.DialContext, SkipNegotiation: true, Binary: true,
		Header: http.Header{"Authorization": {"Bearer " + sign(key, map[string]any{"aud": "http://x/server/?hub=chat", "nameid": "server-1"})}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(wire.Append(nil, &wire.HandshakeRequest{Version: 1})); err != nil {
		t.Fatal(err)
	}
	welcome := make(chan error, 1)
	over := make(chan struct{})
	t.Cleanup(func() { <-over })
	go func() {
		defer close(over)
		defer conn.Close()
		reader := wire.Reader{MaxFrameSize: -1}
		for {
			p, err := conn.Read()
			if err != nil {
				return
			}
			for m, err := range reader.Messages(p) {
				if err != nil {
					return
				}
				switch m := m.(type) {
				case *wire.HandshakeResponse:
					if text := wire.Text(m.ErrorMessage); text != "" {
						welcome <- fmt.Errorf("refused: %s", text)
					} else {
						welcome <- nil
					}
				case *wire.ConnectionData:
					if _, _, err := protocol.ParseHandshakeRequest(m.Payload); err == nil {
						_ = conn.Write(wire.Append(nil, &wire.ConnectionData{ConnectionID: m.ConnectionID, Payload: []byte("{}\x1e"), DataType: wire.DataHandshake}))
					}
				}
			}
		}
	}()
	if err := <-welcome; err != nil {
		t.Fatal(err)
	}
}
