package hubclient

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// ackInterval is how often a client says how much it has received.
const ackInterval = time.Second

// A replay is what stateful reconnect needs: the messages that the server may
// not have, and the number of the last one that has come.
//
// Source: docs/reference/hub-protocol.md, section 5
type replay struct {
	writing sync.Mutex // numbers go out in their order; taken before mu

	mu       sync.Mutex
	sent     [][]byte // not acknowledged
	before   int64    // how many have been acknowledged
	next     int64    // the number of the next message less one
	received int64    // the number of the last message
	lastAck  int64    // the number of the last Ack that was sent
}

// counts reports whether a message has a number.
func counts(m protocol.Message) bool {
	switch m.(type) {
	case *protocol.Invocation, *protocol.StreamInvocation, *protocol.StreamItem, *protocol.Completion, *protocol.CancelInvocation:
		return true
	}
	return false
}

// fresh reports whether m has not been received before.
func (r *replay) fresh(m protocol.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := m.(*protocol.Sequence); ok {
		r.next = s.SequenceID - 1
	}
	if !counts(m) {
		return true
	}
	if r.next++; r.next <= r.received {
		return false
	}
	r.received = r.next
	return true
}

// write sends a frame with a number and keeps it. One that is not sent is sent
// by resume.
func (r *replay) write(conn func() *Conn, frame []byte) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	r.sent = append(r.sent, frame)
	r.mu.Unlock()
	_ = conn().Write(frame) // the reader sees a connection that is lost
}

// acked forgets what the server has, up to a number.
func (r *replay) acked(number int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := number - r.before; n > 0 && n <= int64(len(r.sent)) {
		r.sent, r.before = r.sent[n:], number
	}
}

// due returns the number to acknowledge, if least messages have come since.
func (r *replay) due(least int64) (number int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.received-r.lastAck < least {
		return 0, false
	}
	r.lastAck = r.received
	return r.lastAck, true
}

func (c *Client) acknowledge() {
	if number, ok := c.stateful.due(1); ok {
		_ = c.Write(&protocol.Ack{SequenceID: number}) // the reader sees a connection that is lost
	}
}

// Resume goes on with a connection whose transport is lost, over a new one. It
// cuts one that is not. ctx bounds it.
func (c *Client) Resume(ctx context.Context) error {
	if c.stateful == nil {
		return errors.New("hubclient: the connection is not a stateful one")
	}
	c.mu.Lock()
	old, reading := c.conn, c.reading
	c.mu.Unlock()
	_ = old.Close() // it may not be lost yet; the replay covers what is on its way
	<-reading       // one goroutine reads at a time, so that messages are counted in their order
	select {
	case <-c.done:
		return ErrClosed
	default:
	}
	conn, err := old.Reopen(ctx)
	if err != nil {
		return err
	}
	if err := c.stateful.resume(conn, c.codec, func() { c.startReading(conn, nil) }); err != nil {
		return errors.Join(err, conn.Close())
	}
	return nil
}

// resume sends again what the server may not have. started, which begins to
// read conn, is called before anything is written, so that the server's
// messages are taken while the server takes these.
func (r *replay) resume(conn *Conn, codec protocol.Codec, started func()) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	started()
	r.mu.Lock()
	frames, err := codec.Append(nil, &protocol.Sequence{SequenceID: r.before + 1})
	for _, frame := range r.sent {
		frames = append(frames, frame...)
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return conn.Write(frames)
}
