package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// An opener opens WebSockets as clients do. It allocates little.
type opener struct {
	address   *net.TCPAddr
	negotiate net.Conn // kept alive, as browsers do
	answers   *bufio.Reader
	request   []byte
	in        [1 << 10]byte
}

func newOpener(b testing.TB, address net.Addr) *opener {
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &opener{address: address.(*net.TCPAddr), negotiate: conn, answers: bufio.NewReader(conn)}
}

var (
	negotiateRequest = []byte("POST /hub/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" +
		"User-Agent: Mozilla/5.0\r\nX-Requested-With: XMLHttpRequest\r\nX-SignalR-User-Agent: Microsoft SignalR/10.0\r\nAccept: */*\r\n\r\n")
	upgradeRest = " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: Mozilla/5.0\r\n\r\n"
	tokenName = []byte(`"connectionToken":"`)
	quote     = []byte(`"`)
	headEnd   = []byte("\r\n\r\n")
	accepted  = []byte("{}\x1e")
)

// open negotiates, upgrades and shakes hands.
func (o *opener) open() (net.Conn, error) {
	if _, err := o.negotiate.Write(negotiateRequest); err != nil {
		return nil, err
	}
	var length int
	for {
		line, err := o.answers.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if value, is := bytes.CutPrefix(line, []byte("Content-Length: ")); is {
			for _, digit := range bytes.TrimSpace(value) {
				length = length*10 + int(digit-'0')
			}
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	body := o.in[:length]
	if _, err := io.ReadFull(o.answers, body); err != nil {
		return nil, err
	}
	_, token, _ := bytes.Cut(body, tokenName)
	token, _, _ = bytes.Cut(token, quote)
	o.request = append(append(append(o.request[:0], "GET /hub?id="...), token...), upgradeRest...)
	conn, err := net.DialTCP("tcp", nil, o.address)
	if err != nil {
		return nil, err
	}
	for _, step := range []struct{ write, until []byte }{{o.request, headEnd}, {handshakeFrame, accepted}} {
		if _, err := conn.Write(step.write); err != nil {
			return nil, err
		}
		for have := 0; !bytes.Contains(o.in[:have], step.until); {
			n, err := conn.Read(o.in[have:])
			if err != nil {
				return nil, fmt.Errorf("after %q: %w", o.in[:have], err)
			}
			have += n
		}
	}
	return conn, nil
}

var (
	handshakeFrame = clientFrame(`{"protocol":"json","version":1}`)
	closeFrame     = []byte{0x88, 0x82, 0, 0, 0, 0, 3, 232}
)

// BenchmarkConnect is what a client costs that negotiates, opens a WebSocket, shakes hands
// and closes it, with what a client in Go needs for that; without a hub there are two answers
// of net/http, one of which gives the connection away.
func BenchmarkConnect(b *testing.B) {
	hub := newHub(benchHub{}, nil)
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	node := httptest.NewServer(mux)
	b.Cleanup(node.Close)
	o := newOpener(b, node.Listener.Addr())
	b.ReportAllocs()
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
}
