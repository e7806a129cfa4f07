package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A memoryConn is a WebSocket in memory: what it reads is handed in frame by
// frame, and of what is written the records are counted.
type memoryConn struct {
	in      chan []byte
	rest    []byte
	end     byte          // ends a record
	records *atomic.Int64 // seen since it was last set
	wanted  int64
	reached chan struct{} // signalled when records is wanted
	writes  atomic.Int64
}

func (c *memoryConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		frame, ok := <-c.in
		if !ok {
			return 0, io.EOF
		}
		c.rest = frame
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *memoryConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	if n := int64(bytes.Count(p, []byte{c.end})); n > 0 && c.records.Add(n) == c.wanted {
		c.reached <- struct{}{}
	}
	return len(p), nil
}

func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// hijacked is an http.ResponseWriter that gives conn away.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(bytes.NewReader(nil)), bufio.NewWriter(io.Discard)), nil
}

// openMemory opens n connections that speak protocol and waits for their
// handshakes.
func openMemory(b testing.TB, hub *server.Hub, protocol string, n int, records *atomic.Int64, reached chan struct{}) []*memoryConn {
	b.Helper()
	conns := make([]*memoryConn, n)
	for i := range conns {
		c := &memoryConn{in: make(chan []byte, 1), end: 0x1e, records: records, wanted: int64(n), reached: reached}
		conns[i] = c
		r := httptest.NewRequest("GET", "/hub", nil)
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			r.Header.Set(name, value)
		}
		hub.ServeHTTP(hijacked{httptest.NewRecorder(), c}, r)
		c.in <- clientFrame(`{"protocol":"` + protocol + `","version":1}`)
	}
	<-reached
	b.Cleanup(func() {
		for _, c := range conns {
			close(c.in)
		}
		if err := hub.Shutdown(b.Context()); err != nil && b.Context().Err() == nil {
			b.Error(err)
		}
	})
	return conns
}

func clientFrame(record string) []byte {
	f := ws.MaskFrame(ws.NewTextFrame([]byte(record + "\x1e")))
	return ws.MustCompileFrame(f)
}

// benchHub does as little as a hub can.
type benchHub struct{}

func (benchHub) Echo(text string) string { return text }

func BenchmarkEcho(b *testing.B) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		for _, inFlight := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/inFlight=%d", codec.Name(), inFlight), func(b *testing.B) { benchmarkEcho(b, codec, inFlight, 61, nil) })
		}
	}
}

// BenchmarkEchoOfFourAtOnce: short calls cost the same where others of the client could run
// beside them; with a goroutine for each they cost six times as much.
func BenchmarkEchoOfFourAtOnce(b *testing.B) {
	for _, inFlight := range []int{1, 16} {
		b.Run(fmt.Sprintf("inFlight=%d", inFlight), func(b *testing.B) {
			benchmarkEcho(b, protocol.JSON{}, inFlight, 61, &server.Options{MaximumParallelInvocationsPerClient: 4})
		})
	}
}

// BenchmarkEchoOfLongText: what a text costs by its length.
func BenchmarkEchoOfLongText(b *testing.B) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		for _, size := range []int{4_000, 20_000} {
			b.Run(fmt.Sprintf("%s/bytes=%d", codec.Name(), size), func(b *testing.B) { benchmarkEcho(b, codec, 1, size, nil) })
		}
	}
}

func benchmarkEcho(b *testing.B, codec protocol.Codec, inFlight, size int, opts *server.Options) {
	var records atomic.Int64
	reached := make(chan struct{}, 1)
	c := openMemory(b, newHub(benchHub{}, opts), codec.Name(), 1, &records, reached)[0]
	c.wanted, c.end = int64(inFlight), '!' // once in each answer
	call, err := codec.Append(nil, &protocol.Invocation{InvocationID: "17", Target: "Echo", Arguments: []any{strings.Repeat("x", size-1) + "!"}})
	if err != nil {
		b.Fatal(err)
	}
	one := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(map[bool]ws.OpCode{false: ws.OpText, true: ws.OpBinary}[codec.Binary()], true, call)))
	template := bytes.Repeat(one, inFlight)
	batch := make([]byte, len(template))
	b.ReportAllocs()
	for b.Loop() {
		records.Store(0)
		copy(batch, template) // the last one was unmasked where it is
		c.in <- batch
		<-reached
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*inFlight), "ns/call")
}

func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("receivers=%d", n), func(b *testing.B) {
			var records atomic.Int64
			reached := make(chan struct{}, 1)
			hub := newHub(benchHub{}, nil)
			openMemory(b, hub, "json", n, &records, reached)
			all := hub.Clients().All()
			b.ReportAllocs()
			for b.Loop() {
				records.Store(0)
				if err := all.Send(b.Context(), "M", "a text of some length that goes to everybody"); err != nil {
					b.Fatal(err)
				}
				<-reached
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}
