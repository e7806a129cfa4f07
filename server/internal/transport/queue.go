package transport

import "context"

// keepQueue is how many frames of room an idle queue may keep.
const keepQueue = 4

// Send queues f behind what is queued and never waits, however much that is. It
// reports ErrClosed after the end, and ErrTooSlow once the client was found too
// slow: nothing but the farewell follows then.
func (c *Conn) Send(f Frame) error {
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.send(f)
	return nil
}

// SendLast is Send for the farewell of an App, which a client that is too slow
// gets as well. It must be called once at most, right before Finish.
func (c *Conn) SendLast(f Frame) error {
	c.mu.Lock()
	if c.app == appFinished || c.phase == disposed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.send(f)
	return nil
}

func (c *Conn) refusalLocked() error {
	switch {
	case c.app == appFinished || c.phase == disposed:
		return ErrClosed
	case c.slow:
		return ErrTooSlow
	}
	return nil
}

// send appends f and tells whoever writes. It unlocks c.mu.
func (c *Conn) send(f Frame) {
	if c.paused {
		c.mu.Unlock()
		return
	}
	c.appendLocked(f)
	tell := c.markDirtyLocked()
	c.mu.Unlock()
	if tell {
		c.shard.push(c)
	}
}

func (c *Conn) appendLocked(f Frame) {
	if c.queued += len(f.buf); c.queued > c.behindAt {
		c.appendBehindLocked(f)
	} else {
		c.queue = append(c.queue, f)
	}
}

// markDirtyLocked reports whether the caller must put c on the shard's list. It
// wakes the request of the other transports itself.
func (c *Conn) markDirtyLocked() bool {
	switch {
	case c.corked || c.dirty:
		return false
	case c.wake != nil:
		signal(c.wake)
		return false
	case c.socket == nil || c.socket.writing:
		return false // who writes looks again
	}
	c.dirty = true
	return true
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
		if limit <= 0 || c.queued < limit {
			c.send(f)
			return nil
		}
		limit = c.lowWater()
		if err := c.awaitRoom(ctx); err != nil {
			return err
		}
	}
}

// WaitForClient waits until fewer than half of TransportMaxBufferSize bytes are
// queued, but only for a client that makes progress: it gives up when nothing
// was written for a whole tick, or when the connection ends or its client is too
// slow. Its error is that of ctx.
func (c *Conn) WaitForClient(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.refusalLocked() != nil || c.stalled || c.queued < c.lowWater() {
			c.mu.Unlock()
			return nil
		}
		if err := c.awaitRoom(ctx); err != nil {
			return err
		}
	}
}

// lowWater is what a sender that waits waits for.
func (c *Conn) lowWater() int { return max(c.endpoint.opts.TransportMaxBufferSize/2, 1) }

// awaitRoom waits until something has changed for those who wait. It unlocks c.mu.
func (c *Conn) awaitRoom(ctx context.Context) error {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	room, corked := c.room, c.corked
	c.mu.Unlock()
	if corked { // what is queued can only leave if somebody writes it
		c.Uncork()
	}
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WouldWait reports whether SendWait would have to wait now.
func (c *Conn) WouldWait() bool {
	limit := c.endpoint.opts.TransportMaxBufferSize
	c.mu.Lock()
	defer c.mu.Unlock()
	return limit > 0 && c.queued >= limit && c.refusalLocked() == nil
}

// Cork keeps what is sent in the queue until Uncork.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// Uncork writes what is queued from the calling goroutine if that can be done
// without waiting, and lets later sends go their way again.
func (c *Conn) Uncork() {
	c.mu.Lock()
	c.corked = false
	if c.head == len(c.queue) {
		c.mu.Unlock()
		return
	}
	if c.wake != nil {
		signal(c.wake)
	}
	if s := c.socket; s != nil {
		c.writeNow(s)
		return
	}
	c.mu.Unlock()
}

// takeLocked hands the next n frames to whoever writes them. They stay at the
// head of the queue until writtenLocked has accounted for all their bytes, and
// are no longer dropped.
func (c *Conn) takeLocked(n int) []Frame {
	taken := c.queue[c.head : c.head+n]
	c.taken, c.inFlight = n, 0
	for i := range taken {
		c.inFlight += len(taken[i].buf)
	}
	return taken
}

// takeSomeLocked is takeLocked for as many frames as have most bytes, but one at
// least if there is any. It returns a copy in dst, to be read without the lock.
func (c *Conn) takeSomeLocked(dst []Frame, most int) []Frame {
	n, size := 0, 0
	for _, f := range c.queue[c.head:] {
		if size += len(f.buf); n > 0 && size > most {
			break
		}
		n++
	}
	return append(dst[:0], c.takeLocked(n)...)
}

func (c *Conn) popLocked(n int) {
	if c.held > 0 {
		c.releaseFramesLocked(c.queue[c.head : c.head+n])
	}
	if n == 1 {
		c.queue[c.head] = Frame{} // half of the time of clear
	} else {
		clear(c.queue[c.head : c.head+n])
	}
	switch c.head += n; {
	case c.head == len(c.queue):
		c.queue, c.head, c.pongs, c.dropAgain = c.queue[:0], 0, 0, 0
	case c.head > len(c.queue)/2: // make use of the room
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
}

// writtenLocked accounts for n bytes of what was taken.
func (c *Conn) writtenLocked(n int) {
	n = min(n, c.inFlight) // less where it was dropped meanwhile, or never in the queue
	c.inFlight -= n
	c.leftLocked(n)
	if c.inFlight == 0 && c.taken > 0 {
		taken := c.taken
		c.taken = 0
		c.popLocked(taken)
	}
}

// writtenUpTo accounts for all that was taken but about left bytes.
func (c *Conn) writtenUpTo(left int) {
	c.mu.Lock()
	c.writtenLocked(max(0, c.inFlight-left))
	c.mu.Unlock()
}

// leftLocked accounts for n bytes that are no longer to be written.
func (c *Conn) leftLocked(n int) {
	c.queued -= n
	c.gone += int64(n)
	if c.room != nil && c.queued < c.lowWater() {
		c.makeRoomLocked()
	}
}

func (c *Conn) makeRoomLocked() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// dropQueueLocked drops everything, what is being written too: whoever writes
// finds nothing left to account for.
func (c *Conn) dropQueueLocked() {
	c.popLocked(len(c.queue) - c.head)
	c.gone += int64(c.queued)
	c.queue, c.head, c.queued, c.taken, c.inFlight = nil, 0, 0, 0, 0
	c.makeRoomLocked()
}

// shrinkLocked gives back a long queue that was not used for a tick.
func (c *Conn) shrinkLocked() {
	sent := c.gone + int64(c.queued)
	if sent == c.sent && len(c.queue) == 0 && cap(c.queue) > keepQueue {
		c.queue = nil
	}
	c.sent = sent
}
