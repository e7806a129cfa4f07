// Package socket is the client's side of a WebSocket, for service connections:
// a stream of bytes each way in binary messages. It dials with net/http, so that
// proxies, TLS and a DialContext are those of an http.Transport.
package socket

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/hubwire/hubwire/internal/ws"
)

// Room is how many bytes must be free before what is written, for the header of
// a frame.
const Room = 14

const (
	closeNormal = 1000
	largestRead = 16 << 10
	maxControl  = 125
)

// Errors of a Conn.
var (
	ErrProtocol = errors.New("socket: the peer does not keep to RFC 6455")
	ErrClosed   = errors.New("socket: closed")
)

// A StatusError is an answer to the upgrade that is none.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("socket: the upgrade is answered %d %s", e.Status, http.StatusText(e.Status))
}

// A CloseError is how the peer has ended the WebSocket.
type CloseError struct {
	Code   int // 1005: none was given
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("socket: closed by the peer with code %d %s", e.Code, e.Reason)
}

// A Conn is one WebSocket. One goroutine may call Read, any other methods.
type Conn struct {
	stream io.ReadWriteCloser
	in     *bufio.Reader
	buf    []byte // of Read
	left   int64  // of the payload of the present frame

	mu     sync.Mutex // guards writing: a frame goes out whole
	closed bool       // a close frame was sent
}

// Dial opens a WebSocket. ctx bounds the opening alone. The errors are a
// *StatusError and those of transport.
func Dial(ctx context.Context, transport http.RoundTripper, url string, header http.Header) (*Conn, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	r, err := http.NewRequestWithContext(own, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	r.Header = header.Clone()
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Key", key)
	r.Header.Set("Sec-WebSocket-Version", "13")
	answer, err := transport.RoundTrip(r)
	if !stop() && err == nil {
		_ = answer.Body.Close() // the context's error says more
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	stream, ok := answer.Body.(io.ReadWriteCloser)
	switch {
	case answer.StatusCode != http.StatusSwitchingProtocols:
		err = &StatusError{answer.StatusCode}
	case !ok || answer.Header.Get("Sec-WebSocket-Accept") != accept(key):
		err = ErrProtocol
	}
	if err != nil {
		_ = answer.Body.Close() // err says more
		cancel()
		return nil, err
	}
	s := &ending{ReadWriteCloser: stream, cancel: cancel}
	return &Conn{stream: s, in: bufio.NewReaderSize(s, largestRead), buf: make([]byte, largestRead)}, nil
}

// An ending is a stream whose context ends with it.
type ending struct {
	io.ReadWriteCloser
	cancel context.CancelFunc
}

func (e *ending) Close() error {
	defer e.cancel()
	return e.ReadWriteCloser.Close()
}

func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Read returns the next bytes of binary messages, wherever these are cut; they
// are good until the next call. It answers pings. The error is a *CloseError,
// ErrProtocol, or that of the stream.
func (c *Conn) Read() ([]byte, error) {
	for c.left == 0 {
		if err := c.header(); err != nil {
			return nil, err
		}
	}
	n, err := c.in.Read(c.buf[:min(int64(len(c.buf)), c.left)])
	c.left -= int64(n)
	if n > 0 {
		return c.buf[:n], nil
	}
	return nil, unexpected(err)
}

// unexpected is the error of a stream that ends without a close frame.
func unexpected(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// header reads the header of a frame, and a control frame whole.
func (c *Conn) header() error {
	var b [8]byte
	if _, err := io.ReadFull(c.in, b[:2]); err != nil {
		return unexpected(err)
	}
	op, length := ws.OpCode(b[0]&0x0f), int64(b[1]&0x7f)
	if b[0]&0x70 != 0 || b[1]&0x80 != 0 { // a server does not mask, and no extension was asked for
		return ErrProtocol
	}
	var err error
	switch length {
	case 126:
		_, err = io.ReadFull(c.in, b[:2])
		length = int64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		_, err = io.ReadFull(c.in, b[:8])
		length = int64(binary.BigEndian.Uint64(b[:8]))
	}
	switch {
	case err != nil:
		return unexpected(err)
	case length < 0, op.IsControl() && length > maxControl:
		return ErrProtocol
	case !op.IsControl():
		c.left = length
		return nil
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return unexpected(err)
	}
	switch op {
	case ws.OpClose:
		return c.answerClose(payload)
	case ws.OpPing:
		return c.writeControl(ws.OpPong, payload)
	case ws.OpPong:
		return nil
	}
	return ErrProtocol
}

func (c *Conn) answerClose(payload []byte) error {
	e := &CloseError{Code: 1005}
	if len(payload) >= 2 {
		e.Code, e.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if !closed {
		_ = c.CloseNormal() // e says more
	}
	return e
}

func (c *Conn) writeControl(op ws.OpCode, payload []byte) error {
	frame := append(make([]byte, Room, Room+maxControl), payload...)
	return c.write(op, frame)
}

// Write sends b[Room:] as one message. It uses what is before, and changes what
// it sends.
func (c *Conn) Write(b []byte) error { return c.write(ws.OpBinary, b) }

func (c *Conn) write(op ws.OpCode, b []byte) error {
	payload := b[Room:]
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // never fails
	ws.Cipher(payload, mask, 0)
	at := Room - 4
	copy(b[at:], mask[:])
	switch n := len(payload); {
	case n <= 125:
		at--
		b[at] = 0x80 | byte(n)
	case n <= 0xffff:
		at -= 2
		binary.BigEndian.PutUint16(b[at:], uint16(n))
		at--
		b[at] = 0x80 | 126
	default:
		at -= 8
		binary.BigEndian.PutUint64(b[at:], uint64(n))
		at--
		b[at] = 0x80 | 127
	}
	at--
	b[at] = 0x80 | byte(op)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.closed = op == ws.OpClose
	_, err := c.stream.Write(b[at:])
	return err
}

// CloseNormal sends a close frame with code 1000. The peer's own ends Read. It
// waits while the peer does not read: Cut ends that.
func (c *Conn) CloseNormal() error {
	return c.writeControl(ws.OpClose, binary.BigEndian.AppendUint16(nil, closeNormal))
}

// Cut closes the stream at once; reading and writing fail.
func (c *Conn) Cut() { _ = c.stream.Close() }
