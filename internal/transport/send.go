package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Send queues f after what is queued and never waits, however much that is. It
// reports ErrClosed after the end, and ErrTooSlow once the client was found too
// slow: nothing but the farewell follows then. Where f makes too much for the
// Limit, the clients that are furthest behind are found too slow before it
// returns: no lock may be held that SlowApp.TooSlow takes.
func (c *Conn) Send(f Frame) error {
	err := c.Queue(f)
	c.Relieve()
	return err
}

// Queue is Send for an App that holds a lock, and calls Relieve once it has
// released it. If it does not, the next Send at any connection does so.
func (c *Conn) Queue(f Frame) error {
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	push := c.putLocked(f)
	c.mu.Unlock()
	if push {
		c.shard.push(c)
	}
	return nil
}

// ErrWouldWait says that SendWait would have to wait.
var ErrWouldWait = errors.New("transport: too much is on its way to the client")

// SendCopy is Send for a frame of which the caller may use the memory again, if it has
// no more than CopyLimit bytes; see NewCopyBuffer. What waits for a client anyway is copied behind it, so
// that many answers cost no memory of their own; a test of server counts allocations.
// Where SendWait would have to wait nothing is queued, and the error is ErrWouldWait.
func (c *Conn) SendCopy(f Frame) error {
	limit := c.endpoint.opts.TransportMaxBufferSize
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	if limit > 0 && c.out.queued >= limit {
		c.mu.Unlock()
		return ErrWouldWait
	}
	push := false
	if c.http == nil && !c.asleep && !c.link.mute() && c.out.addCopy(f) {
		push = c.callWriterLocked()
	} else {
		push = c.putLocked(f.Copy())
	}
	c.mu.Unlock()
	if push {
		c.shard.push(c)
	}
	c.Relieve()
	return nil
}

// SendNow is Send that writes from the calling goroutine what can be written without
// waiting: it is for one that sends something to many connections, one after the
// other, now and then.
func (c *Conn) SendNow(f Frame) error {
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.putLocked(f) {
		c.out.dirty = false
		c.socket.writeNow()
	} else {
		c.mu.Unlock()
	}
	c.Relieve()
	return nil
}

// SendLast is Send for the farewell of an App, which a client that is too slow
// gets as well. It must be called once at most, right before Finish.
func (c *Conn) SendLast(f Frame) error {
	c.mu.Lock()
	if c.app.over() || c.link.over() {
		c.mu.Unlock()
		return ErrClosed
	}
	push := c.putLocked(f)
	c.mu.Unlock()
	if push {
		c.shard.push(c)
	}
	return nil
}

// SendWait is Send that first waits until fewer than TransportMaxBufferSize
// bytes are queued (once it waits, until fewer than half), ctx is done, or the
// connection ends.
func (c *Conn) SendWait(ctx context.Context, f Frame) error {
	limit := c.endpoint.opts.TransportMaxBufferSize
	for {
		c.mu.Lock()
		if err := c.refusalLocked(); err != nil {
			c.mu.Unlock()
			return err
		}
		if limit <= 0 || c.out.queued < limit {
			push := c.putLocked(f)
			c.mu.Unlock()
			if push {
				c.shard.push(c)
			}
			c.Relieve()
			return nil
		}
		limit = c.lowWater()
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// AwaitSpace waits as SendWait does, for an App that sends afterwards: others may
// have sent meanwhile. Its error is ErrClosed, ErrTooSlow or that of ctx.
func (c *Conn) AwaitSpace(ctx context.Context) error {
	limit := c.endpoint.opts.TransportMaxBufferSize
	for {
		c.mu.Lock()
		if err := c.refusalLocked(); err != nil || limit <= 0 || c.out.queued < limit {
			c.mu.Unlock()
			return err
		}
		limit = c.lowWater()
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// refusalLocked says why nothing can be sent; nil if it can.
func (c *Conn) refusalLocked() error {
	switch {
	case c.app == appRunning && !c.link.over(): // nearly always
		return nil
	case c.app.over() || c.link.over():
		return ErrClosed
	case c.app == appTooSlow:
		return ErrTooSlow
	}
	return nil
}

// putLocked queues f and reports whether the caller must put c on the shard's
// list, once it has unlocked c.mu.
func (c *Conn) putLocked(f Frame) (push bool) {
	switch {
	case c.link.mute():
		return false
	case c.virtual() != nil:
		c.putVirtualLocked(f)
		return false
	}
	if c.asleep && c.out.used { // for the second time: the memory of the outbox is to be kept
		c.wakeLocked()
	}
	if c.out.add(f) {
		c.behindLocked()
	}
	return c.callWriterLocked()
}

// callWriterLocked sees to it that what is queued is written. It reports whether
// the caller must put c on the shard's list.
func (c *Conn) callWriterLocked() (push bool) {
	switch {
	case c.out.corked || c.out.dirty:
		return false
	case c.socket == nil:
		c.wakeRequestLocked()
		return false
	case c.socket.writing:
		return false // the goroutine that writes looks again
	}
	c.out.dirty = true
	return true
}

// A shard writes for its share of an endpoint's sockets. Connections with
// something to write are on its list; its goroutine exists only while there are
// any. The first round after a quiet time starts at once; later ones wait a
// moment, so that more can be joined in one write.
type shard struct {
	list    atomic.Pointer[Conn] // linked by Conn.next, last in first
	running atomic.Bool
	parked  pollSet
	quiet   atomic.Pointer[chan struct{}] // not nil: wait was called; closed when the goroutine ends
	scratch scratch                       // owned by the goroutine, as turns
	turns   turns
	_       [64]byte // shards are written by different cores
}

// Between two rounds of a busy shard is a pause, of a quarter of what the first one
// took: what comes one after the other to many clients, as from a backplane, is written
// together, and whoever sends it has a processor meanwhile.
// (TestAPauseIsAsLongAsItsRoundAllows; docs/performance.md, the row of broadcasts with Redis.)
const (
	shortestPause = 100 * time.Microsecond
	longestPause  = 2 * time.Millisecond
)

// push puts c, which must have been marked dirty by the caller, on the list. The
// sender goes on; the shard's goroutine writes.
func (s *shard) push(c *Conn) {
	for {
		first := s.list.Load()
		c.next = first
		if !s.list.CompareAndSwap(first, c) {
			continue
		}
		if first == nil && !s.running.Load() && s.running.CompareAndSwap(false, true) {
			go s.run(nil)
		}
		return
	}
}

// run writes for c and those that follow it, and until the list is empty.
func (s *shard) run(c *Conn) {
	over := false
	defer func() {
		if !over { // an App or a log of the user's has called runtime.Goexit: another goroutine writes
			go s.run(c)
		}
	}()
	for {
		if c == nil {
			c = s.list.Swap(nil)
		}
		if c == nil {
			s.running.Store(false)
			if s.list.Load() == nil || !s.running.CompareAndSwap(false, true) {
				s.tellQuiet()
				over = true
				return
			}
			continue
		}
		began := time.Now()
		for c != nil {
			now := c
			c, now.next = c.next, nil // once flush has cleared dirty, the goroutine that sets it again owns next
			now.flush(&s.scratch)
			s.turns.taken(1, turnWrites)
		}
		if s.list.Load() != nil {
			time.Sleep(min(max(time.Since(began)/4, shortestPause), longestPause))
		}
	}
}

func (s *shard) tellQuiet() {
	if s.quiet.Load() == nil { // nearly always
		return
	}
	if quiet := s.quiet.Swap(nil); quiet != nil {
		close(*quiet)
	}
}

// wait returns when no goroutine writes for the shard. That is soon, once its
// connections have ended: the goroutine waits for no client.
func (s *shard) wait() {
	for s.running.Load() {
		fresh := make(chan struct{})
		s.quiet.CompareAndSwap(nil, &fresh)
		quiet := s.quiet.Load()
		if quiet != nil && s.running.Load() {
			<-*quiet
		}
	}
}

// flush writes for the shard, with its scratch.
func (c *Conn) flush(memory *scratch) {
	defer c.survive()
	c.mu.Lock()
	c.out.dirty = false
	s := c.socket
	if s == nil || s.writing || c.out.corked {
		c.mu.Unlock()
		return
	}
	s.writing = true
	s.write(memory)
}

// Cork keeps what is sent in the outbox until Uncork.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.out.corked = c.virtual() == nil // all clients of a Link share one queue, which has an order
	c.mu.Unlock()
}

// Uncork writes what is queued from the calling goroutine if that can be done
// without waiting, and lets later sends go their way again.
func (c *Conn) Uncork() {
	c.mu.Lock()
	c.out.corked = false
	if c.out.empty() {
		c.mu.Unlock()
		return
	}
	if s := c.socket; s != nil {
		s.writeNow()
		return
	}
	c.wakeRequestLocked()
	c.mu.Unlock()
}

// WouldWait reports whether SendWait would have to wait now.
func (c *Conn) WouldWait() bool {
	limit := c.endpoint.opts.TransportMaxBufferSize
	c.mu.Lock()
	defer c.mu.Unlock()
	return limit > 0 && c.out.queued >= limit && c.refusalLocked() == nil
}

// WaitForClient waits until fewer than half of TransportMaxBufferSize bytes are
// queued, but only for a client that makes progress: it gives up when nothing
// was written for a whole tick, or when the connection ends or its client is too
// slow. Its error is that of ctx.
func (c *Conn) WaitForClient(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.refusalLocked() != nil || c.out.watch.isStalled() || c.out.queued < c.lowWater() {
			c.mu.Unlock()
			return nil
		}
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// lowWater is how few bytes a waiting sender waits for.
func (c *Conn) lowWater() int { return max(c.endpoint.opts.TransportMaxBufferSize/2, 1) }

// awaitSpace waits until something has changed for waiting senders. It unlocks
// c.mu.
func (c *Conn) awaitSpace(ctx context.Context) error {
	w := c.rarelyLocked()
	if w.space == nil {
		w.space = make(chan struct{})
	}
	space, corked := w.space, c.out.corked
	c.mu.Unlock()
	if corked { // what is queued can only leave if some goroutine writes it
		c.Uncork()
	}
	select {
	case <-space:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wakeSendersLocked lets the senders look again that wait for space.
func (c *Conn) wakeSendersLocked() {
	if w := c.rare; w != nil && w.space != nil {
		close(w.space)
		w.space = nil
	}
}

// spaceLocked is called when bytes have left the outbox.
func (c *Conn) spaceLocked() {
	if c.rare != nil && c.out.queued < c.lowWater() {
		c.wakeSendersLocked()
	}
}

// writtenLocked accounts for n bytes of what was taken.
func (c *Conn) writtenLocked(n int) {
	c.out.written(n)
	c.spaceLocked()
}

// writtenUpTo accounts for all that was taken but about left bytes.
func (c *Conn) writtenUpTo(left int) {
	c.mu.Lock()
	c.writtenLocked(max(0, c.out.inFlight-left))
	c.mu.Unlock()
}

// A scratch is what a goroutine needs while it writes.
type scratch struct {
	joined []byte // memory to join short frames in, or to make an event in
	raw    rawWrite
}

// scratches are for goroutines other than a shard's.
var scratches = sync.Pool{New: func() any { return new(scratch) }}
