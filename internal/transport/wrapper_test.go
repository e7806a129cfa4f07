package transport

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Writers of middleware, as they are found.
type (
	// bareWriter lets nothing through.
	bareWriter struct{ w http.ResponseWriter }
	// unwrapWriter lets everything through, as http.ResponseController asks for.
	unwrapWriter struct{ bareWriter }
	// flushWriter lets flushes through.
	flushWriter struct{ bareWriter }
	// classicWriter lets through what there was before ResponseController.
	classicWriter struct{ flushWriter }
	// bossyWriter has a Flush and a Hijack that need those of what it wraps, and
	// an Unwrap, as echo's.
	bossyWriter struct{ classicWriter }
	// breakingWriter panics when it writes.
	breakingWriter struct{ classicWriter }
	// holdingWriter notes a status down and writes it later, as gin's does.
	holdingWriter struct {
		classicWriter
		status  *int
		written *bool
	}
)

func (b bareWriter) Header() http.Header            { return b.w.Header() }
func (b bareWriter) Write(p []byte) (int, error)    { return b.w.Write(p) }
func (b bareWriter) WriteHeader(status int)         { b.w.WriteHeader(status) }
func (u unwrapWriter) Unwrap() http.ResponseWriter  { return u.w }
func (f flushWriter) Flush()                        { f.w.(http.Flusher).Flush() }
func (b bossyWriter) Unwrap() http.ResponseWriter   { return b.w }
func (breakingWriter) Write([]byte) (int, error)    { panic("broken") }
func (h holdingWriter) WriteHeader(status int)      { *h.status = status }
func (h holdingWriter) Write(p []byte) (int, error) { h.now(); return h.w.Write(p) }
func (h holdingWriter) Flush()                      { h.now(); h.classicWriter.Flush() }

func (c classicWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return c.w.(http.Hijacker).Hijack()
}

func (h holdingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*h.written = true
	return h.classicWriter.Hijack()
}

func (h holdingWriter) now() {
	if !*h.written {
		*h.written = true
		h.w.WriteHeader(*h.status)
	}
}

func bare(w http.ResponseWriter) http.ResponseWriter    { return bareWriter{w} }
func unwraps(w http.ResponseWriter) http.ResponseWriter { return unwrapWriter{bareWriter{w}} }
func flushes(w http.ResponseWriter) http.ResponseWriter { return flushWriter{bareWriter{w}} }
func classic(w http.ResponseWriter) http.ResponseWriter {
	return classicWriter{flushWriter{bareWriter{w}}}
}
func bossy(w http.ResponseWriter) http.ResponseWriter {
	return bossyWriter{classicWriter{flushWriter{bareWriter{w}}}}
}
func breaks(w http.ResponseWriter) http.ResponseWriter {
	return breakingWriter{classicWriter{flushWriter{bareWriter{w}}}}
}
func holds(w http.ResponseWriter) http.ResponseWriter {
	status := 200
	return holdingWriter{classicWriter{flushWriter{bareWriter{w}}}, &status, new(bool)}
}

// A textLog is a log that can be read while it is written.
type textLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *textLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *textLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *textLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// serveWrapped serves a node whose every ResponseWriter is wrapped.
func serveWrapped(t *testing.T, opts Options, wrap func(http.ResponseWriter) http.ResponseWriter, set func(*http.Server)) *node {
	n, mux := newNode(t, opts, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Request-Id", "7")
		w = wrap(w)
		mux.ServeHTTP(w, r)
		if h, ok := w.(holdingWriter); ok {
			h.now()
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if set != nil {
		set(server.Config)
	}
	server.Start()
	n.connect = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
	t.Cleanup(func() { stop(n.endpoint); server.Close() })
	return n
}

func TestEveryTransportWorksBehindAMiddlewaresWriterOrTheLogSaysWhyNot(t *testing.T) {
	const hint = "give it an Unwrap method or put the hub outside of this middleware"
	for _, test := range []struct {
		name        string
		wrap        func(http.ResponseWriter) http.ResponseWriter
		socket, sse int
		culprit     string // named in the log
	}{
		{"nothing", func(w http.ResponseWriter) http.ResponseWriter { return w }, 101, 200, ""},
		{"Unwrap only", unwraps, 101, 200, ""},
		{"Flush and Hijack", classic, 101, 200, ""},
		{"a status that is held back", holds, 101, 200, ""},
		{"a status that is held back, below Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return unwraps(holds(w)) }, 101, 200, ""},
		{"Flush only", flushes, 500, 200, "transport.flushWriter"},
		{"nothing let through", bare, 500, 500, "transport.bareWriter"},
		{"nothing let through, below Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return unwraps(bare(w)) }, 500, 500, "transport.bareWriter"},
		{"a Hijack that panics", func(w http.ResponseWriter) http.ResponseWriter { return classic(flushes(w)) }, 500, 200, "transport.classicWriter"},
		{"a Hijack and a Flush that panic", func(w http.ResponseWriter) http.ResponseWriter { return classic(bare(w)) }, 500, 200, "transport.classicWriter"},
		{"a Hijack and a Flush that panic, with Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return bossy(bare(w)) }, 500, 500, "transport.bareWriter"},
		{"a Hijack and a Flush that need what is below, with Unwrap", bossy, 101, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &textLog{}
			opts := defaults()
			opts.Logger = log.logger()
			n := serveWrapped(t, opts, test.wrap, nil)
			for range 2 { // the log does not repeat itself
				p := n.dial()
				p.request("GET", "/hub", "", handshakeHeaders...)
				r := p.response("GET")
				if r.status != test.socket || r.header.Get("X-Request-Id") != "7" || r.header.Get("Set-Cookie") != "a=b" {
					t.Fatalf("WebSocket: %v, want %d with the middleware's headers", r, test.socket)
				}
				if r.status == 101 {
					p.send(opText, "hello")
					p.expect(opText, "hello")
				}
			}
			url := n.negotiate()
			p := n.dial()
			p.request("GET", url, "", "Accept: text/event-stream")
			res, err := http.ReadResponse(p.r, nil)
			switch {
			case err != nil || res.StatusCode != test.sse:
				t.Errorf("SSE: %v, %v, want %d", res, err, test.sse)
			case test.sse == 200:
				if got := readN(t, res.Body, 3); got != ":\r\n" {
					t.Errorf("stream begins with %q", got)
				}
			}
			url = n.negotiate()
			if r := n.do("GET", url, ""); r.status != 200 {
				t.Errorf("poll: %v", r)
			}
			if r := n.do("POST", url, "hello"); r.status != 200 {
				t.Errorf("POST: %v", r)
			}
			if r := n.do("GET", url, ""); r.status != 200 || r.body != "hello" {
				t.Errorf("poll: %v, want hello", r)
			}
			if test.culprit == "" {
				if log.String() != "" {
					t.Errorf("log: %s", log)
				}
				return
			}
			line := hint + `" type=` + test.culprit + ` of=WebSockets`
			if strings.Count(log.String(), line) != 1 {
				t.Errorf("log: %s\nwant once: %s", log, line)
			}
		})
	}
}

func TestTheLogSaysThatAMiddlewareHidesTheDeadlines(t *testing.T) {
	for name, want := range map[string]int{"unwraps": 0, "classic": 1, "classic without timeouts": 0} {
		t.Run(name, func(t *testing.T) {
			log := &textLog{}
			opts := defaults()
			opts.Logger = log.logger()
			wrap := classic
			if name == "unwraps" {
				wrap = unwraps
			}
			n := serveWrapped(t, opts, wrap, func(s *http.Server) {
				if name != "classic without timeouts" {
					s.WriteTimeout = time.Hour
				}
			})
			for range 2 {
				n.do("GET", n.negotiate(), "")
			}
			if got := strings.Count(log.String(), "type=transport.classicWriter of=\"requests that live longer"); got != want {
				t.Errorf("%d lines, want %d: %s", got, want, log)
			}
		})
	}
}

func TestAWriterThatPanicsEndsItsConnection(t *testing.T) {
	n := serve(t, defaults(), nil)
	url := n.negotiate()
	w := breaks(httptest.NewRecorder())
	r := httptest.NewRequest("GET", url, nil)
	r.Header.Set("Accept", "text/event-stream")
	func() {
		defer func() {
			if v := recover(); v != "broken" {
				t.Errorf("the panic is %v", v)
			}
		}()
		n.endpoint.ServeHTTP(w, r)
	}()
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func TestTheLogNamesAWriterThatCannotFlush(t *testing.T) {
	log := &textLog{}
	opts := defaults()
	opts.Logger = log.logger()
	n := serveWrapped(t, opts, func(w http.ResponseWriter) http.ResponseWriter { return classic(bare(w)) }, nil)
	for range 2 {
		if r := n.do("GET", n.negotiate(), "", "Accept: text/event-stream"); r.body != ":\r\n" {
			t.Errorf("SSE: %v, want the beginning and the end", r)
		}
	}
	eventually(t, "the connections are forgotten", func() bool { return n.connections() == 0 })
	if got := strings.Count(log.String(), `type=transport.classicWriter of="Server-Sent Events"`); got != 1 {
		t.Errorf("%d lines name the writer, want 1: %s", got, log)
	}
}

func TestADeadlineOfAMiddlewareEndsAPollAsItsTimeoutDoesAndAStreamWithALineInTheLog(t *testing.T) {
	log := &textLog{}
	opts := defaults()
	opts.Logger = log.logger()
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		for _, test := range []struct {
			name, accept string
			end          func(context.Context) (context.Context, context.CancelFunc)
			status       int // of a recorder: 0 if nothing is written
			lines        int
		}{
			{"a poll whose client leaves", "", context.WithCancel, 0, 0},
			{"a poll that is overdue", "", inAWhile, 200, 0},
			{"a stream whose client leaves", "text/event-stream", context.WithCancel, 200, 0},
			{"a stream that is overdue", "text/event-stream", inAWhile, 200, 1},
			{"another one", "text/event-stream", inAWhile, 200, 1},
		} {
			url := n.negotiate()
			if test.accept == "" {
				n.do("GET", url, "") // the first poll does not wait
			}
			ctx, stop := test.end(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", url, nil)
			r.Header.Set("Accept", test.accept)
			w := httptest.NewRecorder()
			w.Code = 0
			served := make(chan struct{})
			go func() { n.endpoint.ServeHTTP(w, r); close(served) }()
			time.Sleep(2 * time.Second) // of the fake clock
			stop()
			<-served
			if w.Code != test.status || w.Body.String() != map[string]string{"": "", "text/event-stream": ":\r\n"}[test.accept] {
				t.Errorf("%s: %d %q, want %d", test.name, w.Code, w.Body, test.status)
			}
			if got := strings.Count(log.String(), "deadline of a middleware"); got != test.lines {
				t.Errorf("%s: %d lines, want %d: %s", test.name, got, test.lines, log)
			}
		}
	})
}

// inAWhile is a context as middleware that limits requests makes it.
func inAWhile(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Second)
}

func TestA101SaysNothingOfABody(t *testing.T) {
	n := serveWrapped(t, defaults(), func(w http.ResponseWriter) http.ResponseWriter {
		for _, h := range []string{"Content-Encoding", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade"} {
			w.Header().Set(h, "x")
		}
		w.Header().Set("X-Split", "a\r\nX-Evil: b")
		return w
	}, nil)
	p := n.dial()
	p.request("GET", "/hub", "", handshakeHeaders...)
	r := p.response("GET")
	want := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"Set-Cookie": {"a=b"}, "X-Request-Id": {"7"}, "X-Split": {"a  X-Evil: b"}, "Date": r.header["Date"],
	}
	if len(r.header) != len(want) || r.header.Get("Date") == "" {
		t.Errorf("headers = %v, want %v", r.header, want)
	}
	for k := range want {
		if got := r.header[k]; len(got) != 1 || got[0] != want[k][0] {
			t.Errorf("%s = %q, want %q", k, got, want[k])
		}
	}
}

func TestAStreamKeepsTheEncodingThatAMiddlewareHasAnnounced(t *testing.T) {
	announces := func(w http.ResponseWriter) http.ResponseWriter {
		w.Header().Set("Content-Encoding", "gzip")
		return w
	}
	n := serveWrapped(t, defaults(), announces, nil)
	url := n.negotiate()
	p := n.dial()
	p.request("GET", url, "", "Accept: text/event-stream")
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Values("Content-Encoding"); len(got) != 1 || got[0] != "gzip" {
		t.Errorf("Content-Encoding = %q, want that of the middleware", got)
	}
}
