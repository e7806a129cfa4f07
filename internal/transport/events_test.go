package transport

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// hasSocket reports whether c is served by a socket, as soon as it is served.
func (c *Conn) hasSocket() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socket != nil
}

// countStacks returns how many goroutines are in a function of which the name has text in it.
func countStacks(text string) (n int) {
	buf := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, text) {
			n++
		}
	}
	return n
}

func TestIdleStreamsNeedNoGoroutine(t *testing.T) {
	for name, n := range map[string]*node{
		"plain": serve(t, withReaders(ReadersPoll), nil),
		"TLS":   serveTLS(t, withReaders(ReadersPoll), bareTLS),
	} {
		t.Run(name, func(t *testing.T) {
			const clients = 50
			streams, conns, urls := make([]io.Reader, clients), make([]*Conn, clients), make([]string, clients)
			for i := range clients {
				urls[i] = n.negotiate()
				_, streams[i] = n.openSSE(urls[i])
				conns[i] = n.app().conn
			}
			for range 2 {
				for i := range clients {
					if r := n.do("POST", urls[i], "hello"); r.status != 200 {
						t.Fatalf("POST = %v", r)
					}
					const want = "data: hello\r\n\r\n"
					if got := readN(t, streams[i], len(want)); got != want {
						t.Errorf("event = %q, want %q", got, want)
					}
				}
			}
			for _, c := range conns {
				eventually(t, "the stream is parked", c.isParkedNow)
			}
			eventually(t, "no goroutine serves a stream", func() bool {
				return countStacks("serveSSE")+countStacks("(*socket).readAll")+countStacks("(*Conn).post") == 0
			})
		})
	}
}

// However much the system takes of a write, and however much waits, what arrives is what
// was sent, in chunks.
func TestAStreamIsWholeHoweverItIsWritten(t *testing.T) {
	for name, n := range map[string]*node{
		"plain":   serve(t, withReaders(ReadersAuto), nil),
		"TLS":     serveTLS(t, withReaders(ReadersAuto), bareTLS),
		"request": serve(t, withReaders(ReadersGoroutine), nil),
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			_, stream := n.openSSE(n.negotiate())
			c := n.app().conn
			var sent strings.Builder
			const messages = 300
			payloads := make([]string, messages)
			for i := range payloads {
				size := r.IntN(2000)
				switch i % 10 {
				case 0:
					size = r.IntN(2 * joinLimit)
				case 5:
					size = r.IntN(5 * joinMost)
				}
				payloads[i] = strings.Repeat(string(rune('a'+i%26)), size) + ";"
				sent.WriteString(payloads[i])
			}
			go func() {
				for i, p := range payloads {
					if i%50 == 0 {
						c.Cork()
					}
					_ = c.Send(text(p))
					if i%50 == 20 {
						c.Uncork()
					}
				}
				c.Uncork()
				c.Finish()
			}()
			var got strings.Builder
			slow := rand.New(rand.NewPCG(3, 4))
			buf := make([]byte, 64<<10)
			for {
				k, err := stream.Read(buf[:1+slow.IntN(len(buf))])
				got.Write(buf[:k])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if slow.IntN(20) == 0 {
					time.Sleep(time.Millisecond) // so that it falls behind now and then
				}
			}
			if events := strings.NewReplacer("data: ", "", "\r\n\r\n", "").Replace(got.String()); events != sent.String() {
				t.Errorf("%d bytes arrived, not the %d that were sent", len(events), sent.Len())
			}
		})
	}
}

// What a client says where its stream is comes after its request, and is none. One that says
// much is not read on.
func TestWhatAClientSaysOnItsStreamIsNoMessage(t *testing.T) {
	if readersNow == "goroutine" {
		t.Skip("HUBWIRE_READERS says that the request serves the stream")
	}
	for name, n := range map[string]*node{
		"plain": serve(t, withReaders(ReadersAuto), nil),
		"TLS":   serveTLS(t, withReaders(ReadersAuto), bareTLS),
	} {
		t.Run(name, func(t *testing.T) {
			talkOnStream(t, n, func(p *peer) { _ = p.conn.(interface{ CloseWrite() error }).CloseWrite() })
			talkOnStream(t, n, func(p *peer) { _, _ = io.WriteString(p.conn, "x") })
			talkOnStream(t, n, func(p *peer) {
				for { // to its end
					if _, err := io.WriteString(p.conn, strings.Repeat("x", 100_000)); err != nil {
						return
					}
				}
			})
		})
	}
}

// talkOnStream says as much as may be said, and then what ends the stream.
func talkOnStream(t *testing.T, n *node, end func(*peer)) {
	t.Helper()
	p, stream := n.openSSE(n.negotiate())
	a := n.app()
	said := "POST /hub HTTP/1.1\r\n" + strings.Repeat("x", mostOnStream)
	for _, word := range []string{said[:100], said[100:mostOnStream]} {
		p.write(word)
		_ = a.conn.Send(text("hello"))
		const want = "data: hello\r\n\r\n"
		if got := readN(t, stream, len(want)); got != want {
			t.Errorf("event = %q, want %q", got, want)
		}
	}
	if a.mu.Lock(); len(a.received) > 0 {
		t.Errorf("%.60q was received", a.received)
	}
	a.mu.Unlock()
	end(p)
	if err := a.end(t); !errors.Is(err, ErrLost) {
		t.Errorf("cause = %v, want ErrLost", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

// serveStreams is serve with a middleware around streams.
func serveStreams(t *testing.T, around func(mux http.Handler, w http.ResponseWriter, r *http.Request)) *node {
	n, mux := newNode(t, withReaders(ReadersAuto), nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			around(mux, w, r)
		} else {
			mux.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(func() { stop(n.endpoint); server.Close() })
	n.connect = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
	return n
}

// A client may send its next request where a stream has ended, unless the head said that it
// must not: Node's http got an error for it.
func TestAStreamSaysThatTCPEndsWithIt(t *testing.T) {
	for readers, want := range map[Readers]bool{ReadersPoll: true, ReadersGoroutine: false} {
		n := serve(t, withReaders(readers), nil)
		p := n.dial()
		p.request("GET", n.negotiate(), "", "Accept: text/event-stream")
		res, err := http.ReadResponse(p.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Close != want {
			t.Errorf("it ends with the stream: %t, want %t", res.Close, want)
		}
		n.app().conn.Finish()
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
		if !want {
			p.request("POST", "/hub/negotiate", "")
			if r := p.response("POST"); r.status != 200 {
				t.Errorf("the next request: %v", r)
			}
		} else if _, err := p.r.ReadByte(); err != io.EOF {
			t.Errorf("after the stream: %v, want the end", err)
		}
	}
}

// To a middleware a stream is a response whose handler has returned; what it writes then
// does not reach the client.
func TestAStreamOutlivesItsHandler(t *testing.T) {
	if readersNow == "goroutine" {
		t.Skip("HUBWIRE_READERS says that the handler serves the stream")
	}
	late := make(chan error, 1)
	n := serveStreams(t, func(mux http.Handler, w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		defer cancel()
		mux.ServeHTTP(unwrapWriter{bareWriter{w}}, r.WithContext(ctx))
		_, err := w.Write([]byte("late"))
		late <- err
	})
	_, stream := n.openSSE(n.negotiate())
	a := n.app()
	if err := <-late; err != http.ErrHijacked {
		t.Errorf("a write after the handler = %v, want ErrHijacked", err)
	}
	_ = a.conn.Send(text("hello"))
	a.conn.Finish()
	if got, err := io.ReadAll(stream); string(got) != "data: hello\r\n\r\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A zippingWriter compresses once it is flushed, whatever the handler has said, as echo's.
type zippingWriter struct {
	unwrapWriter
	zip *gzip.Writer
}

func (z *zippingWriter) Write(p []byte) (int, error) {
	if z.zip == nil {
		z.zip = gzip.NewWriter(z.w)
		z.Header().Set("Content-Encoding", "gzip")
	}
	return z.zip.Write(p)
}

func (z *zippingWriter) FlushError() error {
	if err := z.zip.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(z.w).Flush()
}

func TestAStreamIsCompressedByAMiddlewareThatInsists(t *testing.T) {
	n := serveStreams(t, func(mux http.Handler, w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(&zippingWriter{unwrapWriter: unwrapWriter{bareWriter{w}}}, r)
	})
	p := n.dial()
	p.request("GET", n.negotiate(), "", "Accept: text/event-stream")
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = n.app().conn.Send(text("hello"))
	const want = ":\r\ndata: hello\r\n\r\n"
	if got := readN(t, plain, len(want)); got != want {
		t.Errorf("the stream is %q, want %q", got, want)
	}
}

// BenchmarkStream is what an event stream costs: the memory of one that is idle, in the heap
// and in stacks, and a delivery to each of many. Without a socket it is what net/http keeps
// for a request, and a goroutine that is woken.
func BenchmarkStream(b *testing.B) {
	for name, readers := range map[string]Readers{"socket": ReadersPoll, "request": ReadersGoroutine} {
		b.Run(name, func(b *testing.B) {
			const clients = 500
			n := serve(b, withReaders(readers), nil)
			urls := make([]string, clients)
			for i := range urls {
				urls[i] = n.negotiate()
			}
			inUse := func() uint64 {
				var m runtime.MemStats
				for range 3 { // what pools keep goes, too
					runtime.GC()
				}
				runtime.ReadMemStats(&m)
				return m.HeapAlloc + m.StackInuse
			}
			before := inUse()
			conns, streams := make([]*Conn, clients), make([]net.Conn, clients)
			for i, url := range urls {
				stream, err := n.connect()
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = stream.Close() })
				if _, err := io.WriteString(stream, "GET "+url+" HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
					b.Fatal(err)
				}
				streams[i], conns[i] = stream, n.app().conn
			}
			idle := float64(inUse()-before) / clients
			var reading sync.WaitGroup
			for _, stream := range streams {
				reading.Go(func() { _, _ = io.Copy(io.Discard, stream) })
			}
			frame := text(strings.Repeat("x", 60))
			for b.Loop() {
				for _, c := range conns {
					_ = c.Send(frame)
				}
				drained(b, conns)
			}
			b.ReportMetric(idle, "B/stream")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
			for _, stream := range streams {
				_ = stream.Close()
			}
			reading.Wait()
		})
	}
}
