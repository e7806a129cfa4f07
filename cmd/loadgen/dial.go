//go:build linux

package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"syscall"
	"time"
)

// dial negotiates, upgrades and shakes hands with blocking calls; the socket
// it leaves in the connection is non-blocking.
func (t *target) dial() (*conn, error) {
	u := *t.u
	if !t.skip {
		token, err := t.negotiate()
		if err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("id", token)
		u.RawQuery = q.Encode()
	}
	fd, err := t.socket()
	if err != nil {
		return nil, err
	}
	c := &conn{fd: fd, mask: rand.Uint32()}
	if err := t.open(c, &u); err != nil {
		_ = syscall.Close(fd) // the first error counts
		return nil, err
	}
	return c, nil
}

// socket connects by TCP. No call on it takes longer than 30 seconds.
func (t *target) socket() (fd int, err error) {
	fd, err = syscall.Socket(t.domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	limit := syscall.Timeval{Sec: 30}
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit)
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if err := t.bind(fd); err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("bind: %w", err)
	}
	if err := connect(fd, t.addr()); err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT: the port is chosen when it connects,
// so that each source has all ports for each address of the hub.
const bindAddressNoPort = 24

// bind gives fd the next of the sources.
func (t *target) bind(fd int) error {
	if len(t.sources) == 0 {
		return nil
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1) // without it there are fewer ports
	return syscall.Bind(fd, t.sources[t.dialed.Add(1)%uint64(len(t.sources))]())
}

// open makes the socket a WebSocket, and a connection to the hub.
func (t *target) open(c *conn, u *url.URL) error {
	s := &setup{fd: c.fd, buf: make([]byte, 0, 4096)}
	if err := t.upgrade(s, u); err != nil {
		return err
	}
	if err := t.greet(s, c); err != nil {
		return err
	}
	c.pend = append(c.pend, s.buf...)
	return syscall.SetNonblock(c.fd, true)
}

// greet does what the protocol wants before the first message.
func (t *target) greet(s *setup, c *conn) error {
	switch {
	case t.proto.hub():
		return t.shake(s, c)
	case t.proto == protoCentrifuge:
		c.nextID = 10_000_000 // ids are numbers, and so have no leading zeros
		connect, header := frame(1, []byte(`{"id":1,"connect":{}}`))
		maskFrame(connect, header, c.mask)
		if err := writeAll(s.fd, connect); err != nil {
			return err
		}
		for !s.hasFrame() { // before it the client is subscribed to nothing
			if err := s.more(); err != nil {
				return err
			}
		}
	}
	return nil // the answer is read as a message
}

// hasFrame reports whether the bytes begin with a whole frame of less than 64 KiB.
func (s *setup) hasFrame() bool {
	switch {
	case len(s.buf) < 4:
		return false
	case s.buf[1] < 126:
		return len(s.buf) >= 2+int(s.buf[1])
	}
	return len(s.buf) >= 4+int(binary.BigEndian.Uint16(s.buf[2:]))
}

// A setup is a blocking socket with the bytes that were read from it and not yet
// used.
type setup struct {
	fd  int
	buf []byte
}

// more reads once.
func (s *setup) more() error {
	free := s.buf[len(s.buf):cap(s.buf)]
	if len(free) == 0 {
		return errors.New("answer too long")
	}
	n, err := syscall.Read(s.fd, free)
	for err == syscall.EINTR {
		n, err = syscall.Read(s.fd, free)
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("closed during set-up after %.300q", s.buf)
	}
	s.buf = s.buf[:len(s.buf)+n]
	return nil
}

// skip drops n bytes.
func (s *setup) skip(n int) { s.buf = s.buf[:copy(s.buf, s.buf[n:])] }

// upgrade asks for a WebSocket and reads the answer.
func (t *target) upgrade(s *setup, u *url.URL) error {
	var random [16]byte
	binary.LittleEndian.PutUint64(random[:], rand.Uint64())
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64())
	key := base64.StdEncoding.EncodeToString(random[:])
	var req bytes.Buffer
	fmt.Fprintf(&req, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", u.RequestURI(), u.Host, key)
	for _, h := range t.headers {
		req.WriteString(h + "\r\n")
	}
	req.WriteString("\r\n")
	if err := writeAll(s.fd, req.Bytes()); err != nil {
		return err
	}
	end := -1
	for end < 0 {
		if err := s.more(); err != nil {
			return err
		}
		end = bytes.Index(s.buf, []byte("\r\n\r\n"))
	}
	if !bytes.HasPrefix(s.buf, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("upgrade refused: %.200s", s.buf)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if !bytes.Contains(s.buf[:end], []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
		return errors.New("wrong Sec-WebSocket-Accept")
	}
	s.skip(end + 4)
	return nil
}

// shake does the hub's handshake. What the server sends after it belongs to c.
func (t *target) shake(s *setup, c *conn) error {
	request := append([]byte(nil), t.hs...)
	maskFrame(request, 6, c.mask)
	if err := writeAll(s.fd, request); err != nil {
		return err
	}
	// The answer is one short frame of JSON ended by 0x1e.
	for len(s.buf) < 2 || len(s.buf) < 2+int(s.buf[1]&0x7f) {
		if err := s.more(); err != nil {
			return err
		}
	}
	n := 2 + int(s.buf[1]&0x7f)
	answer := s.buf[2:n]
	if len(answer) == 0 || answer[0] != '{' || bytes.Contains(answer, []byte(`"error"`)) {
		return fmt.Errorf("handshake refused: %.200q", s.buf[:n])
	}
	if i := bytes.IndexByte(answer, 0x1e); i >= 0 {
		c.rec = append(c.rec, answer[i+1:]...)
	}
	s.skip(n)
	return nil
}

// connect waits for the connection; the runtime's signals may interrupt it.
func connect(fd int, a syscall.Sockaddr) error {
	for {
		switch err := syscall.Connect(fd, a); err {
		case syscall.EINTR:
		case syscall.EALREADY:
			time.Sleep(time.Millisecond)
		case syscall.EISCONN:
			return nil
		default:
			return err
		}
	}
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		b = b[n:]
	}
	return nil
}
