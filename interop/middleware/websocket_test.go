package middleware

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/net/http2"
)

// serveWebSocket takes a WebSocket with a protocol and an extension of its own, and
// says hello in the piece that has the answer. Then serve has it.
func serveWebSocket(t *testing.T, serve func(conn net.Conn, r io.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Protocol": "first, second",
			"Sec-Websocket-Extensions": "x-test; a=1", "Sec-Websocket-Version": "13",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		// The key of RFC 6455, section 1.3, and its answer. Over HTTP/2 there is a new one.
		key := r.Header.Get("Sec-Websocket-Key")
		if r.Header.Get("X-Http2") == "" && key != "dGhlIHNhbXBsZSBub25jZQ==" || len(key) != 24 {
			t.Errorf("the key is %q", key)
		}
		hello, err := ws.CompileFrame(ws.NewTextFrame([]byte("hello")))
		if err == nil {
			_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: second\r\nSec-WebSocket-Extensions: x-test; b=2\r\n\r\n"+string(hello))
		}
		if err != nil {
			t.Error(err)
			return
		}
		serve(conn, buffered)
	}
}

func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err == nil {
		f.Payload = make([]byte, f.Header.Length)
		_, err = io.ReadFull(r, f.Payload)
	}
	return f, err
}

// echo sends frames back as they are, whatever their bits, until a close frame, which
// it answers with another code.
func echo(t *testing.T) func(conn net.Conn, r io.Reader) {
	return func(conn net.Conn, r io.Reader) {
		for {
			f, err := readFrame(r)
			if err != nil {
				t.Error(err)
				return
			}
			f = ws.UnmaskFrameInPlace(f)
			if f.Header.OpCode == ws.OpClose {
				f = ws.NewCloseFrame(ws.NewCloseFrameBody(4321, "reason of the Go node"))
			}
			if err := ws.WriteFrame(conn, f); err != nil || f.Header.OpCode == ws.OpClose {
				return
			}
		}
	}
}

// upgrade asks for a WebSocket with a token. What comes behind the answer is in r.
func (n *goNode) upgrade(t *testing.T, token string) (answer *http.Response, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	conn = n.dial(t)
	_, err := io.WriteString(conn, "GET /hub?id="+token+" HTTP/1.1\r\nHost: chat.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: first, second\r\nSec-WebSocket-Extensions: x-test; a=1\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r = bufio.NewReader(conn)
	answer, err = http.ReadResponse(r, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	return answer, conn, r
}

// talk sends frames, gets them back, and ends with a close frame.
func talk(t *testing.T, w io.Writer, r io.Reader) {
	t.Helper()
	if f, err := readFrame(r); err != nil || string(f.Payload) != "hello" {
		t.Fatalf("the first frame is %q, %v", f.Payload, err)
	}
	compressed := ws.NewFrame(ws.OpBinary, true, []byte("as if it were compressed"))
	compressed.Header.Rsv = ws.Rsv(true, false, false)
	for _, f := range []ws.Frame{
		ws.NewTextFrame([]byte("a call")), ws.NewTextFrame([]byte(strings.Repeat("x", 200_000))), compressed,
		ws.NewPingFrame([]byte("ping")), ws.NewFrame(ws.OpText, false, []byte("first part")),
	} {
		want := string(f.Payload)
		if err := ws.WriteFrame(w, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
		got, err := readFrame(r)
		if err != nil || got.Header.OpCode != f.Header.OpCode || got.Header.Rsv != f.Header.Rsv || got.Header.Fin != f.Header.Fin || string(got.Payload) != want {
			t.Fatalf("%v of %d bytes came back as %v of %d, %v", f.Header, len(want), got.Header, len(got.Payload), err)
		}
	}
	if err := ws.WriteFrame(w, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))); err != nil {
		t.Fatal(err)
	}
	f, err := readFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	if code, reason := ws.ParseCloseFrameData(f.Payload); code != 4321 || reason != "reason of the Go node" {
		t.Errorf("closed with %d %q", code, reason)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("behind the close frame comes %q, %v", rest, err)
	}
}

func TestWebSocketsPass(t *testing.T) {
	n := startGoNode(t)
	t.Run("with their protocol, extensions and close frames", n.passFrames)
	t.Run("one that is refused is answered so", n.refuseWebSocket)
	t.Run("the loss of one side ends the other", n.loseOneSide)
}

func (n *goNode) passFrames(t *testing.T) {
	n.on("hw1.echo", serveWebSocket(t, echo(t)))
	for range 2 {
		answer, conn, r := n.upgrade(t, "hw1.echo")
		if answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("answered %s", answer.Status)
		}
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
			"Sec-Websocket-Protocol": "second", "Sec-Websocket-Extensions": "x-test; b=2",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("the answer has %s %q, want %q", name, got, want)
			}
		}
		talk(t, conn, r)
	}
}

func (n *goNode) refuseWebSocket(t *testing.T) {
	n.on("hw1.refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "taken", http.StatusConflict) })
	answer, _, _ := n.upgrade(t, "hw1.refused")
	if status, body := read(t, answer, nil); status != http.StatusConflict || body != "taken\n" {
		t.Errorf("answered %d %q, want 409 taken", status, body)
	}
}

func (n *goNode) loseOneSide(t *testing.T) {
	ended := make(chan struct{})
	n.on("hw1.client", serveWebSocket(t, func(_ net.Conn, r io.Reader) {
		_, _ = io.ReadAll(r) // until the client's end
		close(ended)
	}))
	n.on("hw1.node", serveWebSocket(t, func(conn net.Conn, _ io.Reader) {
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset, as of a node that was killed
	}))
	n.on("hw1.last", serveWebSocket(t, func(conn net.Conn, r io.Reader) {
		// The close frame is on its way when the client's next frames meet a closed socket.
		_ = ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(4321, "last words")))
	}))
	_, conn, r := n.upgrade(t, "hw1.client")
	if f, err := readFrame(r); err != nil || string(f.Payload) != "hello" {
		t.Fatalf("the first frame is %q, %v", f.Payload, err)
	}
	conn.Close()
	<-ended

	_, _, r = n.upgrade(t, "hw1.node")
	_, _ = io.ReadAll(r) // returns: the connection ends, with whatever error

	_, conn, r = n.upgrade(t, "hw1.last")
	for range 100 {
		if ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("a call")))) != nil {
			break // the node has ended the connection, as it may
		}
	}
	if f, err := readFrame(r); err != nil || string(f.Payload) != "hello" {
		t.Fatalf("the first frame is %q, %v", f.Payload, err)
	}
	f, err := readFrame(r)
	if code, reason := ws.ParseCloseFrameData(f.Payload); err != nil || code != 4321 {
		t.Errorf("the last frame is %d %q, %v", code, reason, err)
	}
}

// A WebSocket over HTTP/2 is one over HTTP/1.1 for the Go node.
func TestWebSocketsOverHTTP2Pass(t *testing.T) {
	n := startGoNode(t, "--Kestrel:EndpointDefaults:Protocols", "Http2")
	n.on("hw1.echo", serveWebSocket(t, echo(t)))
	n.on("hw1.refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "taken", http.StatusConflict) })
	//lint:ignore SA1019 its successor, net/http, sends no extended CONNECT
	client := &http.Client{Transport: &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}}
	defer client.CloseIdleConnections()
	connect := func(token string) (*http.Response, *io.PipeWriter) {
		body, mouth := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), "CONNECT", n.asp+"/hub?id="+token, body)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			":protocol": "websocket", "X-Http2": "1", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Protocol": "first, second", "Sec-WebSocket-Extensions": "x-test; a=1",
		} {
			r.Header.Set(name, value)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mouth.Close(); answer.Body.Close() })
		return answer, mouth
	}
	answer, mouth := connect("hw1.echo")
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Sec-Websocket-Protocol") != "second" ||
		answer.Header.Get("Sec-Websocket-Extensions") != "x-test; b=2" || answer.Header.Get("Sec-Websocket-Accept") != "" {
		t.Fatalf("answered %s with %q", answer.Status, answer.Header)
	}
	talk(t, mouth, bufio.NewReader(answer.Body))
	if answer, _ := connect("hw1.refused"); answer.StatusCode != http.StatusConflict {
		t.Errorf("answered %s, want 409", answer.Status)
	}
}
