package server_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// An opener opens WebSockets as clients do. It allocates little.
type opener struct {
	address   *net.TCPAddr
	negotiate net.Conn // kept alive, as browsers do
	request   []byte
	in        [1 << 10]byte
}

func newOpener(b testing.TB, address net.Addr) *opener {
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &opener{address: address.(*net.TCPAddr), negotiate: conn}
}

var (
	negotiateRequest = []byte("POST /hub/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" +
		"User-Agent: Mozilla/5.0\r\nX-Requested-With: XMLHttpRequest\r\nX-SignalR-User-Agent: Microsoft SignalR/10.0\r\nAccept: */*\r\n\r\n")
	upgradeRest = " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: Mozilla/5.0\r\n\r\n"
	tokenName    = []byte(`"connectionToken":"`)
	quote        = []byte(`"`)
	headEnd      = []byte("\r\n\r\n")
	negotiateEnd = []byte("]}]}")
	accepted     = []byte("{}\x1e")
)

// open negotiates, upgrades and shakes hands.
func (o *opener) open() (net.Conn, error) {
	answer, err := o.exchange(o.negotiate, negotiateRequest, negotiateEnd)
	if err != nil {
		return nil, err
	}
	_, token, _ := bytes.Cut(answer, tokenName)
	token, _, _ = bytes.Cut(token, quote)
	o.request = append(append(append(o.request[:0], "GET /hub?id="...), token...), upgradeRest...)
	conn, err := net.DialTCP("tcp", nil, o.address)
	if err != nil {
		return nil, err
	}
	if _, err := o.exchange(conn, o.request, headEnd); err != nil {
		return nil, err
	}
	_, err = o.exchange(conn, handshakeFrame, accepted)
	return conn, err
}

// exchange returns the answer, which has end in it; it is valid until the next one.
func (o *opener) exchange(conn net.Conn, say, end []byte) ([]byte, error) {
	if _, err := conn.Write(say); err != nil {
		return nil, err
	}
	for have := 0; ; {
		n, err := conn.Read(o.in[have:])
		if have += n; bytes.Contains(o.in[:have], end) {
			return o.in[:have], nil
		}
		if err != nil {
			return nil, fmt.Errorf("after %q: %w", o.in[:have], err)
		}
	}
}

var (
	handshakeFrame = clientFrame(`{"protocol":"json","version":1}`)
	closeFrame     = []byte{0x88, 0x82, 0, 0, 0, 0, 3, 232}
)

// A greetedHub does something at both ends of a connection, as most do.
type greetedHub struct {
	benchHub
	there *atomic.Int64
}

func (h greetedHub) OnConnected(*server.Call) error     { h.there.Add(1); return nil }
func (h greetedHub) OnDisconnected(*server.Call, error) { h.there.Add(-1) }

// BenchmarkConnect is what a client costs that negotiates, opens a WebSocket, shakes hands
// and closes it, with what a client in Go needs for that; without a hub there are two answers
// of net/http, one of which gives the connection away. Of the goroutines, three are net/http's.
// While a hub that is greeted had five more of each client, a connect to a node took 1.12 times
// as long (docs/performance.md).
func BenchmarkConnect(b *testing.B) {
	b.Run("hooks", func(b *testing.B) {
		benchConnect(b, newHub(greetedHub{there: new(atomic.Int64)}, nil))
	})
	b.Run("none", func(b *testing.B) { benchConnect(b, newHub(benchHub{}, nil)) })
}

func benchConnect(b *testing.B, hub *server.Hub) {
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	node := httptest.NewServer(mux)
	b.Cleanup(node.Close)
	o := newOpener(b, node.Listener.Addr())
	b.ReportAllocs()
	before := goroutinesEver()
	for b.Loop() {
		conn, err := o.open()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Write(closeFrame); err != nil {
			b.Fatal(err)
		}
		_ = conn.Close()
	}
	b.ReportMetric(float64(goroutinesEver()-before)/float64(b.N), "goroutines/op")
}

// goroutinesEver is how many were ever started.
func goroutinesEver() uint64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
