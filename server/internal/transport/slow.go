package transport

import "time"

// A client is too slow when it falls behind in time, not because much was sent
// to it: something has waited at the head of its queue for longer than
// SlowClientTimeout, although it takes a little now and then (who takes nothing
// at all ends with TransportSendTimeout, or DisconnectTimeout). Nobody looks at
// the clock for that when sending: the sweeper marks the end of the queue where
// there is one, and looks later whether the mark has been reached.
//
// The other reason is the Limit of all connections together; see Limit.
//
// Who is too slow gets nothing more but the farewell: what waits is dropped, so
// that what the client has received is a beginning of what was sent to it.

// A SlowApp is an App that says farewell to a client that is too slow. The
// connection of another is aborted.
type SlowApp interface {
	App

	// TooSlow is called at most once, when the client was found too slow. Sends
	// report ErrTooSlow from now on, SendLast does not. The App calls Finish
	// soon. It must not block, and must not call the user's code: a sender to
	// other connections may be calling.
	TooSlow()
}

// DropOldest makes c one whose client only wants the latest: where more than
// most bytes are queued, and instead of closing the connection because it is too
// slow, the oldest of the frames that are Latest are dropped.
// Less than 1 ends that.
func (c *Conn) DropOldest(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropBeyond, c.dropAgain, c.behindAt = max(most, 0), 0, FreeBytes
	if most > 0 {
		c.behindAt = min(FreeBytes, most)
	}
}

// Behind says since when the App waits for the client, for what it keeps beside
// the queue; zero if it does not.
func (c *Conn) Behind(since time.Time) {
	c.mu.Lock()
	c.appBehind = since
	c.mu.Unlock()
}

// appendBehindLocked is appendLocked for a connection that is behind. f is
// already part of c.queued.
func (c *Conn) appendBehindLocked(f Frame) {
	if c.dropBeyond > 0 && c.queued > max(c.dropBeyond, c.dropAgain) {
		// Half of it, so that the work is not done again for each frame.
		c.dropOldestLocked(c.dropBeyond / 2)
		c.dropAgain = c.queued + c.dropBeyond/2
	}
	if l := c.endpoint.opts.Limit; l != nil {
		l.hold(c, f)
		f.counted = true
		c.held++
	}
	c.queue = append(c.queue, f)
}

func (c *Conn) releaseFramesLocked(frames []Frame) {
	c.held -= c.endpoint.opts.Limit.release(c, frames)
}

// dropOldestLocked drops frames that are Latest, the oldest first, until no more
// than target bytes are queued. What is being written is not dropped.
func (c *Conn) dropOldestLocked(target int) {
	waiting := c.queue[c.head+c.taken:]
	keep, bytes := 0, 0
	for i, f := range waiting {
		if c.queued-bytes <= target || !f.latest {
			waiting[keep] = waiting[i]
			keep++
			continue
		}
		bytes += len(f.buf)
		if c.held > 0 {
			c.releaseFramesLocked(waiting[i : i+1])
		}
	}
	c.cutQueueLocked(c.taken + keep)
	c.dropped += len(waiting) - keep
	if l := c.endpoint.opts.Limit; l != nil {
		l.dropped.Add(uint64(len(waiting) - keep))
	}
	c.leftLocked(bytes)
}

// cutQueueLocked forgets all but the first n frames.
func (c *Conn) cutQueueLocked(n int) {
	clear(c.queue[c.head+n:])
	if c.queue = c.queue[:c.head+n]; n == 0 {
		c.queue, c.head, c.pongs = c.queue[:0], 0, 0
	}
}

// lateLocked is called with every tick and reports whether the client is too
// slow.
func (c *Conn) lateLocked(now time.Time) bool {
	written := c.gone != c.seen
	c.seen = c.gone
	c.stalled = c.queued > 0 && !c.markAt.IsZero() && !written
	if c.stalled {
		c.makeRoomLocked() // nobody waits for such a client
	}
	switch begun := c.gone + int64(c.inFlight); {
	case c.slow:
	case c.queued == 0:
		c.markAt = time.Time{}
	case c.markAt.IsZero() || begun >= c.mark:
		c.mark, c.markAt = c.gone+int64(c.queued), now
	case now.Sub(c.markAt) <= c.endpoint.opts.SlowClientTimeout:
	case c.dropBeyond > 0 && c.dropLateLocked():
		c.mark, c.markAt = c.gone+int64(c.queued), now
	default:
		return true
	}
	return false
}

// dropAllLocked drops every frame that is Latest, and reports whether there was
// one.
func (c *Conn) dropAllLocked() bool {
	before := c.dropped
	c.dropOldestLocked(0)
	return c.dropped > before
}

// dropLateLocked drops the frames that are Latest and wait since markAt, but the
// newest frame of all. It reports whether that is enough.
func (c *Conn) dropLateLocked() bool {
	waiting := c.queue[c.head+c.taken:]
	if len(waiting) == 0 {
		return true
	}
	before := c.dropped
	since := int(c.gone + int64(c.queued) - c.mark) // bytes queued after the mark
	c.dropOldestLocked(c.inFlight + max(since, len(waiting[len(waiting)-1].buf)))
	waiting = c.queue[c.head+c.taken:]
	return c.dropped > before || len(waiting) == 1 && waiting[0].latest
}

// overdueLocked reports whether a client that was too slow has had time enough
// for its farewell.
func (c *Conn) overdueLocked(now time.Time) bool {
	wait := c.endpoint.opts.TransportSendTimeout
	if c.transport == LongPolling { // it comes with the next poll
		wait = max(wait, wait+c.endpoint.opts.DisconnectTimeout) // either may be forever
	}
	return c.slow && now.Sub(c.markAt) > wait
}

// TooSlow ends the connection as one whose client is too slow.
func (c *Conn) TooSlow() {
	c.mu.Lock()
	if c.slow || c.app != appRunning || c.phase == disposed {
		c.mu.Unlock()
		return
	}
	c.slow, c.markAt = true, time.Now()
	kept := c.queue[c.head+c.taken:]
	if c.held > 0 {
		c.releaseFramesLocked(kept)
	}
	c.cutQueueLocked(c.taken)
	c.leftLocked(c.queued - c.inFlight)
	c.makeRoomLocked()
	c.mu.Unlock()
	if l := c.endpoint.opts.Limit; l != nil {
		l.tooSlow.Add(1)
	}
	if app, ok := c.handler.(SlowApp); ok {
		c.tell(app.TooSlow)
		return
	}
	c.abort(ErrTooSlow, true)
}

// giveWay frees what c has counted at the Limit, or some of it.
func (c *Conn) giveWay() {
	c.mu.Lock()
	slow := c.slow || c.app != appRunning
	if !slow && c.dropBeyond > 0 && c.dropAllLocked() {
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if slow { // it still writes, though it was told to end
		c.abort(ErrTooSlow, true)
		return
	}
	c.TooSlow()
}
