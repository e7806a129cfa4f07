package transport

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/net/http2"
)

// The switch is read when the program starts.
const h2Switch = "http2xconnect=1"

// h2Client is a client that may send extended CONNECTs; that of net/http may not.
func h2Client(t *testing.T, server *httptest.Server) *http.Client {
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	//lint:ignore SA1019 its successor, net/http, sends no extended CONNECT
	client := &http.Client{Transport: &http2.Transport{TLSClientConfig: config}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err == nil {
		f.Payload = make([]byte, f.Header.Length)
		_, err = io.ReadFull(r, f.Payload)
	}
	return f, err
}

// withSwitch runs the test again with the switch on. It reports whether that
// was the run that asks for it.
func withSwitch(t *testing.T) (asked bool) {
	t.Helper()
	if strings.Contains(os.Getenv("GODEBUG"), h2Switch) {
		return false
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG="+h2Switch)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("with GODEBUG=%s: %v\n%s", h2Switch, err, out)
	}
	return true
}

// connectH2 opens a WebSocket over HTTP/2: what the client writes goes into mouth.
func connectH2(t *testing.T) (n *node, answer *http.Response, mouth *io.PipeWriter) {
	t.Helper()
	n, mux := newNode(t, defaults(), nil)
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() { stop(n.endpoint); server.CloseClientConnections(); server.Close() })
	body, mouth := io.Pipe()
	r, err := http.NewRequest("CONNECT", server.URL+"/hub?negotiateVersion=1", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(":protocol", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	answer, err = h2Client(t, server).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != 200 || answer.ProtoMajor != 2 {
		t.Fatalf("answer %v over HTTP/%d", answer.Status, answer.ProtoMajor)
	}
	return n, answer, mouth
}

func TestWebSocketsOverHTTP2(t *testing.T) {
	if withSwitch(t) {
		return
	}
	n, answer, mouth := connectH2(t)
	a := n.app()
	for _, word := range []string{"hello", strings.Repeat("x", 200_000), "bye"} {
		if err := ws.WriteFrame(mouth, ws.MaskFrame(ws.NewTextFrame([]byte(word)))); err != nil {
			t.Fatal(err)
		}
		got := ""
		for len(got) < len(word) {
			f, err := readFrame(answer.Body)
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			got += string(f.Payload)
		}
		if got != word {
			t.Errorf("echo of %d bytes is %d bytes, or others", len(word), len(got))
		}
	}
	a.conn.Finish()
	f, err := readFrame(answer.Body)
	if code, _ := ws.ParseCloseFrameData(f.Payload); err != nil || f.Header.OpCode != ws.OpClose || code != 1000 {
		t.Errorf("frame %v %v, want close 1000; %v", f.Header, f.Payload, err)
	}
	if err := ws.WriteFrame(mouth, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	_ = mouth.Close()
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

// A streamWriter is net/http's writer of a stream: once the handler has returned its methods
// must not be called.
type streamWriter struct {
	http.ResponseWriter
	returned bool // not guarded: the race detector sees who comes too late, too
	overdue  chan struct{}
	reset    sync.Once
}

func (w *streamWriter) use() error {
	if w.returned {
		panic("the handler has returned")
	}
	return nil
}

func (w *streamWriter) FlushError() error               { return w.use() }
func (w *streamWriter) SetReadDeadline(time.Time) error { return w.use() }
func (w *streamWriter) SetWriteDeadline(t time.Time) error {
	if t == longAgo {
		w.reset.Do(func() { close(w.overdue) })
	}
	return w.use()
}

func (w *streamWriter) Write(p []byte) (int, error) {
	<-w.overdue
	return 0, os.ErrDeadlineExceeded
}

// Deadlines are set beside a write that waits, and never after the handler has returned.
func TestDeadlinesOfAStreamOfHTTP2ComeBeforeItsEnd(t *testing.T) {
	for range 200 {
		w := &streamWriter{overdue: make(chan struct{})}
		s := &h2Stream{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
		var all sync.WaitGroup
		all.Go(func() { _, _ = s.Write([]byte("x")) })
		all.Go(func() {
			for s.SetReadDeadline(time.Time{}) == nil && s.SetWriteDeadline(longAgo) == nil {
				runtime.Gosched()
			}
		})
		all.Go(func() {
			<-w.overdue
			_ = s.Close()
		})
		<-s.done
		w.returned = true
		all.Wait()
		if err := s.SetDeadline(time.Time{}); err != os.ErrClosed {
			t.Errorf("a deadline after the end: %v, want ErrClosed", err)
		}
	}
}

func TestAbortEndsTheStreamOfHTTP2(t *testing.T) {
	if withSwitch(t) {
		return
	}
	n, answer, mouth := connectH2(t)
	a := n.app()
	a.conn.Abort(ErrTooSlow)
	if _, err := io.ReadAll(answer.Body); err != nil && !strings.Contains(err.Error(), "stream error") {
		t.Errorf("the stream ends with %v", err)
	}
	_ = mouth.Close()
	if err := a.end(t); err != ErrTooSlow {
		t.Errorf("cause %v, want ErrTooSlow", err)
	}
}
