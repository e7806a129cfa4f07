//go:build linux

package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"syscall"
	"time"
)

// dial negotiates, upgrades or opens an event stream, and shakes hands. It waits as all of Go does, so that
// thousands that dial need no thousands of threads: at any priority those would
// take the processors from a server on the same machine.
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
	socket, err := t.socket()
	if err != nil {
		return nil, err
	}
	defer socket.Close() // nothing is lost: c has a descriptor of its own
	c := &conn{mask: rand.Uint32()}
	open := t.open
	if t.events {
		open = t.openEvents
	}
	if err := open(socket, c, &u); err != nil {
		return nil, err
	}
	c.fd, err = descriptor(socket)
	return c, err
}

// socket connects by TCP. All that is done until the hub's handshake may take 30
// seconds.
func (t *target) socket() (*net.TCPConn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: -1}
	if len(t.sources) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: t.sources[t.dialed.Add(1)%uint64(len(t.sources))]}
		d.Control = bindWithoutPort
	}
	c, err := d.Dial("tcp", t.address)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(30 * time.Second))
}

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT: the port is chosen when it connects,
// so that each source has all ports for each address of the hub.
const bindAddressNoPort = 24

func bindWithoutPort(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1) // without it there are fewer ports
	})
}

// descriptor returns another descriptor of c, non-blocking as all of Go's are.
func descriptor(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var copied uintptr
	var failed syscall.Errno
	err = raw.Control(func(fd uintptr) {
		copied, _, failed = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && failed != 0 {
		err = failed
	}
	return int(copied), err
}

// open makes the socket a WebSocket, and a connection to the hub.
func (t *target) open(socket net.Conn, c *conn, u *url.URL) error {
	s := &setup{socket: socket, buf: make([]byte, 0, 4096)}
	if err := t.upgrade(s, u); err != nil {
		return err
	}
	if err := t.greet(s, c); err != nil {
		return err
	}
	c.pend = append(c.pend, s.buf...)
	return nil
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
		if err := s.write(connect); err != nil {
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

// A setup is a socket with the bytes that were read from it and not yet used.
type setup struct {
	socket net.Conn
	buf    []byte
}

func (s *setup) write(b []byte) error {
	_, err := s.socket.Write(b)
	return err
}

// more reads once.
func (s *setup) more() error {
	free := s.buf[len(s.buf):cap(s.buf)]
	if len(free) == 0 {
		return errors.New("answer too long")
	}
	n, err := s.socket.Read(free)
	if err == io.EOF {
		return fmt.Errorf("closed during set-up after %.300q", s.buf)
	}
	if err != nil {
		return err
	}
	s.buf = s.buf[:len(s.buf)+n]
	return nil
}

// headEnd ends the head of an answer.
const headEnd = "\r\n\r\n"

// until reads until text has come.
func (s *setup) until(text string) error {
	for !bytes.Contains(s.buf, []byte(text)) {
		if err := s.more(); err != nil {
			return err
		}
	}
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
	if err := s.write(req.Bytes()); err != nil {
		return err
	}
	if err := s.until(headEnd); err != nil {
		return err
	}
	end := bytes.Index(s.buf, []byte(headEnd))
	if !bytes.HasPrefix(s.buf, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("upgrade refused: %.200s", s.buf)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if !bytes.Contains(s.buf[:end], []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
		return errors.New("wrong Sec-WebSocket-Accept")
	}
	s.skip(end + len(headEnd))
	return nil
}

// shake does the hub's handshake. What the server sends after it belongs to c.
func (t *target) shake(s *setup, c *conn) error {
	request := append([]byte(nil), t.hs...)
	maskFrame(request, 6, c.mask)
	if err := s.write(request); err != nil {
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
