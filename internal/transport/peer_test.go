package transport

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A peer is one TCP connection of a client.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (n *node) dial() *peer {
	n.t.Helper()
	conn, err := n.connect()
	if err != nil {
		n.t.Fatal(err)
	}
	return newPeer(n.t, conn)
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // fake time in a bubble
	return p
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, s); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// A reply is an HTTP answer with its headers as they came.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %v %q", r.status, r.header, r.body) }

// request writes a request; headers are lines.
func (p *peer) request(method, path, body string, headers ...string) {
	p.t.Helper()
	p.requestTo("test", method, path, body, headers...)
}

// requestTo is request with a Host of its own.
func (p *peer) requestTo(host, method, path, body string, headers ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" || method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	p.write(b.String() + "\r\n" + body)
}

// response reads the answer to a request.
func (p *peer) response(method string) reply {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading the answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	r := reply{status: res.StatusCode, header: res.Header}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return r
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("reading the body: %v", err)
	}
	r.body = string(body)
	r.header.Del("Date")
	return r
}

// do sends one request on a connection of its own.
func (n *node) do(method, path, body string, headers ...string) reply {
	n.t.Helper()
	p := n.dial()
	defer func() { _ = p.conn.Close() }()
	p.request(method, path, body, headers...)
	return p.response(method)
}

// negotiated is the answer to a negotiate.
type negotiated struct {
	ID    string `json:"connectionId"`
	Token string `json:"connectionToken"`
	Error string `json:"error"`
}

// negotiate returns the URL of a new connection.
func (n *node) negotiate(query ...string) string {
	n.t.Helper()
	return n.negotiateAs("", query...)
}

// negotiateAs is negotiate by a user, as byHeader knows one.
func (n *node) negotiateAs(user string, query ...string) string {
	n.t.Helper()
	r := n.do("POST", "/hub/negotiate?negotiateVersion=1"+strings.Join(query, ""), "", "X-User: "+user)
	var a negotiated
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || a.Token == "" {
		n.t.Fatalf("negotiate: %v", r)
	}
	return "/hub?id=" + a.Token
}

// handshakeHeaders open a WebSocket.
var handshakeHeaders = []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// upgrade opens a WebSocket.
func (n *node) upgrade(path string, headers ...string) *peer {
	n.t.Helper()
	p := n.dial()
	p.upgrade(path, headers...)
	return p
}

func (p *peer) upgrade(path string, headers ...string) {
	p.t.Helper()
	p.request("GET", path, "", append(handshakeHeaders, headers...)...)
	if r := p.response("GET"); r.status != http.StatusSwitchingProtocols {
		p.t.Fatalf("upgrade: %v", r)
	}
}

// apart, between two frames, lets each be given to the App by itself: a pong that
// nobody has asked for.
var apart = clientFrame(opPong, "")

// clientFrame builds a masked frame.
func clientFrame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n > math.MaxUint16:
		b = binary.BigEndian.AppendUint64(append(b, 0xff), uint64(n))
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, 0xfe), uint16(n))
	default:
		b = append(b, 0x80|byte(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return string(b)
}

// Opcodes of whole messages.
const (
	opContinuation = 0x80
	opText         = 0x81
	opBinary       = 0x82
	opClose        = 0x88
	opPing         = 0x89
	opPong         = 0x8a
)

func (p *peer) send(first byte, payload string) {
	p.t.Helper()
	p.write(clientFrame(first, payload))
}

// frame reads one frame of the server; a close frame's payload is its code and
// reason as text.
func (p *peer) frame() (first byte, payload string) {
	p.t.Helper()
	first, payload, err := p.tryFrame()
	if err != nil {
		p.t.Fatalf("reading a frame: %v", err)
	}
	return first, payload
}

func (p *peer) tryFrame() (first byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(p.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(p.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return 0, "", err
	}
	if head[0] == opClose && n >= 2 {
		return head[0], fmt.Sprintf("%d %q", binary.BigEndian.Uint16(b), b[2:]), nil
	}
	return head[0], string(b), nil
}

// expect reads one frame and compares.
func (p *peer) expect(first byte, payload string) {
	p.t.Helper()
	if f, got := p.frame(); f != first || got != payload {
		p.t.Fatalf("frame = %#x %.100q, want %#x %.100q", f, got, first, payload)
	}
}

// expectEnd reads until TCP ends.
func (p *peer) expectEnd() {
	p.t.Helper()
	b, err := io.ReadAll(p.r)
	if err != nil && strings.Contains(err.Error(), "timeout") {
		p.t.Fatal("TCP did not end")
	}
	if len(b) > 0 {
		p.t.Fatalf("read %.200q before the end, want nothing", b)
	}
}
