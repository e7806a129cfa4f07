package transport

import "context"

// keepQueue is how many frames of room an idle queue may keep.
const keepQueue = 4

// Send queues f behind what is queued and never waits. It reports ErrClosed
// after the end, and ErrTooSlow when more than MaximumQueuedBytes were queued
// already; the App then ends the connection.
func (c *Conn) Send(f Frame) error {
	c.mu.Lock()
	switch {
	case c.app == appFinished || c.phase == disposed:
		c.mu.Unlock()
		return ErrClosed
	case c.queued > c.endpoint.opts.MaximumQueuedBytes:
		c.mu.Unlock()
		return ErrTooSlow
	}
	c.send(f)
	return nil
}

// SendLast is Send for the farewell of an App: it queues f however much is
// queued already. It must be called once at most, right before Finish.
func (c *Conn) SendLast(f Frame) error {
	c.mu.Lock()
	if c.app == appFinished || c.phase == disposed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.send(f)
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
	if len(c.queue) == cap(c.queue) && c.head > len(c.queue)/2 { // make use of what was taken
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	c.queue = append(c.queue, f)
	c.queued += len(f.buf)
	c.quiet = false
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
		if c.app == appFinished || c.phase == disposed {
			c.mu.Unlock()
			return ErrClosed
		}
		if limit <= 0 || c.queued < limit {
			c.send(f)
			return nil
		}
		limit = max(c.endpoint.opts.TransportMaxBufferSize/2, 1)
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
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WouldWait reports whether SendWait would have to wait now.
func (c *Conn) WouldWait() bool {
	limit := c.endpoint.opts.TransportMaxBufferSize
	c.mu.Lock()
	defer c.mu.Unlock()
	return limit > 0 && c.queued >= limit && c.app != appFinished && c.phase != disposed
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

// takeAll moves everything that is queued to dst, for a transport that writes
// it as one. The caller accounts for it with written.
func (c *Conn) takeAllLocked(dst []Frame) []Frame {
	dst = append(dst[:0], c.queue[c.head:]...)
	c.popLocked(len(c.queue) - c.head)
	return dst
}

func (c *Conn) popLocked(n int) {
	clear(c.queue[c.head : c.head+n])
	c.head += n
	if c.head == len(c.queue) {
		c.queue, c.head, c.pongs = c.queue[:0], 0, 0
	}
}

// writtenLocked accounts for n bytes that have left the queue and were written.
func (c *Conn) writtenLocked(n int) {
	c.queued = max(0, c.queued-n)
	if c.room != nil && c.queued < max(c.endpoint.opts.TransportMaxBufferSize/2, 1) {
		c.makeRoomLocked()
	}
}

func (c *Conn) makeRoomLocked() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

func (c *Conn) dropQueueLocked() {
	c.queue, c.head, c.queued = nil, 0, 0
	c.makeRoomLocked()
}

// shrinkLocked gives back a long queue that was not used for a tick.
func (c *Conn) shrinkLocked() {
	if c.quiet && len(c.queue) == 0 && cap(c.queue) > keepQueue {
		c.queue = nil
	}
	c.quiet = true
}
