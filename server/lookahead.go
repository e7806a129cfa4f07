package server

import (
	"bytes"
	"errors"

	"github.com/hubwire/hubwire/protocol"
)

// While the leader of a connection waits, for a permit or for space in an upload
// stream, nothing that came later is dispatched. What it waits for may be a call
// that only a CancelInvocation ends; ASP.NET Core hangs then. So the messages that
// wait are looked through for the cancellation of calls that run. They are
// dispatched all the same when it is their turn; a cancellation that has had its
// effect has none then.

// A lookahead reads the messages that wait in an inbox, each once.
type lookahead struct {
	conn  *connection
	buf   []byte          // copied, and not yet decoded
	seen  int             // bytes of buf in which no message ends
	want  int             // as long as buf is shorter, no message ends in it
	at    int             // how much of the inbox was copied
	later map[string]bool // ids of calls that have not begun: a cancellation after one is for it
}

// lookAhead looks through what waits, and what comes meanwhile, until done is
// closed. pending is what the leader has taken from the inbox and not yet
// dispatched; inv, if not nil, is what it waits with.
func (c *connection) lookAhead(pending []byte, inv *invocation, done <-chan struct{}) {
	l := lookahead{conn: c, buf: bytes.Clone(pending), later: map[string]bool{}}
	if inv != nil {
		l.later[inv.id] = true
	}
	news := make(chan struct{}, 1)
	c.in.listen(news)
	defer c.in.listen(nil)
	for l.more() {
		select {
		case <-news:
		case <-done:
			return
		}
	}
	<-done
}

// more reads what has come. It reports false if nothing more can be read.
func (l *lookahead) more() bool {
	// What a lost socket has left incomplete is sent again: nothing can be read
	// across such a cut before the leader has come to it.
	var cut bool
	l.buf, l.at, cut = l.conn.in.appendFrom(l.at, l.buf)
	for l.whole() {
		m, rest, err := l.conn.codec.Next(l.buf)
		if errors.Is(err, protocol.ErrIncomplete) {
			l.want = len(l.buf) + 1
			break
		}
		if err != nil {
			return false // the leader will say so
		}
		l.buf, l.seen, l.want = rest, 0, 0
		l.look(m)
	}
	return !cut
}

// whole reports whether buf begins with a whole message, or with something that
// is none. It looks at each byte once, however small the pieces are.
func (l *lookahead) whole() bool {
	if len(l.buf) == 0 || len(l.buf) < l.want {
		return false
	}
	missing, _ := protocol.Missing(l.conn.codec, l.buf, l.seen)
	if missing <= 0 {
		return true
	}
	l.seen, l.want = len(l.buf), len(l.buf)+missing
	return false
}

func (l *lookahead) look(m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Invocation:
		l.later[m.InvocationID] = true
	case *protocol.StreamInvocation:
		l.later[m.InvocationID] = true
	case *protocol.CancelInvocation:
		if !l.later[m.InvocationID] {
			l.conn.cancelCall(m.InvocationID)
		}
	}
}

// waitLooking calls wait, and meanwhile looks ahead if there are calls that a
// client could cancel.
func (c *connection) waitLooking(pending []byte, inv *invocation, wait func()) {
	c.mu.Lock()
	running := len(c.running)
	c.mu.Unlock()
	if _, known := protocol.Missing(c.codec, nil, 0); running == 0 || !known {
		wait()
		return
	}
	done, looked := make(chan struct{}), make(chan struct{})
	c.hub.running.Go(func() {
		defer close(looked)
		defer c.survive()
		c.lookAhead(pending, inv, done)
	})
	wait()
	close(done)
	<-looked
}
