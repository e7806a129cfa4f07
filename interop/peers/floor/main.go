// Floor is what a server in Go costs without a hub: it negotiates, takes any
// handshake and answers an Echo of JSON with what its first argument is, by looking
// for both in the text. A Broadcast goes to all, a SendToGroup to those who called
// JoinGroup. Of loadgen's protocol raw it sends a record back (E...) or to all (B...).
// A read, and a write for all that was in it to each who gets it, are the only calls to
// the system. It has no limits, no time-outs, no checks and no queues: who does not
// read holds up the others. With --queues each message waits for each who gets it in a
// queue of their own, and another goroutine writes, as is needed where a slow client may
// hold up nobody. With --redis what goes to a group goes through a channel of a Redis, the
// group's name before the frames.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/gobwas/ws"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/interop/peers/internal/node"
)

func main() {
	f := &floor{groups: map[string][]*client{}}
	flag.BoolVar(&f.queues, "queues", false, "each client has a queue, and another goroutine writes")
	flag.StringVar(&f.address, "redis", "", "address of a Redis, which all sends go through")
	node.Main(f)
}

// everyone is the name of the group of all clients.
const everyone = ""

type floor struct {
	address string // of a Redis, or ""
	start   sync.Once
	redis   *redis.Client // nil without an address

	mu     sync.RWMutex
	groups map[string][]*client

	queues  bool
	queueMu sync.Mutex
	waiting []*client // those with something in their queue
	writing bool      // a goroutine writes
}

// channel is the one that all sends go through.
const channel = "floor"

// subscribe starts what a floor with a Redis needs.
func (f *floor) subscribe() {
	if f.address == "" {
		return
	}
	f.redis = redis.NewClient(&redis.Options{Addr: f.address})
	ctx := context.Background()
	messages := f.redis.Subscribe(ctx, channel)
	if _, err := messages.Receive(ctx); err != nil {
		panic(err)
	}
	go func() {
		for {
			m, err := messages.ReceiveMessage(ctx)
			if err != nil {
				panic(err)
			}
			group, frames, _ := strings.Cut(m.Payload, "\n")
			f.send(group, []byte(frames))
		}
	}()
}

// publish sends frames to a group, through the Redis if there is one.
func (f *floor) publish(group string, frames []byte) {
	if f.redis == nil {
		f.send(group, frames)
		return
	}
	if err := f.redis.Publish(context.Background(), channel, append([]byte(group+"\n"), frames...)).Err(); err != nil {
		panic(err)
	}
}

// join adds c to a group.
func (f *floor) join(c *client, group string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups[group] = append(f.groups[group], c)
}

func (f *floor) leave(c *client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, g := range f.groups {
		f.groups[name] = slices.DeleteFunc(g, func(other *client) bool { return other == c })
	}
}

// send writes frames to a group, or queues them for it.
func (f *floor) send(group string, frames []byte) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.queues {
		f.queue(f.groups[group], frames)
		return
	}
	for _, c := range f.groups[group] {
		c.write(frames)
	}
}

// queue queues frames for all of a group, and has a goroutine write them.
func (f *floor) queue(group []*client, frames []byte) {
	for _, c := range group {
		c.mu.Lock()
		first := len(c.queued) == 0
		c.queued = append(c.queued, frames...)
		c.mu.Unlock()
		if first {
			f.queueMu.Lock()
			f.waiting = append(f.waiting, c)
			f.queueMu.Unlock()
		}
	}
	f.queueMu.Lock()
	defer f.queueMu.Unlock()
	if !f.writing {
		f.writing = true
		go f.writeQueues()
	}
}

// writeQueues writes all queues until nothing waits.
func (f *floor) writeQueues() {
	var list []*client
	var b []byte
	for {
		f.queueMu.Lock()
		list, f.waiting = f.waiting, list[:0]
		if len(list) == 0 {
			f.writing = false
			f.queueMu.Unlock()
			return
		}
		f.queueMu.Unlock()
		for _, c := range list {
			c.mu.Lock()
			b, c.queued = c.queued, b[:0]
			c.mu.Unlock()
			c.write(b)
		}
	}
}

// write writes b to c. If it cannot, the reader of c notices.
func (c *client) write(b []byte) {
	_ = c.raw.Control(func(fd uintptr) { _ = write(fd, b) })
}

// write writes b. It asks again until there is room.
func write(fd uintptr, b []byte) error {
	for len(b) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		switch errno {
		case 0:
			b = b[n:]
		case syscall.EAGAIN, syscall.EINTR:
		default:
			return errno
		}
	}
	return nil
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.start.Do(f.subscribe)
	if strings.HasSuffix(r.URL.Path, "/negotiate") {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"negotiateVersion":1,"connectionId":"%s","connectionToken":"%s",`+
			`"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}`, rand.Text(), rand.Text())
		return
	}
	conn, buffered, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // it has been answered
	}
	if buffered.Reader.Buffered() > 0 {
		_ = conn.Close() // loadgen waits for the answer
		return
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		_ = conn.Close()
		return
	}
	c := &client{floor: f, raw: raw}
	f.join(c, everyone) // loadgen sends when all have their answer to the handshake
	go func() {         // net/http's goroutine and buffers go
		// It stays in here between messages, so that no read finds nothing.
		_ = raw.Read(c.ready)
		f.leave(c)
		_ = conn.Close()
	}()
}

// A client is what its goroutine knows of it.
type client struct {
	floor *floor
	raw   syscall.RawConn

	mu     sync.Mutex
	queued []byte

	in    [16 << 10]byte
	kept  int    // bytes of in: the first part of a frame
	out   []byte // frames to write
	sends []send // of this read
}

// A send is what a group gets of one read.
type send struct {
	group  string
	frames []byte
}

// ready reads what has come and writes the answers. It returns true when the client
// has gone.
func (c *client) ready(fd uintptr) bool {
	room := c.in[c.kept:]
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)), 0, 0, 0)
	if errno == syscall.EAGAIN {
		return false
	}
	if errno != 0 || n == 0 {
		return true
	}
	rest := c.in[:c.kept+int(n)]
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
	for i := range c.sends {
		c.floor.publish(c.sends[i].group, c.sends[i].frames)
	}
	c.sends = c.sends[:0]
	err := write(fd, c.out)
	c.out = c.out[:0]
	return err != nil || closed || c.kept == len(c.in)
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

// What is around what a message says.
var (
	handshake = []byte(`{"protocol"`)
	accepted  = []byte("{}\x1e")
	ping      = []byte(`{"type":6`)
	id        = []byte(`"invocationId":"`)
	target    = []byte(`"target":"`)
	first     = []byte(`"arguments":["`)
	second    = []byte(`","`)
	before    = []byte(`{"type":3,"invocationId":"`)
	between   = []byte(`","result":"`)
	after     = []byte("\"}\x1e")
	event     = []byte(`{"type":1,"target":"receive","arguments":["`)
	eventEnd  = []byte("\"]}\x1e")
)

// answer appends the answer to out, or to what a group gets.
func (c *client) answer(op ws.OpCode, record []byte) {
	switch {
	case bytes.HasPrefix(record, handshake):
		c.out = appendFrame(c.out, op, accepted)
	case bytes.HasPrefix(record, ping):
	case bytes.HasPrefix(record, []byte("{")):
		c.call(op, record)
	case bytes.HasPrefix(record, []byte("B")):
		c.sendTo(nil, op, record)
	default:
		c.out = appendFrame(c.out, op, record)
	}
}

// call answers a call.
func (c *client) call(op ws.OpCode, record []byte) {
	argument, rest := quoted(record, first)
	called, _ := quoted(record, target)
	switch string(called) {
	case "Broadcast":
		c.sendTo(nil, op, event, argument, eventEnd)
		return
	case "SendToGroup":
		text, _ := quoted(rest, second)
		c.sendTo(argument, op, event, text, eventEnd)
		return
	case "JoinGroup":
		c.floor.join(c, string(argument))
	}
	call, _ := quoted(record, id)
	c.out = appendFrame(c.out, op, before, call, between, argument, after)
}

// sendTo has a group, or all of everyone, get a frame at the end of this read.
func (c *client) sendTo(group []byte, op ws.OpCode, parts ...[]byte) {
	if c.floor.queues { // one by one, as calls of a hub send
		c.floor.publish(string(group), appendFrame(nil, op, parts...))
		return
	}
	if n := len(c.sends); n == 0 || c.sends[n-1].group != string(group) {
		c.sends = append(c.sends, send{group: string(group)})
	}
	last := &c.sends[len(c.sends)-1]
	last.frames = appendFrame(last.frames, op, parts...)
}

// quoted returns what stands between the first prefix in record and the next quote, and
// what follows, from that quote on.
func quoted(record, prefix []byte) (text, rest []byte) {
	_, rest, _ = bytes.Cut(record, prefix)
	end := max(bytes.IndexByte(rest, '"'), 0)
	return rest[:end], rest[end:]
}
