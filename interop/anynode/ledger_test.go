package anynode

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A ledger accounts for the calls of one connection, which are numbered from 1, and
// for what the server has answered. It is safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	calls   []call // by number; the first is none
	last    int    // the largest number that has come back
	waiting int    // calls whose POST was answered 200 and that have not come back
	moved   chan struct{}

	handshake bool     // its answer has come
	leaving   bool     // the client ends the connection: the server may say Close
	poll      string   // the last poll that brought something but pings
	by        *process // which has passed it on

	late, repeated int
}

// A call is what became of one.
type call struct {
	status byte // of its POST
	back   bool // the server has answered it
}

// States of the POST of a call.
const (
	underway = byte(iota)
	accepted // 200
	failed   // broken or 503: it may be executed once, or not
)

func newLedger() *ledger { return &ledger{calls: make([]call, 1), moved: make(chan struct{}, 1)} }

// next returns the number of the next call.
func (l *ledger) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, call{})
	return len(l.calls) - 1
}

// posted is told what became of the POST of call n.
func (l *ledger) posted(n int, status byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[n].status = status
	if status == accepted && !l.calls[n].back {
		l.waiting++
	}
}

// leave is told that the client is about to end the connection.
func (l *ledger) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
}

// outstanding is how many calls that were answered 200 have not come back.
func (l *ledger) outstanding() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// polled takes the body of a poll that by has passed on. It may begin with all of the
// one before, if unconfirmed says that who passed that on may not have told the owner.
func (l *ledger) polled(body string, by *process, unconfirmed func(*process) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := body
	if l.poll != "" && strings.HasPrefix(body, l.poll) {
		if !unconfirmed(l.by) {
			return fmt.Errorf("came twice, though who passed it on lives: %q", l.poll)
		}
		fresh = body[len(l.poll):]
		l.repeated++
	}
	if strings.ReplaceAll(body, ping, "") != "" {
		l.poll, l.by = body, by
	}
	return l.takeLocked(fresh)
}

// streamed takes one or more messages of an event stream.
func (l *ledger) streamed(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.takeLocked(text)
}

const ping = "{\"type\":6}\x1e"

func (l *ledger) takeLocked(text string) error {
	defer func() {
		select {
		case l.moved <- struct{}{}:
		default:
		}
	}()
	for text != "" {
		record, rest, whole := strings.Cut(text, "\x1e")
		if !whole {
			return fmt.Errorf("a message without its end: %q", text)
		}
		text = rest
		var m struct {
			Type         int
			InvocationID string
			Result       *int
		}
		if err := json.Unmarshal([]byte(record), &m); err != nil {
			return fmt.Errorf("message %q: %w", record, err)
		}
		n, err := strconv.Atoi(m.InvocationID)
		switch {
		case m.Type == 6, m.Type == 7 && l.leaving:
		case record == "{}" && !l.handshake:
			l.handshake = true
		case m.Type != 3 || err != nil || m.Result == nil || *m.Result != n:
			return fmt.Errorf("unexpected message %q", record)
		default:
			if err := l.backLocked(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// backLocked is told that call n has come back.
func (l *ledger) backLocked(n int) error {
	if n < 1 || n >= len(l.calls) {
		return fmt.Errorf("an answer of call %d, which was not sent", n)
	}
	c := &l.calls[n]
	switch {
	case c.back:
		return fmt.Errorf("the answer of call %d has come twice", n)
	case n < l.last && c.status != failed:
		return fmt.Errorf("the answer of call %d has come after that of %d", n, l.last)
	case n < l.last: // its POST broke, and was on its way for long
		l.late++
	}
	for before := l.last + 1; before < n; before++ {
		if b := l.calls[before]; b.status == accepted && !b.back {
			return fmt.Errorf("the answer of call %d has come, and not that of %d, whose POST was answered 200", n, before)
		}
	}
	c.back = true
	l.last = max(l.last, n)
	if c.status == accepted {
		l.waiting--
	}
	return nil
}

// executed counts the calls that have come back though their POST has failed, and
// those whose POST has failed.
func (l *ledger) executed() (back, all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.status == failed {
			all++
			if c.back {
				back++
			}
		}
	}
	return back, all
}
