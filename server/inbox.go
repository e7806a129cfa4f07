package server

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// receiveBuffer is how much a client may send ahead of what is dispatched,
// before it is no longer read. Source: ApplicationMaxBufferSize of ASP.NET Core.
const receiveBuffer = 64 << 10

// An inbox holds what a connection has received and not yet dispatched. Only
// this file touches its fields.
type inbox struct {
	over atomic.Bool // the client is gone, or about to be: nothing that waits begins any more

	// Guarded by mu, as what follows it; here they cost nothing.
	led     bool // a goroutine leads
	ended   bool // nothing more comes
	stopped bool // nobody leads any more; what comes is dropped

	mu   sync.Mutex
	buf  []byte
	held int          // bytes that the leader has taken and not yet dispatched
	seen int          // bytes at the start of buf in which no message ends
	want int          // as long as buf is shorter, no message ends in it
	rare *rareOfInbox // nil: never needed
}

// A rareOfInbox is what most inboxes never need.
type rareOfInbox struct {
	space  chan struct{} // not nil: a follower waits; closed when there is space
	overCh chan struct{} // not nil: a goroutine waits; closed by setOver
	look   *lookahead    // not nil: the leader has waited; told when more has come
	total  int           // bytes that have come since this was made: offsets count from there
	cuts   []int         // where in buf a socket was lost; what was incomplete there stays so
	cause  error         // what the transport said of its end
}

// rarely returns what is rare, to be changed. in.mu is held.
func (in *inbox) rarely() *rareOfInbox {
	if in.rare == nil {
		in.rare = &rareOfInbox{}
	}
	return in.rare
}

// accept takes p into the inbox, once there is space. If leads is true the
// caller leads, and begins with data; else there is nothing to do now, or the
// present leader does it. If lost is true the connection ended before there was
// space.
func (c *connection) accept(p []byte, isReader bool) (data []byte, leads, lost bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.led && len(in.buf)+in.held >= receiveBuffer && !in.stopped {
		rare := in.rarely()
		if rare.space == nil {
			rare.space = make(chan struct{})
		}
		if !c.awaitSpace(rare.space) {
			return nil, false, true
		}
	}
	if in.rare != nil {
		in.rare.total += len(p)
	}
	switch {
	case in.stopped:
		return nil, false, false
	case in.led:
		in.buf = append(in.buf, p...)
		return nil, false, false
	case len(in.buf) > 0 || !isReader:
		in.buf = append(in.buf, p...)
		if c.incomplete(in.buf) {
			return nil, false, false
		}
		if in.led = true; !isReader {
			return nil, true, false // it is in the inbox
		}
		p, in.buf = in.buf, nil
	}
	in.led = true
	return p, true, false
}

// awaitSpace waits, without the lock of the inbox, until space is closed. It
// reports false if the input ended first.
func (c *connection) awaitSpace(space <-chan struct{}) bool {
	c.in.mu.Unlock()
	defer c.in.mu.Lock()
	c.bytes.Uncork() // what others sent meanwhile must not wait with this goroutine
	c.bytes.BeforeWait()
	select {
	case <-space:
		return true
	case <-c.bytes.Done():
		return false
	}
}

// more returns what the leader goes on with. If that is nothing, nobody leads
// any more, and never will if stopped is set; left is then what is left over.
func (c *connection) more(rest []byte) (data, left []byte, stopped bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	data, left = c.takeWhole(rest)
	in.held = len(data)
	switch {
	case in.over.Load():
		in.stopped = true
		in.buf, in.held = nil, 0
	case len(data) > 0:
	default:
		in.buf = left
		in.stopped = in.ended
		in.led = false
		if in.rare != nil {
			in.rare.look = nil
		}
	}
	in.wake()
	return data, left, in.stopped
}

// next decodes one message. The decoder is shown no more bytes than one message
// may have; if there is no whole message among them, the message is too long.
func (c *connection) next(decoder *protocol.Decoder, data []byte) (protocol.Message, []byte, error) {
	limit := c.hub.opts.MaximumReceiveMessageSize
	if limit == math.MaxInt || len(data) <= limit {
		return c.decode(decoder, data)
	}
	m, rest, err := c.decode(decoder, data[:limit:limit])
	if errors.Is(err, protocol.ErrIncomplete) {
		return nil, nil, errMessageSize(limit)
	}
	if err != nil {
		return nil, nil, err
	}
	return m, data[limit-len(rest):], nil
}

func errMessageSize(limit int) error {
	return &protocol.Error{Type: "InvalidDataException",
		Text: fmt.Sprintf("The maximum message size of %dB was exceeded. The message size can be configured in AddHubOptions.", limit)}
}

func (c *connection) decode(decoder *protocol.Decoder, data []byte) (protocol.Message, []byte, error) {
	decoder.Reset(decoding(c.codec)) // it may have served another connection
	return decoder.Next(data)
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
	n := len(in.buf)
	if rare := in.rare; rare != nil {
		for len(rare.cuts) > 0 && rare.cuts[0] == 0 {
			rest, rare.cuts = nil, rare.cuts[1:]
			in.seen, in.want = 0, 0
		}
		if len(rare.cuts) > 0 {
			n = rare.cuts[0]
		}
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
	in.moveCuts(-n)
	return data, nil
}

// ownMemory returns rest, the undispatched end of so many bytes, in memory that
// the inbox may keep and append to. Borrowed memory, which is the transport's or
// the end of something larger, is left alone, and so is memory of which most
// has been dispatched.
func ownMemory(rest []byte, of int, borrowed bool) []byte {
	if borrowed || len(rest) < of/2 {
		return bytes.Clone(rest)
	}
	return rest
}

// putBack puts what was not dispatched in front of what has come since.
func (in *inbox) putBack(rest []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.buf = slices.Concat(rest, in.buf)
	in.moveCuts(len(rest))
}

// moveCuts is called when the bytes of buf have moved by n.
func (in *inbox) moveCuts(n int) {
	if in.rare == nil {
		return
	}
	for i := range in.rare.cuts {
		in.rare.cuts[i] += n
	}
}

// cut forgets the message that a lost socket has left incomplete.
func (in *inbox) cut() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.led {
		rare := in.rarely()
		rare.cuts = append(rare.cuts, len(in.buf)) // the leader processes it
	} else {
		in.buf, in.seen, in.want = nil, 0, 0
	}
}

// lookahead returns what looks through what waits, or nil.
func (in *inbox) lookahead() *lookahead {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.rare == nil {
		return nil
	}
	return in.rare.look
}

// lookaheadOf is lookahead, but makes one for c, whose inbox this is: when its
// leader first waits. It is forgotten when nobody leads.
func (in *inbox) lookaheadOf(c *connection) *lookahead {
	in.mu.Lock()
	defer in.mu.Unlock()
	rare := in.rarely()
	if rare.look == nil {
		rare.look = newLookahead(c)
	}
	return rare.look
}

// offset is that of the first byte that the leader has not taken.
func (in *inbox) offset() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.rarely().total - len(in.buf)
}

// wake lets a follower that waits for space go on.
func (in *inbox) wake() {
	rare := in.rare
	if rare != nil && rare.space != nil && (!in.led || len(in.buf)+in.held < receiveBuffer/2 || in.stopped) {
		close(rare.space)
		rare.space = nil
	}
}

// hold notes that the leader has n bytes left while it waits.
func (in *inbox) hold(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = n
	in.wake()
}

// isLed reports whether a goroutine leads.
func (in *inbox) isLed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.led
}

// end notes that nothing more comes, and why. done says that nobody leads, and
// nobody will; partial that a message is incomplete.
func (in *inbox) end(cause error) (led, done, partial bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
	if cause != nil {
		in.rarely().cause = cause
	}
	if done = !in.led && !in.stopped; done {
		in.stopped = true
	}
	in.wake()
	return in.led, done, len(in.buf) > 0
}

// endCause is what end was given, or nil.
func (in *inbox) endCause() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.rare == nil {
		return nil
	}
	return in.rare.cause
}

// stop drops what has come, unless a goroutine leads. It reports whether that
// has ended the input.
func (in *inbox) stop() (done bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.led || in.stopped {
		return false
	}
	in.drop()
	return true
}

// crash drops what has come, even if a goroutine leads.
func (in *inbox) crash() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drop()
}

func (in *inbox) drop() {
	in.stopped = true
	in.buf, in.held = nil, 0
	in.wake()
}

// appendFrom appends what is in the inbox from an offset on, up to where a socket
// was lost.
func (in *inbox) appendFrom(offset int, buf []byte) []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	end := len(in.buf)
	if in.rare != nil && len(in.rare.cuts) > 0 {
		end = in.rare.cuts[0]
	}
	from := offset - (in.rarely().total - len(in.buf))
	if end <= from {
		return buf
	}
	return append(buf, in.buf[from:end]...)
}

// setOver ends what the leader waits for: what has not begun never will.
func (in *inbox) setOver() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over.Swap(true) && in.rare != nil && in.rare.overCh != nil {
		close(in.rare.overCh)
	}
}

// whenOver returns a channel that is closed by setOver. It is made when a
// goroutine waits for it: on most connections none ever does.
func (in *inbox) whenOver() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	rare := in.rarely()
	if rare.overCh == nil {
		rare.overCh = make(chan struct{})
		if in.over.Load() {
			close(rare.overCh)
		}
	}
	return rare.overCh
}
