package server

import (
	"context"
	"sync"

	"github.com/hubwire/hubwire/internal/transport"
)

// A client that falls behind costs memory, and never time: sends queue what they
// send and go on. Three things bound that, and together they are the answer to
// "full":
//
//   - time: Options.SlowClientTimeout for what waits at the head of a queue, and
//     TransportSendTimeout for a client that takes nothing at all;
//   - the memory of the node: a QueueLimit;
//   - the senders' own will: a send that is Waiting is held back.
//
// What a client that was found too slow has received is a prefix of what was
// sent to it, and the Close message after it. A client that only wants the
// latest can be spared some of the sends instead: DropOldest.

// A SlowClientPolicy says what happens to a client that is too slow.
type SlowClientPolicy int

const (
	// CloseSlow closes the connection with a Close message that allows the
	// client to reconnect. OnDisconnected gets ErrTooSlow.
	CloseSlow SlowClientPolicy = iota

	// DropOldest drops the oldest sends that wait for the client, for one that
	// only wants the latest: prices, positions. Only whole messages of Send are
	// dropped, of this node or another; never answers, stream items, requests
	// to the client or pings, and nothing that is being written. It happens
	// when more than Options.DropOldestLimit wait for the client (down to half
	// of that), and instead of closing the connection. A client for which that
	// is not enough, and one that takes nothing at all, is closed all the same.
	//
	// Connections with stateful reconnect, whose messages are numbered, are
	// closed instead.
	DropOldest
)

// defaultQueueLimit is the QueueLimit of a hub without one, in bytes.
const defaultQueueLimit = 256 << 20

// A QueueLimit bounds the bytes that wait for clients that are behind, of one
// hub or of several that are given the same one. Bytes that wait for many
// clients, as those of a broadcast do, count once. Beyond the limit the
// connections that are furthest behind in time are treated as too slow (see
// SlowClientPolicy), one after the other, until it fits.
//
// The first 64 KiB that wait for a connection do not count, nor do the first
// 64 KiB that are kept for a stateful reconnect: a node of n connections may
// need n times that in addition. It is safe for concurrent use.
type QueueLimit struct{ limit *transport.Limit }

// NewQueueLimit returns a limit of so many bytes. Zero means 256 MiB,
// negative means no bound.
func NewQueueLimit(bytes int) *QueueLimit {
	return &QueueLimit{transport.NewLimit(int64(size(bytes, defaultQueueLimit)))}
}

// QueueStats is what a QueueLimit has seen.
type QueueStats struct {
	Bytes   int64  // that count now
	TooSlow uint64 // connections closed as too slow, for whatever reason
	Dropped uint64 // messages dropped for clients that want the latest only
	Limit   int64  // of Bytes; math.MaxInt64: none
}

// Stats returns what the limit has seen so far.
func (l *QueueLimit) Stats() QueueStats {
	return QueueStats{l.limit.Used(), l.limit.TooSlow(), l.limit.Dropped(), l.limit.Most()}
}

// QueueStats returns what the hub's QueueLimit has seen so far.
func (h *Hub) QueueStats() QueueStats { return h.opts.QueueLimit.Stats() }

// TooSlow implements transport.SlowApp.
func (a *hubApp) TooSlow() {
	c := (*connection)(a)
	if c.reliable != nil {
		c.reliable.Drop()
	}
	c.observeTooSlow()
	c.end(ending{cause: ErrTooSlow, allowReconnect: true})
}

// setSlowPolicy says what happens when the client is too slow.
func (c *connection) setSlowPolicy(p SlowClientPolicy) {
	most := 0
	if p == DropOldest && c.reliable == nil {
		most = c.hub.opts.DropOldestLimit
	}
	c.bytes.DropOldest(most)
}

// SetSlowClientPolicy says what happens when the caller's connection is too
// slow, in place of Options.SlowClients. OnConnected is a good place for it.
// CloseSlow and DropOldest are the only policies.
func (c *Call) SetSlowClientPolicy(p SlowClientPolicy) { c.inv.conn.setSlowPolicy(p) }

// A behind collects the receivers of one message that are behind.
type behind struct {
	mu    sync.Mutex
	conns []*connection
}

func (b *behind) add(c *connection) {
	b.mu.Lock()
	b.conns = append(b.conns, c)
	b.mu.Unlock()
}

func (b *behind) wait(ctx context.Context) error {
	b.mu.Lock()
	conns := b.conns
	b.mu.Unlock()
	for _, c := range conns {
		if err := c.queue().WaitForClient(ctx); err != nil {
			return err
		}
	}
	return nil
}

// IsWaiting reports whether the sender of m waits for receivers that are behind;
// see ClientProxy.Waiting.
func (m *Message) IsWaiting() bool { return m.behind != nil }

// WaitFor is for a LifetimeManager whose sends come back to this node as another
// message: the sender of original, if it waits, waits for those receivers of m
// that are behind. It must be called before m is given to a Receiver, and before
// the send of original returns.
func (m *Message) WaitFor(original *Message) { m.behind = original.behind }

// MustArrive marks m as a message that is not dropped for a client that wants
// the latest only (see DropOldest), though it was encoded elsewhere: a request
// for a client result. It must be called before m is given to a Receiver.
// Messages of NewMessage need no mark.
func (m *Message) MustArrive() { m.latest = false }
