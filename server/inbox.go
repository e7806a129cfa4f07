package server

import (
	"bytes"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// An inbox holds what was received and not yet dispatched.
type inbox struct {
	mu      sync.Mutex
	buf     []byte
	held    int           // bytes that a pump has taken and not yet dispatched
	busy    bool          // somebody has the loop
	room    chan struct{} // not nil: Receive waits, closed when there is room
	seen    int           // bytes at the start of buf in which no message ends
	want    int           // as long as buf is shorter, no message ends in it
	cuts    []int         // where in buf a socket was lost; what was incomplete there stays so
	ended   bool          // nothing more comes
	cause   error         // what the transport said of its end
	stopped bool          // the loop has ended for good; what comes is dropped
	gone    chan struct{} // not nil: somebody waits; closed when the connection is over
	news    chan struct{} // not nil: somebody looks ahead; told when more has come
}

// incomplete reports whether data, the undispatched bytes from the start of a
// message, certainly hold no whole message yet. It looks only at bytes that it
// has not seen, so a long message costs the same in one piece as in many. Bytes
// that are too many for a message are not incomplete: they are an error.
// c.in.mu is held.
func (c *connection) incomplete(data []byte) bool {
	in := &c.in
	if len(data) > c.hub.opts.MaximumReceiveMessageSize {
		in.seen, in.want = 0, 0
		return false
	}
	if len(data) < in.want {
		return true
	}
	codec := c.codec
	if codec == nil {
		codec = protocol.JSON{} // the handshake ends as JSON messages do
	}
	missing, _ := protocol.Missing(codec, data, in.seen)
	if missing <= 0 {
		in.seen, in.want = 0, 0
		return false
	}
	in.seen, in.want = len(data), len(data)+missing
	return true
}

// takeWhole is take, but what holds no whole message stays in still.
func (c *connection) takeWhole(rest []byte) (data, still []byte) {
	for {
		if data, still = c.in.take(rest); data == nil || !c.incomplete(data) {
			return data, still
		}
		rest = data
	}
}

// take returns what came after rest, with rest in front, or nil and rest if
// nothing did. Where a socket was lost, rest is forgotten: the peer sends the
// whole message again over the next one. The memory of rest must be the
// inbox's own: what came is appended to it.
func (in *inbox) take(rest []byte) (data, still []byte) {
	for len(in.cuts) > 0 && in.cuts[0] == 0 {
		rest, in.cuts = nil, in.cuts[1:]
		in.seen, in.want = 0, 0
	}
	n := len(in.buf)
	if len(in.cuts) > 0 {
		n = in.cuts[0]
	}
	if n == 0 {
		return nil, rest
	}
	if len(rest) > 0 {
		data = append(rest, in.buf[:n]...)
	} else {
		data = in.buf[:n:n]
	}
	if in.buf = in.buf[n:]; len(in.buf) == 0 {
		in.buf = nil
	}
	for i := range in.cuts {
		in.cuts[i] -= n
	}
	return data, nil
}

// ownMemory returns rest, the undispatched end of data, in memory that the
// inbox may keep and append to. Borrowed memory, which is the transport's or
// the end of something larger, is left alone, and so is memory of which most
// has been dispatched.
func ownMemory(rest, data []byte, borrowed bool) []byte {
	if borrowed || len(rest) < len(data)/2 {
		return bytes.Clone(rest)
	}
	return rest
}

// putBack puts what was not dispatched in front of what has come since.
func (in *inbox) putBack(rest []byte) {
	in.buf = slices.Concat(rest, in.buf)
	for i := range in.cuts {
		in.cuts[i] += len(rest)
	}
}

// cut forgets the message that a lost socket has left incomplete.
func (in *inbox) cut() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.busy {
		in.cuts = append(in.cuts, len(in.buf)) // the goroutine that has the loop comes to it
	} else {
		in.buf, in.seen, in.want = nil, 0, 0
	}
}

// tell tells who looks ahead that more has come.
func (in *inbox) tell() {
	if in.news == nil {
		return
	}
	select {
	case in.news <- struct{}{}:
	default: // told already
	}
}

// wake lets a waiting Receive go on.
func (in *inbox) wake() {
	if in.room != nil && (!in.busy || len(in.buf)+in.held < receiveBuffer/2 || in.stopped) {
		close(in.room)
		in.room = nil
	}
}
