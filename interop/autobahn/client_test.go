package autobahn

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// limit bounds each wait of a case.
const limit = time.Minute

// noCode is the code of a close frame without one, none is no close frame.
const (
	noCode = 0
	none   = -1
)

// The client is written by hand: internal/hubclient sends valid frames only, each a
// whole message, and most cases are about others.

// frame builds a masked frame; first is its whole first byte.
func frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x11, 0x22, 0x33, 0x44}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i&3])
	}
	return b
}

// dial opens a WebSocket.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "GET /echo HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s, want 101", response.Status)
	}
	return conn, r
}

// heard is what the server has sent on a connection until its end.
type heard struct {
	data  []byte
	pongs []string
	code  int // of the close frame
	err   error
}

// hear reads until the connection ends. As soon as data bytes and pongs pongs
// have come, it calls enough once.
func hear(r *bufio.Reader, data, pongs int, enough func()) heard {
	h := heard{code: none}
	called := false
	for {
		if !called && len(h.data) >= data && len(h.pongs) >= pongs {
			called = true
			enough()
		}
		op, payload, err := readFrame(r)
		if err != nil {
			h.err = err
			return h
		}
		switch {
		case op == 10:
			h.pongs = append(h.pongs, string(payload))
		case op == 8 && len(payload) < 2:
			h.code = noCode
		case op == 8:
			h.code = int(binary.BigEndian.Uint16(payload))
		default:
			h.data = append(h.data, payload...)
		}
	}
}

// readFrame reads a frame of the server: it is not masked.
func readFrame(r io.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	if more := map[uint64]int{126: 2, 127: 8}[n]; more > 0 {
		var long [8]byte
		if _, err := io.ReadFull(r, long[8-more:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(long[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0] & 15, payload, err
}

// over reports whether the server has ended the connection, in order or by a
// reset because it left something unread; false means that the deadline has.
func over(err error) bool {
	var timeout net.Error
	return err != nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}
