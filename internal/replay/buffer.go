// Package replay is one side of stateful reconnect: it keeps what was sent to a
// client until the client has acknowledged it, and counts what comes from it.
// Source: docs/reference/hub-protocol.md, section 5.
package replay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// statefulWait is how long a writer waits for the client to acknowledge what it
// was sent, before the connection ends.
// Source: docs/reference/hub-protocol.md, section 5.4.
const statefulWait = 5 * time.Second

// Sizes of what is kept and sent again.
const (
	mostSpare   = 1 << 10 // frames that an empty list of kept ones has space for
	resendFrame = 1 << 20 // bytes that are sent again in one frame
)

// A Buffer is what a connection with stateful reconnect has in addition: it
// keeps what it has sent until the client has acknowledged it, and sends it
// again over the next socket. Receive is called by one goroutine at a time, and
// Tick by one; all else is safe for concurrent use.
type Buffer struct {
	conn   *transport.Conn
	encode Encoder
	binary bool
	limit  int // bytes kept before a writer that can wait does so

	// The receiving side is owned by who calls Receive; received is read by Tick.
	expected int64        // number of the next counted message
	received atomic.Int64 // highest number seen
	acked    int64        // highest number acknowledged; owned by Tick

	mu    sync.Mutex        // also keeps what is queued at conn in the order of unacked
	sent  int64             // number of the last counted message
	kept  []transport.Frame // kept[head:] is not acknowledged
	head  int
	bytes int           // in kept
	space chan struct{} // not nil: a goroutine waits for an acknowledgement
	lost  bool          // there is no socket: what is sent is only kept
	ended bool          // nothing is kept any more: it was dropped
	held  int           // of kept: those that the queue limit counts

	// For the two ways to be slow; see Tick.
	mark   int64     // number of the message that is to be acknowledged
	markAt time.Time // since when; zero: no more than limit bytes are kept
	quiet  int       // ticks without an Ack
}

// An Encoder makes a frame of an Ack or a Sequence.
type Encoder func(protocol.Message) (transport.Frame, error)

// New returns the buffer of a connection whose client has shaken hands. limit is
// how many bytes are kept before a writer that can wait does so; binary is that of
// the client's codec.
func New(conn *transport.Conn, encode Encoder, binary bool, limit int) *Buffer {
	return &Buffer{conn: conn, encode: encode, binary: binary, limit: limit, expected: 1}
}

// Send keeps a counted message and queues it; it never waits. What cannot be
// queued is not kept: nothing follows it.
func (r *Buffer) Send(f transport.Frame) error {
	err := r.Queue(f)
	r.conn.Relieve()
	return err
}

// Queue is Send for a caller that holds a lock, and calls Conn.Relieve later.
func (r *Buffer) Queue(f transport.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return transport.ErrClosed
	}
	if !r.lost {
		if err := r.conn.Queue(f); err != nil {
			return err
		}
	}
	r.keep(f)
	return nil
}

// WouldWait reports whether SendWait would have to wait now.
func (r *Buffer) WouldWait() bool {
	if r.conn.WouldWait() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes > r.limit
}

// A typedError is an error of ASP.NET Core.
type typedError struct{ name, text string }

func (e *typedError) Error() string     { return e.text }
func (e *typedError) ErrorType() string { return e.name }

// ErrNoAck says that the client has acknowledged nothing for too long.
var ErrNoAck error = &typedError{"OperationCanceledException", "The operation was canceled."}

// SendWait is Send that first waits until no more than the limit is kept, until ctx
// is done or the connection ends, or else returns ErrNoAck after 5 s.
func (r *Buffer) SendWait(ctx context.Context, f transport.Frame) error {
	if err := r.waitForSpace(ctx); err != nil {
		return err
	}
	return r.Send(f)
}

// waitForSpace waits until no more than limit bytes are kept.
func (r *Buffer) waitForSpace(ctx context.Context) error {
	timeout := time.NewTimer(statefulWait)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		switch {
		case r.ended:
			r.mu.Unlock()
			return transport.ErrClosed
		case r.bytes <= r.limit:
			r.mu.Unlock()
			return nil
		}
		space := r.awaitLocked()
		r.mu.Unlock()
		select {
		case <-space:
		case <-timeout.C:
			return ErrNoAck
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitLocked returns a channel that is closed when there may be space.
func (r *Buffer) awaitLocked() <-chan struct{} {
	if r.space == nil {
		r.space = make(chan struct{})
	}
	return r.space
}

func (r *Buffer) wakeLocked() {
	if r.space != nil {
		close(r.space)
		r.space = nil
	}
}

// mostQuiet is after how many ticks without an Ack no sender waits for the
// client any more. One comes about once a second.
const mostQuiet = 3

// WaitForClient waits until the client has caught up: no more than the limit is kept
// then. It waits for a client that acknowledges something now and then. Its error is
// that of ctx.
func (r *Buffer) WaitForClient(ctx context.Context) error {
	if err := r.conn.WaitForClient(ctx); err != nil {
		return err
	}
	for {
		r.mu.Lock()
		if r.ended || r.lost || r.quiet > mostQuiet || r.bytes <= r.limit {
			r.mu.Unlock()
			return nil
		}
		space := r.awaitLocked()
		r.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Drop forgets what is kept, when the client can no longer come back for it.
func (r *Buffer) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLocked(len(r.kept) - r.head)
	r.ended = true
	r.wakeLocked()
}

// forgetLocked forgets the first n messages that are kept.
func (r *Buffer) forgetLocked(n int) {
	gone := r.kept[r.head : r.head+n]
	for _, f := range gone {
		r.bytes -= f.Len()
	}
	if r.held > 0 {
		r.held -= r.conn.Release(gone)
	}
	clear(gone)
	if r.head += n; r.head == len(r.kept) {
		r.kept, r.head = r.kept[:0], 0
		if cap(r.kept) > mostSpare { // one burst must not keep so much
			r.kept = nil
		}
	}
}

// ack forgets what the client has received. Numbers never sent are clamped, and
// those of long ago mean nothing.
func (r *Buffer) ack(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.firstKept()
	if id < first { // and no difference below can overflow
		return
	}
	r.quiet = 0
	r.forgetLocked(int(min(id, r.sent) - first + 1))
	if r.bytes <= r.limit {
		r.wakeLocked()
	}
}

// firstKept is the number of the first message that is not acknowledged, or of
// the next one where there is none. r.mu is held.
func (r *Buffer) firstKept() int64 { return r.sent - int64(len(r.kept)-r.head) + 1 }

// keep adds f to what is kept. Where it would have to grow it first makes use of
// what was acknowledged, if that is the larger part: each ack costs the same,
// however much is kept. r.mu is held.
func (r *Buffer) keep(f transport.Frame) {
	if len(r.kept) == cap(r.kept) && r.head > len(r.kept)/2 {
		n := copy(r.kept, r.kept[r.head:])
		clear(r.kept[n:])
		r.kept, r.head = r.kept[:n], 0
	}
	r.sent++
	if r.bytes += f.Len(); r.bytes > transport.FreeBytes {
		f = r.conn.Hold(f)
		r.held++
	}
	r.kept = append(r.kept, f)
}

// Lose is called when the socket is gone: until Resume nothing is queued.
func (r *Buffer) Lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = true
	r.wakeLocked()
	r.markLocked(time.Now())
}

// markLocked says from when on the client has to catch up with what is kept now.
func (r *Buffer) markLocked(now time.Time) {
	r.mark, r.markAt = r.sent, now
	r.conn.Behind(now)
}

// Resume is called when another socket has come: it says where the numbers go
// on and sends again what was not acknowledged, together in one frame as
// ASP.NET Core does. Only what is longer than resendFrame takes several, of
// whole messages. Source: docs/reference/hub-protocol.md, section 5.5.
func (r *Buffer) Resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = false
	r.conn.Resume() // nothing else comes between: every counted send takes r.mu
	first, err := r.encode(&protocol.Sequence{SequenceID: r.firstKept()})
	if err != nil {
		return err
	}
	kept := append([]transport.Frame{first}, r.kept[r.head:]...)
	for len(kept) > 0 {
		n, size := 1, kept[0].Len()
		for n < len(kept) && size+kept[n].Len() <= resendFrame {
			size += kept[n].Len()
			n++
		}
		if err := r.conn.Queue(joined(kept[:n], size, r.binary)); err != nil {
			return err
		}
		kept = kept[n:]
	}
	return nil
}

// joined makes one frame of several, which have size bytes. It is no frame that is kept,
// which may be counted by the queue limit: a queue that is not behind does not count what
// it takes, and would end the counting of what is still kept when it has written it. Only
// one that is longer than FreeBytes is left as it is, as every queue counts that itself.
func joined(frames []transport.Frame, size int, binary bool) transport.Frame {
	if len(frames) == 1 && size > transport.FreeBytes {
		return frames[0]
	}
	buf := transport.NewFrameBuffer(size)
	for _, f := range frames {
		buf = append(buf, f.Payload()...)
	}
	return transport.BuildFrame(buf, binary)
}

// Tick acknowledges what has come since the last time. It reports true for a
// client that is too slow: more than limit bytes are kept, and what was sent
// timeout ago is not acknowledged.
func (r *Buffer) Tick(now time.Time, timeout time.Duration) (tooSlow bool) {
	received := r.received.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if received != r.acked && !r.lost {
		r.acked = received
		_ = r.control(&protocol.Ack{SequenceID: received}) // the next one says it again
	}
	if r.quiet++; r.quiet > mostQuiet {
		r.wakeLocked()
	}
	switch {
	case r.bytes <= r.limit:
		if !r.markAt.IsZero() && !r.lost {
			r.markAt = time.Time{}
			r.conn.Behind(r.markAt)
		}
	case r.markAt.IsZero() || r.firstKept() > r.mark:
		r.markLocked(now)
	default:
		return now.Sub(r.markAt) > timeout
	}
	return false
}

// control queues a message that is not counted, and too short to make too much
// for the QueueLimit. r.mu is held.
func (r *Buffer) control(m protocol.Message) error {
	f, err := r.encode(m)
	if err != nil {
		return err
	}
	return r.conn.Queue(f)
}

// ErrSequence is returned for a Sequence of messages that have never come.
var ErrSequence error = &typedError{"InvalidOperationException", "Sequence ID greater than amount of messages we've received."}

// Counts reports whether messages of the type of m have numbers.
func Counts(m protocol.Message) bool {
	switch m.(type) {
	case *protocol.Ack, *protocol.Sequence, *protocol.Ping, *protocol.Close, *protocol.Unknown:
		return false
	}
	return true
}

// Receive counts a message and reports whether it is to be dispatched: Ack,
// Sequence and a message that came twice are not.
func (r *Buffer) Receive(m protocol.Message) (dispatch bool, err error) {
	switch m := m.(type) {
	case *protocol.Ack:
		r.ack(m.SequenceID)
		return false, nil
	case *protocol.Sequence:
		if m.SequenceID > r.expected {
			return false, ErrSequence
		}
		r.expected = m.SequenceID
		return false, nil
	}
	if !Counts(m) {
		return true, nil
	}
	id := r.expected
	r.expected++
	if id <= r.received.Load() {
		return false, nil
	}
	r.received.Store(id)
	return true, nil
}
