package server

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// While the leader of a connection waits, for a permit or for space in an upload
// stream, nothing that came later is dispatched. What it waits for may be a call
// that only a CancelInvocation ends; ASP.NET Core hangs then. So the messages that
// wait are looked through for the cancellation of calls that run. They are
// dispatched all the same when it is their turn; a cancellation that has had its
// effect has none then.

// lookAfter is how long a leader waits before anybody looks: an upload that flows
// makes it wait for a moment again and again.
const lookAfter = time.Millisecond

// A lookahead reads the messages that wait for a leader, each once, however often
// it waits. It is read on by the goroutine of its timer, and then by each
// follower that has put more into the inbox. Offsets are those of the inbox.
type lookahead struct {
	conn  *connection
	timer *time.Timer

	mu      sync.Mutex  // taken before that of the inbox
	waits   bool        // the leader does
	looking bool        // it has for lookAfter
	pending []byte      // what the leader has taken from the inbox and not yet dispatched
	begun   int         // offset of pending: calls before it have begun
	with    *invocation // that the leader waits with, which has not; may be nil

	buf     []byte // copied, and not yet decoded
	next    int    // offset of buf
	seen    int    // bytes of buf in which no message ends
	want    int    // as long as buf is shorter, no message ends in it
	broken  bool   // buf begins with what is no message
	decoder protocol.Decoder
	later   map[string]int // offset of the last call with that id: a cancellation after it is for it
	kept    int            // of later, when it was last cleared of calls that have begun
}

// waitLooking calls wait, and meanwhile looks ahead if there are calls that a
// client could cancel. pending must not change until wait returns; inv, if not
// nil, is what waits. Only the leader may call it.
func (c *connection) waitLooking(pending []byte, inv *invocation, wait func()) {
	c.mu.Lock()
	running := len(c.running)
	c.mu.Unlock()
	if _, known := protocol.Missing(c.codec, nil, 0); running == 0 || !known {
		wait()
		return
	}
	l := c.in.lookaheadOf(c)
	l.begin(pending, inv)
	defer l.end()
	wait()
}

func newLookahead(c *connection) *lookahead {
	l := &lookahead{conn: c, next: math.MinInt, later: map[string]int{}}
	l.decoder.Reset(decoding(c.codec))
	l.timer = time.AfterFunc(time.Hour, l.start)
	l.timer.Stop()
	return l
}

func (l *lookahead) begin(pending []byte, with *invocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits, l.pending, l.with = true, pending, with
	l.begun = l.conn.in.offset() - len(pending)
	if l.next < l.begun { // the leader has come further
		l.next, l.buf, l.seen, l.want, l.broken = l.begun, l.buf[:0], 0, 0, false
	}
	l.timer.Reset(lookAfter)
}

// end returns when nobody looks any more.
func (l *lookahead) end() {
	l.timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits, l.looking, l.pending, l.with = false, false, nil, nil
}

// start is called by the timer.
func (l *lookahead) start() {
	defer l.conn.survive()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looking = l.waits; l.looking {
		l.more()
	}
}

// news is called by a follower that has put more into the inbox.
func (l *lookahead) news() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looking {
		l.more()
	}
}

// more reads what has come. l.mu is held.
func (l *lookahead) more() {
	if l.broken {
		return // the leader will say so
	}
	if have := l.next + len(l.buf) - l.begun; have < len(l.pending) {
		l.buf = append(l.buf, l.pending[have:]...)
	}
	// What a lost socket has left incomplete is sent again: nothing can be read
	// across such a cut before the leader has come to it.
	l.buf = l.conn.in.appendFrom(l.next+len(l.buf), l.buf)
	for rest := l.buf; ; {
		if !l.whole(rest) {
			l.buf = append(l.buf[:0], rest...)
			return
		}
		m, after, err := l.decoder.Next(rest)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			l.want = len(rest) + 1
			continue
		case err != nil:
			l.broken, l.buf = true, nil
			return
		}
		l.next += len(rest) - len(after)
		rest, l.seen, l.want = after, 0, 0
		l.look(m)
	}
}

// whole reports whether b, which is to become buf, begins with a whole message, or
// with something that is none. It looks at each byte once, however small the
// pieces are.
func (l *lookahead) whole(b []byte) bool {
	if len(b) == 0 || len(b) < l.want {
		return false
	}
	missing, _ := protocol.Missing(l.conn.codec, b, l.seen)
	if missing <= 0 {
		return true
	}
	l.seen, l.want = len(b), len(b)+missing
	return false
}

func (l *lookahead) look(m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Invocation:
		l.note(m.InvocationID)
	case *protocol.StreamInvocation:
		l.note(m.InvocationID)
	case *protocol.CancelInvocation:
		if !l.isLater(m.InvocationID) {
			l.conn.cancelCall(m.InvocationID)
		}
	}
}

// note remembers a call that has not begun. Those that have are forgotten once
// there are as many of them as of others, so that no wait costs a look at all.
func (l *lookahead) note(id string) {
	if id == "" {
		return
	}
	l.later[id] = l.next
	if len(l.later) < 2*l.kept+16 {
		return
	}
	for id, offset := range l.later {
		if offset <= l.begun {
			delete(l.later, id)
		}
	}
	l.kept = len(l.later)
}

// isLater reports whether a cancellation of id that was just read is for a call
// that has not begun.
func (l *lookahead) isLater(id string) bool {
	offset, known := l.later[id]
	return known && offset > l.begun || l.with != nil && l.with.id == id
}
