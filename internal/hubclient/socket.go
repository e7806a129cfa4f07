package hubclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// largestFrame bounds what one frame of the server may hold, in bytes.
const largestFrame = 64 << 20

// The opcodes of RFC 6455, section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// A CloseFrame is how a server ends a WebSocket in another than the normal way.
type CloseFrame struct {
	Code   int // of RFC 6455, section 7.4.1
	Reason string
}

func (e *CloseFrame) Error() string {
	return fmt.Sprintf("hubclient: the server has closed the WebSocket with code %d %s", e.Code, e.Reason)
}

// A socket is the client's end of a WebSocket. One goroutine reads, any may
// write.
type socket struct {
	conn   net.Conn
	in     *bufio.Reader
	binary bool
	left   atomic.Bool // a close frame has been sent

	mu sync.Mutex // guards writing: a frame goes out whole
}

// openSocket dials and upgrades.
func openSocket(ctx context.Context, c *Conn) (*socket, error) {
	address, err := c.connectAddress()
	if err != nil {
		return nil, err
	}
	r, err := c.request(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if c.opts.Compressed { // net/http adds it to the requests of the others
		r.Header.Set("Accept-Encoding", "gzip")
	}
	conn, err := dial(ctx, c.opts.DialContext, r.URL)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, in: bufio.NewReader(conn), binary: c.opts.Binary}
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // makes reading and writing fail; that error is reported
	})
	defer stop()
	if err := s.upgrade(r, c.opts.Jar); err != nil {
		_ = conn.Close() // err says more
		return nil, err
	}
	return s, nil
}

func dial(ctx context.Context, dialContext func(ctx context.Context, network, address string) (net.Conn, error), u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	conn, err := dialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || u.Scheme != "https" {
		return conn, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // err says more
		return nil, err
	}
	return secure, nil
}

// upgrade makes the connection a WebSocket. The key is no secret, and what a
// server makes of it is not checked.
func (s *socket) upgrade(r *http.Request, jar http.CookieJar) error {
	if jar != nil { // net/http does so for the requests of the others
		for _, cookie := range jar.Cookies(r.URL) {
			r.AddCookie(cookie)
		}
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.Body, r.ContentLength = nil, 0
	if err := r.Write(s.conn); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, r)
	if err != nil {
		return err
	}
	if jar != nil {
		jar.SetCookies(r.URL, answer.Cookies())
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(refusedUpgrade(r, answer), answer.Body.Close())
	}
	return nil
}

func refusedUpgrade(r *http.Request, answer *http.Response) error {
	if err := refused(r, answer); err != nil {
		return err
	}
	return &StatusError{Request: r.Method + " " + r.URL.Path, Code: answer.StatusCode, Body: "want an upgrade"}
}

// write sends one message, text or binary. The mask is zero: it protects
// proxies, and there is none.
func (s *socket) write(message []byte) error {
	opcode := byte(opText)
	if s.binary {
		opcode = opBinary
	}
	return s.writeFrame(opcode, message)
}

func (s *socket) writeFrame(opcode byte, payload []byte) error {
	frame := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(frame)
	return err
}

// read returns the payload of the next data frame. Frames of one message need
// not be told apart: hub messages have a framing of their own.
func (s *socket) read() ([]byte, error) {
	for {
		opcode, size, err := s.readHeader()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // a WebSocket ends with a close frame
		}
		if err != nil {
			return nil, err
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			return nil, err
		}
		switch opcode {
		case opClose:
			if !s.left.Swap(true) {
				_ = s.writeFrame(opClose, payload) // the server has said all that it wants to
			}
			return nil, closed(payload)
		case opPing:
			if err := s.writeFrame(opPong, payload); err != nil {
				return nil, err
			}
		case opPong:
		default:
			if len(payload) > 0 {
				return payload, nil
			}
		}
	}
}

// closed is the error of a close frame.
func closed(payload []byte) error {
	if len(payload) < 2 {
		return io.EOF
	}
	code, reason := binary.BigEndian.Uint16(payload), string(payload[2:])
	if code == closeNormal {
		return io.EOF
	}
	return &CloseFrame{Code: int(code), Reason: reason}
}

const closeNormal = 1000

// farewellTime is how long a farewell may wait for a server that does not read.
const farewellTime = 5 * time.Second

func (s *socket) farewell() error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(farewellTime)); err != nil {
		return err
	}
	if s.left.Swap(true) {
		return nil
	}
	return s.writeFrame(opClose, binary.BigEndian.AppendUint16(nil, closeNormal))
}

func (s *socket) close() error { return s.conn.Close() }

func (s *socket) readHeader() (opcode byte, size int, err error) {
	var header [8]byte
	if _, err := io.ReadFull(s.in, header[:2]); err != nil {
		return 0, 0, err
	}
	opcode, length := header[0]&0x0f, uint64(header[1])
	switch length {
	case 126:
		_, err = io.ReadFull(s.in, header[:2])
		length = uint64(binary.BigEndian.Uint16(header[:2]))
	case 127:
		_, err = io.ReadFull(s.in, header[:8])
		length = binary.BigEndian.Uint64(header[:8])
	}
	if err != nil {
		return 0, 0, err
	}
	if length > largestFrame {
		return 0, 0, fmt.Errorf("hubclient: a frame of %d bytes", length)
	}
	return opcode, int(length), nil
}
