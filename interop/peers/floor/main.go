// Floor is what a server in Go costs without a hub: it negotiates, takes any
// handshake and answers an Echo of JSON with what its first argument is, by looking
// for both in the text. Of loadgen's protocol raw it sends a record back (E...) or
// to all (B...). A read, and a write for all that was in it, are the only calls to
// the system. It has no limits, no time-outs, no checks and no queues: who does not
// read holds up the others.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/gobwas/ws"

	"github.com/hubwire/hubwire/interop/peers/internal/node"
)

func main() { node.Main(&floor{clients: map[*net.TCPConn]struct{}{}}) }

type floor struct {
	mu      sync.RWMutex
	clients map[*net.TCPConn]struct{}
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/negotiate") {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"negotiateVersion":1,"connectionId":"%s","connectionToken":"%s",`+
			`"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}`, rand.Text(), rand.Text())
		return
	}
	f.mu.Lock() // who has its answer is among all
	defer f.mu.Unlock()
	conn, buffered, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // it has been answered
	}
	if buffered.Reader.Buffered() > 0 {
		_ = conn.Close() // loadgen waits for the answer
		return
	}
	socket := conn.(*net.TCPConn)
	f.clients[socket] = struct{}{}
	go f.serve(socket) // net/http's goroutine and buffers go
}

func (f *floor) serve(conn *net.TCPConn) {
	c := client{floor: f}
	raw, err := conn.SyscallConn()
	if err == nil {
		// It stays in here between messages, so that no read finds nothing.
		_ = raw.Read(c.ready)
	}
	f.mu.Lock()
	delete(f.clients, conn)
	f.mu.Unlock()
	_ = conn.Close()
}

// A client is what its goroutine knows of it.
type client struct {
	floor *floor
	in    [16 << 10]byte
	kept  int    // bytes of in: the first part of a frame
	out   []byte // frames to write
}

// ready reads what has come and writes the answers. It returns true when the client
// has gone.
func (c *client) ready(fd uintptr) bool {
	n, err := syscall.Read(int(fd), c.in[c.kept:])
	if errors.Is(err, syscall.EAGAIN) {
		return false
	}
	if err != nil || n == 0 {
		return true
	}
	rest := c.in[:c.kept+n]
	closed := false
	for !closed {
		op, payload, size := next(rest)
		if size == 0 {
			break
		}
		rest = rest[size:]
		if closed = op == ws.OpClose; closed {
			c.out = appendFrame(c.out, op, payload)
			break
		}
		c.answer(op, payload)
	}
	c.kept = copy(c.in[:], rest)
	for b := c.out; len(b) > 0; {
		n, err := syscall.Write(int(fd), b)
		if err != nil && !errors.Is(err, syscall.EAGAIN) { // else it asks again until there is room
			return true
		}
		b = b[max(n, 0):]
	}
	c.out = c.out[:0]
	return closed || c.kept == len(c.in)
}

// next takes a masked frame of less than 64 KiB from the front of b: its size is 0
// as long as it is not whole.
func next(b []byte) (op ws.OpCode, payload []byte, size int) {
	if len(b) < 8 {
		return 0, nil, 0
	}
	from, length := 6, int(b[1]&0x7f)
	if length >= 126 {
		from, length = 8, int(binary.BigEndian.Uint16(b[2:]))
	}
	size = from + length
	if len(b) < size {
		return 0, nil, 0
	}
	payload = b[from:size]
	ws.Cipher(payload, [4]byte(b[from-4:from]), 0)
	return ws.OpCode(b[0] & 0xf), payload, size
}

func appendFrame(b []byte, op ws.OpCode, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	b = append(b, 0x80|byte(op))
	if length < 126 {
		b = append(b, byte(length))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// What is around the two parts of an Echo and of its answer.
var (
	handshake = []byte(`{"protocol"`)
	accepted  = []byte("{}\x1e")
	ping      = []byte(`{"type":6`)
	id        = []byte(`"invocationId":"`)
	arguments = []byte(`"arguments":["`)
	before    = []byte(`{"type":3,"invocationId":"`)
	between   = []byte(`","result":"`)
	after     = []byte("\"}\x1e")
)

// answer appends the answer to out, or sends a record to all at once.
func (c *client) answer(op ws.OpCode, record []byte) {
	switch {
	case bytes.HasPrefix(record, handshake):
		c.out = appendFrame(c.out, op, accepted)
	case bytes.HasPrefix(record, ping):
	case bytes.HasPrefix(record, []byte("{")):
		c.out = appendFrame(c.out, op, before, quoted(record, id), between, quoted(record, arguments), after)
	case bytes.HasPrefix(record, []byte("B")):
		frame := appendFrame(nil, op, record)
		c.floor.mu.RLock()
		defer c.floor.mu.RUnlock()
		for other := range c.floor.clients {
			_, _ = other.Write(frame) // its reader notices
		}
	default:
		c.out = appendFrame(c.out, op, record)
	}
}

// quoted returns what stands between the first prefix in record and the next quote.
func quoted(record, prefix []byte) []byte {
	_, text, _ := bytes.Cut(record, prefix)
	text, _, _ = bytes.Cut(text, []byte(`"`))
	return text
}
