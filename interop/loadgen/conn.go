//go:build linux

package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const ringSize = 4096 // most invocations in flight on one connection

type slot struct {
	id uint32
	ts int64
}

// conn is one client. Everything but the fields under mu belongs to its worker.
type conn struct {
	w    *worker
	idx  int // in w.conns
	g    atomic.Pointer[group]
	mask uint32

	pend []byte // bytes of an incomplete frame
	rec  []byte // bytes of an incomplete hub message

	lastSeq  uint32
	seenSeq  bool
	lastPing int64
	verified bool
	due      int // completions answered by new invocations after this read
	got      int // deliveries in this read

	mu     sync.Mutex
	fd     int
	closed bool
	out    []byte // bytes the socket would not take yet
	ring   []slot
	nextID uint32
	dueBuf []byte
}

// target is the hub's address, resolved once.
type target struct {
	u       *url.URL
	addr    func() syscall.Sockaddr // a fresh one each: Connect writes into it
	domain  int
	proto   protocol
	skip    bool
	headers []string
	hc      *http.Client
	hs      []byte
}

func newTarget(raw string, p protocol, skip bool, headers []string) (*target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "http":
	default:
		return nil, fmt.Errorf("scheme %q: only http and ws (no TLS)", u.Scheme)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	a, err := net.ResolveTCPAddr("tcp", host)
	if err != nil {
		return nil, err
	}
	t := &target{u: u, proto: p, skip: skip || p == protoRaw, headers: headers, hs: p.handshake()}
	if ip4 := a.IP.To4(); ip4 != nil {
		t.domain = syscall.AF_INET
		t.addr = func() syscall.Sockaddr { return &syscall.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip4)} }
	} else {
		t.domain = syscall.AF_INET6
		t.addr = func() syscall.Sockaddr { return &syscall.SockaddrInet6{Port: a.Port, Addr: [16]byte(a.IP.To16())} }
	}
	t.hc = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return t, nil
}

func (t *target) negotiate() (string, error) {
	u := *t.u
	u.Path = strings.TrimSuffix(u.Path, "/") + "/negotiate"
	q := u.Query()
	q.Set("negotiateVersion", "1")
	u.RawQuery = q.Encode()
	req, err := http.NewRequest("POST", u.String(), nil)
	if err != nil {
		return "", err
	}
	for _, h := range t.headers {
		k, v, _ := strings.Cut(h, ":")
		req.Header.Set(k, strings.TrimSpace(v))
	}
	r, err := t.hc.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if r.StatusCode != 200 {
		return "", fmt.Errorf("negotiate: %s: %.200s", r.Status, b)
	}
	var n struct{ ConnectionToken, ConnectionID, Error, URL string }
	if err := json.Unmarshal(b, &n); err != nil {
		return "", fmt.Errorf("negotiate: %w", err)
	}
	switch {
	case n.Error != "":
		return "", errors.New("negotiate: " + n.Error)
	case n.ConnectionToken != "":
		return n.ConnectionToken, nil
	case n.ConnectionID != "":
		return n.ConnectionID, nil
	}
	return "", fmt.Errorf("negotiate: no connection token in %.200s", b)
}

// dial negotiates, upgrades and shakes hands with blocking calls; the socket
// it leaves in the connection is non-blocking.
func (t *target) dial() (c *conn, err error) {
	u := *t.u
	if !t.skip {
		tok, err := t.negotiate()
		if err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("id", tok)
		u.RawQuery = q.Encode()
	}
	fd, err := syscall.Socket(t.domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	tv := syscall.Timeval{Sec: 30}
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv)
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &tv)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if err = connect(fd, t.addr()); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	var kb [16]byte
	binary.LittleEndian.PutUint64(kb[:], rand.Uint64())
	binary.LittleEndian.PutUint64(kb[8:], rand.Uint64())
	key := base64.StdEncoding.EncodeToString(kb[:])
	var req bytes.Buffer
	fmt.Fprintf(&req, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", u.RequestURI(), u.Host, key)
	for _, h := range t.headers {
		req.WriteString(h + "\r\n")
	}
	req.WriteString("\r\n")
	if err = writeAll(fd, req.Bytes()); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 4096)
	more := func() error {
		if len(buf) == cap(buf) {
			return errors.New("answer too long")
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		for err == syscall.EINTR {
			n, err = syscall.Read(fd, buf[len(buf):cap(buf)])
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("closed during set-up after %.300q", buf)
		}
		buf = buf[:len(buf)+n]
		return nil
	}
	end := -1
	for end < 0 {
		if err = more(); err != nil {
			return nil, err
		}
		end = bytes.Index(buf, []byte("\r\n\r\n"))
	}
	if !bytes.HasPrefix(buf, []byte("HTTP/1.1 101")) {
		err = fmt.Errorf("upgrade refused: %.200s", buf)
		return nil, err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if !bytes.Contains(buf[:end], []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
		err = errors.New("wrong Sec-WebSocket-Accept")
		return nil, err
	}
	buf = buf[:copy(buf, buf[end+4:])]
	c = &conn{fd: fd, mask: rand.Uint32()}
	if t.proto != protoRaw {
		hs := append([]byte(nil), t.hs...)
		maskFrame(hs, 6, c.mask)
		if err = writeAll(fd, hs); err != nil {
			return nil, err
		}
		// The answer is one short frame of JSON ended by 0x1e.
		for {
			if len(buf) >= 2 && len(buf) >= 2+int(buf[1]&0x7f) {
				break
			}
			if err = more(); err != nil {
				return nil, err
			}
		}
		n := 2 + int(buf[1]&0x7f)
		ans := buf[2:n]
		if len(ans) == 0 || ans[0] != '{' || bytes.Contains(ans, []byte(`"error"`)) {
			err = fmt.Errorf("handshake refused: %.200q", buf[:n])
			return nil, err
		}
		if i := bytes.IndexByte(ans, 0x1e); i >= 0 && i+1 < len(ans) {
			c.rec = append(c.rec, ans[i+1:]...)
		}
		buf = buf[n:]
	}
	c.pend = append(c.pend, buf...)
	err = syscall.SetNonblock(fd, true)
	return c, err
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

// write sends b now, or keeps what the socket does not take.
func (c *conn) write(b []byte) {
	c.mu.Lock()
	c.writeLocked(b)
	c.mu.Unlock()
}

func (c *conn) writeLocked(b []byte) {
	if c.closed {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n := rawWrite(c.fd, b)
	if n < 0 {
		return // the read side sees the end of the connection
	}
	if n < len(b) {
		c.out = append(c.out, b[n:]...)
		c.w.interest(c, true)
	}
}

func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.out) == 0 {
		return
	}
	n := rawWrite(c.fd, c.out)
	if n < 0 {
		return
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	if len(c.out) == 0 {
		c.w.interest(c, false)
	}
}

// invoke sends n invocations of t with ids, in one write.
func (c *conn) invoke(t *template, n int, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ring == nil {
		c.ring = make([]slot, 64)
	}
	b := c.dueBuf[:0]
	for i := 0; i < n; i++ {
		c.nextID++
		id := c.nextID % 100000000
		for {
			s := &c.ring[id%uint32(len(c.ring))]
			if s.id == 0 || len(c.ring) >= ringSize {
				*s = slot{id, now}
				break
			}
			old := c.ring
			c.ring = make([]slot, 2*len(old))
			for _, o := range old {
				if o.id != 0 {
					c.ring[o.id%uint32(len(c.ring))] = o
				}
			}
		}
		b = t.appendTo(b, c.mask, id, now, id)
	}
	c.dueBuf = b
	c.writeLocked(b)
}

// settle finds the invocation a completion answers.
func (c *conn) settle(id uint32) (ts int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) == 0 {
		return 0, false
	}
	s := &c.ring[id%uint32(len(c.ring))]
	if s.id != id || id == 0 {
		return 0, false
	}
	s.id = 0
	return s.ts, true
}

// open counts invocations without an answer.
func (c *conn) open() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.ring {
		if s.id != 0 {
			n++
		}
	}
	return n
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		_ = syscall.Close(c.fd)
	}
}

// group is a set of connections that get the same messages, sent by one of
// them; a broadcast to all is one group of everyone.
type group struct {
	r      *run
	t      *template
	conns  []*conn
	sender *conn

	deliv atomic.Uint64
	sent  atomic.Uint64

	mu  sync.Mutex
	seq uint32
	buf []byte
}

func (g *group) send(ts int64) {
	g.mu.Lock()
	g.seq++
	if g.t.idOff >= 0 {
		g.sender.invoke(g.t, 1, ts)
	} else {
		g.buf = g.t.appendTo(g.buf[:0], g.sender.mask, 0, ts, g.seq)
		g.sender.write(g.buf)
	}
	g.sent.Add(1)
	g.mu.Unlock()
}

// pump keeps depth messages in flight when the loop is closed.
func (g *group) pump() {
	for g.r.sending.Load() {
		s, d := g.sent.Load(), g.deliv.Load()/uint64(len(g.conns))
		if s >= d+uint64(g.r.depth) {
			return
		}
		g.send(now())
	}
}

func rawWrite(fd int, b []byte) int {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), ptr(b), uintptr(len(b)))
		switch e {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0
		default:
			return -1
		}
	}
}

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), ptr(b), uintptr(len(b)))
		if e == syscall.EINTR {
			continue
		}
		return int(n), e
	}
}
