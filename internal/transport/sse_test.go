package transport

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventFraming(t *testing.T) {
	tests := []struct{ payload, want string }{
		{"Hello, World", "data: Hello, World\r\n\r\n"},
		{"Hello\nWorld", "data: Hello\r\ndata: World\r\n\r\n"},
		{"Hello\r\nWorld", "data: Hello\r\ndata: World\r\n\r\n"},
		{"Hello\n", "data: Hello\r\ndata: \r\n\r\n"},
		{"Hello\r\n", "data: Hello\r\ndata: \r\n\r\n"},
		{"\n", "data: \r\ndata: \r\n\r\n"},
		{"\r\n", "data: \r\r\ndata: \r\n\r\n"},
		{"\r\r\n", "data: \r\r\ndata: \r\n\r\n"},
		{"a\rb", "data: a\rb\r\n\r\n"},
		{"a\n\nb\n", "data: a\r\ndata: \r\ndata: b\r\ndata: \r\n\r\n"},
		{"", "\r\n"},
	}
	for _, test := range tests {
		for _, parts := range []int{1, 2, len(test.payload)} { // of one batch
			var frames []Frame
			rest := test.payload
			for i := parts; i > 1 && rest != ""; i-- {
				n := len(rest) / i
				frames = append(frames, text(rest[:n]))
				rest = rest[n:]
			}
			frames = append(frames, text(rest))
			if got := string(appendEvent(nil, frames)); got != test.want {
				t.Errorf("event of %q in %d frames\n got: %q\nwant: %q", test.payload, len(frames), got, test.want)
			}
		}
	}
}

// However a long event is divided, the pieces are the event, and none of them is long.
func TestPiecesOfALongEventAreTheEvent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 24 {
		payload := make([]byte, r.IntN(4*joinMost)+2)
		rare := []int{2, 10, 1000, 1 << 20}[round%4] // how many bytes between line ends, about
		for i := range payload {
			switch r.IntN(rare) {
			case 0:
				payload[i] = '\n'
			case 1:
				payload[i] = '\r'
			default:
				payload[i] = 'x'
			}
		}
		for at := joinMost - 20; at < len(payload); at += joinMost / 2 { // where one piece may end
			copy(payload[min(at+r.IntN(40), len(payload)-2):], "\r\n")
		}
		frames := []Frame{text(string(payload))}
		want := appendEvent(nil, frames)
		var got []byte
		for left, more := 0, true; more; more = left > 0 {
			var p []byte
			if p, left = appendEventPiece([]byte("before"), frames, left); len(payload) > joinMost && len(p) > joinMost+100 {
				t.Errorf("a piece of %d bytes, want about %d at most", len(p), joinMost)
			}
			got = append(got, p[len("before"):]...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: the pieces of %d bytes are %d, and not the event of %d", round, len(payload), len(got), len(want))
		}
	}
}

// What waits for streams whose clients take nothing is what the Limit counts: they share a
// frame.
func TestStreamsThatWaitKeepNoCopyOfALongMessage(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		const clients, size = 20, 8 << 20
		opts.TransportSendTimeout = 5 * time.Minute // they wait until the test ends
		opts.Limit = NewLimit(10 * size)
		n := serve(t, opts, func(a *echoApp) { a.silent = true })
		peers, conns := make([]*peer, clients), make([]*Conn, clients)
		for i := range conns {
			peers[i], _ = n.openSSE(n.negotiate())
			conns[i] = n.app().conn
		}
		inUse := func() int64 {
			var m runtime.MemStats
			for range 3 { // what pools keep goes, too
				runtime.GC()
			}
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		f := text(strings.Repeat("x", size))
		before := inUse()
		for _, c := range conns {
			_ = c.Send(f)
		}
		eventually(t, "all wait for their clients", func() bool {
			return countStacks("(*socket).writeWaiting")+countStacks("(*eventStream).write") == clients
		})
		if more, used := inUse()-before, opts.Limit.Used(); used < size || more > size {
			t.Errorf("the heap grew by %d bytes for %d streams; the Limit counts %d for all, the frame, which was there", more, clients, used)
		}
		runtime.KeepAlive(f)
		for _, p := range peers {
			_ = p.conn.Close()
		}
		eventually(t, "all are forgotten", func() bool { return n.connections() == 0 })
	})
}

// openSSE opens a stream and reads up to the comment.
func (n *node) openSSE(url string) (*peer, io.Reader) {
	n.t.Helper()
	p := n.dial()
	p.request("GET", url, "", "Accept: text/event-stream")
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if res.StatusCode != 200 {
		n.t.Fatalf("SSE: %v", res)
	}
	want := map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache,no-store", "Pragma": "no-cache", "Content-Encoding": "identity", "X-Accel-Buffering": "no"}
	for k, v := range want {
		if got := res.Header.Values(k); len(got) != 1 || got[0] != v {
			n.t.Errorf("%s = %q, want %q", k, got, v)
		}
	}
	if res.Close { // ReadResponse takes it out of the header in newer versions of Go
		delete(res.Header, "Connection")
	}
	if len(res.Header) != len(want)+1 || res.Header.Get("Date") == "" || res.TransferEncoding[0] != "chunked" {
		n.t.Errorf("headers = %v, want Date and %v, chunked", res.Header, want)
	}
	if got := readN(n.t, res.Body, 3); got != ":\r\n" {
		n.t.Errorf("stream begins with %q, want a comment", got)
	}
	return p, res.Body
}

func readN(t testing.TB, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if k, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %q: %v", b[:k], err)
	}
	return string(b)
}

// bothStreams runs f with streams that have a socket, and with those that their request
// serves.
func bothStreams(t *testing.T, f func(t *testing.T, opts Options)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) { f(t, withReaders(ReadersAuto)) })
	t.Run("request", func(t *testing.T) { f(t, withReaders(ReadersGoroutine)) })
}

func TestStreamCarriesWhatIsSentAndEndsWithTheApp(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		n := serve(t, opts, nil)
		url := n.negotiate()
		_, stream := n.openSSE(url)
		a := n.app()
		if !a.conn.TextOnly() || a.conn.Transport() != ServerSentEvents {
			t.Error("SSE carries text only")
		}
		if got, want := a.conn.hasSocket(), opts.Readers == ReadersAuto && readersNow != "goroutine"; got != want {
			t.Errorf("it has a socket: %v, want %v", got, want)
		}
		if r := n.do("POST", url, "hello"); r.status != 200 {
			t.Fatalf("POST = %v", r)
		}
		want := "data: hello\r\n\r\n"
		if got := readN(t, stream, len(want)); got != want {
			t.Errorf("event = %q, want %q", got, want)
		}
		a.conn.Cork()
		_ = a.conn.Send(text("one"))
		_ = a.conn.Send(text("two"))
		a.conn.Uncork()
		want = "data: onetwo\r\n\r\n"
		got := readN(t, stream, len(want))
		if divided := "data: one\r\n\r\ndata: two\r\n\r\n"; opts.Readers == ReadersGoroutine && got == divided[:len(got)] {
			// The request had not come back from writing "hello", and saw the first alone.
			got, want = got+readN(t, stream, len(divided)-len(got)), divided
		}
		if got != want {
			t.Errorf("event = %q, want %q", got, want)
		}
		long := strings.Repeat("x", 120_000)
		_ = a.conn.Send(text(long))
		_ = a.conn.Send(text("last"))
		a.conn.Finish()
		rest, err := io.ReadAll(stream)
		if err != nil || strings.ReplaceAll(string(rest), "\r\n\r\ndata: ", "") != "data: "+long+"last\r\n\r\n" {
			t.Errorf("the rest is %.60q... (%d bytes), %v; want everything that was sent, and the end", rest, len(rest), err)
		}
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
		if err := a.conn.Send(text("x")); err != ErrClosed {
			t.Errorf("Send after the end = %v, want ErrClosed", err)
		}
	})
}

func TestStreamOfAnAppThatFailsEnds(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		n := serve(t, opts, nil)
		_, stream := n.openSSE(n.negotiate())
		n.app().conn.FinishError()
		if rest, err := io.ReadAll(stream); err != nil || len(rest) > 0 {
			t.Errorf("the rest is %q, %v; want a proper end", rest, err)
		}
	})
}

func TestAbortCutsTheStream(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		n := serve(t, opts, nil)
		_, stream := n.openSSE(n.negotiate())
		a := n.app()
		a.conn.Abort(io.ErrUnexpectedEOF)
		if _, err := io.ReadAll(stream); err == nil {
			t.Error("the stream ends properly, want a cut one")
		}
		if err := a.end(t); err != io.ErrUnexpectedEOF {
			t.Errorf("cause = %v, want that of Abort", err)
		}
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	})
}

func TestClientThatLeavesTheStreamEndsTheConnection(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		n := serve(t, opts, nil)
		p, _ := n.openSSE(n.negotiate())
		_ = p.conn.Close()
		if err := n.app().end(t); err != ErrLost {
			t.Errorf("cause = %v, want ErrLost", err)
		}
		eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
	})
}

func TestStreamNeedsAFlusher(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	r := httptest.NewRequest("GET", url, nil)
	r.Header.Set("Accept", "text/event-stream")
	rec := httptest.NewRecorder()
	n.endpoint.ServeHTTP(struct{ http.ResponseWriter }{rec}, r)
	if rec.Code != 500 {
		t.Errorf("status = %d, want 500", rec.Code)
	}
}

func TestUpgradeNeedsAHijacker(t *testing.T) {
	n := serve(t, defaults(), nil)
	r := httptest.NewRequest("GET", "/hub", nil)
	for _, h := range handshakeHeaders {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	n.endpoint.ServeHTTP(rec, r)
	if rec.Code != 500 || rec.Header().Get("Upgrade") != "" || n.connections() != 0 {
		t.Errorf("status = %d with headers %v and %d connections, want 500 and nothing left", rec.Code, rec.Header(), n.connections())
	}
}

func TestSendTimeoutClosesSSE(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		inBubble(t, opts, nil, func(t *testing.T, n *node) {
			p, _ := n.openSSE(n.negotiate())
			a := n.app()
			_ = a.conn.Send(text(strings.Repeat("x", 100_000))) // the client reads no more
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if a.hasEnded() {
				t.Fatal("ended before the send timeout")
			}
			time.Sleep(2 * time.Second)
			if err := a.end(t); err != ErrSendTimeout {
				t.Errorf("cause = %v, want ErrSendTimeout", err)
			}
			if b, err := io.ReadAll(httputil.NewChunkedReader(p.r)); err == nil {
				t.Errorf("%d bytes and a proper end, want a cut stream", len(bytes.TrimSpace(b)))
			}
			synctest.Wait()
			if n.connections() != 0 {
				t.Error("the connection is not forgotten")
			}
		})
	})
}

func TestDeadlinesOfTheServerDoNotCutStreamsAndPolls(t *testing.T) {
	bothStreams(t, func(t *testing.T, opts Options) {
		n, mux := newNode(t, opts, nil)
		server := httptest.NewUnstartedServer(mux)
		const deadline = 2 * time.Second // a request must come within it
		server.Config.ReadTimeout = deadline
		server.Config.WriteTimeout = deadline
		server.Start()
		t.Cleanup(func() { stop(n.endpoint); server.Close() })
		n.connect = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }

		_, stream := n.openSSE(n.negotiate())
		sse := n.app()
		url := n.negotiate()
		n.do("GET", url, "")
		polled := n.app()
		poll := n.dial()
		poll.request("GET", url, "")
		ws := n.upgrade("/hub")
		socket := n.app()
		<-time.After(deadline + deadline/4)
		for _, a := range []*echoApp{sse, polled, socket} {
			if err := a.conn.Send(text("late")); err != nil {
				t.Errorf("%v: Send = %v", a.conn.Transport(), err)
			}
		}
		if got := readN(t, stream, 14); got != "data: late\r\n\r\n" {
			t.Errorf("event = %q", got)
		}
		if r := poll.response("GET"); r.status != 200 || r.body != "late" {
			t.Errorf("poll = %v", r)
		}
		ws.expect(opText, "late")
	})
}
