package transport

import "time"

// A client is too slow when it falls behind in time, not because much was sent
// to it: something has waited at the head of its queue for longer than
// SlowClientTimeout, although it takes a little now and then (one that takes
// nothing at all ends with TransportSendTimeout, or DisconnectTimeout). A send
// does not look at the clock for that: the sweeper marks the end of the queue
// where there is one, and looks later whether the mark has been reached.
//
// The other reason is the Limit of all connections together; see Limit.
//
// A client that is too slow gets nothing more but the farewell: what waits is
// dropped, so that what it has received is a prefix of what was sent to it.

// A SlowApp is an App that says farewell to a client that is too slow. The
// connection of any other App is aborted.
type SlowApp interface {
	App

	// TooSlow is called at most once, when the client was found too slow. Sends
	// report ErrTooSlow from now on, SendLast does not. The App calls Finish
	// soon. It must not block, and must not call the user's code: a sender to
	// other connections may be calling.
	TooSlow()
}

// A slowWatch is what is known of a client that may be behind. A connection has
// one while something waits for a tick or longer, is counted by the Limit, or
// may be dropped. Its methods are called with Conn.mu held.
type slowWatch struct {
	conn *Conn

	seen   int64     // outbox.gone at the last tick
	mark   int64     // outbox.gone when everything is written that was queued at markAt
	markAt time.Time // zero: nothing was queued at the last tick

	foundAt   time.Time // when the client was found too slow; zero: it was not
	appBehind time.Time // see Behind
	held      int       // frames of the outbox that the Limit counts
	stalled   bool      // nothing was written for a whole tick, though something is queued

	dropBeyond int // see DropOldest; 0: nothing is dropped
	dropAgain  int // outbox.queued: less is not worth another look for what can be dropped
	dropped    int // frames since the last tick
}

func (c *Conn) slowWatchLocked() *slowWatch {
	c.wakeLocked()
	if c.out.watch == nil {
		c.out.watch = &slowWatch{conn: c, seen: c.out.gone}
	}
	return c.out.watch
}

// isStill reports whether the next tick would change nothing.
func (w *slowWatch) isStill() bool {
	return w == nil || w.markAt.IsZero() && w.foundAt.IsZero() && w.appBehind.IsZero() && w.held == 0 && w.dropped == 0
}

func (w *slowWatch) isStalled() bool { return w != nil && w.stalled }

// idle reports whether there is nothing to remember.
func (w *slowWatch) idle() bool { return w.isStill() && w.dropBeyond == 0 }

// release ends the counting of those of frames that are counted.
func (w *slowWatch) release(frames []Frame) {
	if w.held > 0 {
		w.held -= w.conn.endpoint.opts.Limit.release(w.conn, frames)
	}
}

// DropOldest makes c one whose client only wants the latest: where more than
// most bytes are queued, and instead of closing the connection because it is too
// slow, the oldest of the frames that are Latest are dropped.
// Less than 1 ends that.
func (c *Conn) DropOldest(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.behindAt = FreeBytes
	if most > 0 {
		c.out.behindAt = int32(min(FreeBytes, most))
	} else if c.out.watch == nil {
		return
	}
	w := c.slowWatchLocked()
	w.dropBeyond, w.dropAgain = max(most, 0), 0
}

// Behind says since when the App waits for the client, for what it keeps beside
// the queue; zero if it does not.
func (c *Conn) Behind(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.watch != nil || !since.IsZero() {
		c.slowWatchLocked().appBehind = since
	}
}

// behindLocked is called when a frame was added to an outbox that is behind:
// older ones may be dropped for it, and the Limit counts it.
func (c *Conn) behindLocked() {
	l := c.endpoint.opts.Limit
	if l == nil && c.out.watch == nil {
		return
	}
	w := c.slowWatchLocked()
	last := len(c.out.frames) - 1
	f := c.out.frames[last]
	c.out.frames = c.out.frames[:last] // it is not dropped for itself
	if w.dropBeyond > 0 && c.out.queued > max(w.dropBeyond, w.dropAgain) {
		// Half of it, so that the work is not done again for each frame.
		c.dropOldestLocked(w.dropBeyond / 2)
		w.dropAgain = c.out.queued + w.dropBeyond/2
	}
	if l != nil {
		l.hold(c, f)
		f.counted = true
		w.held++
	}
	c.out.frames = append(c.out.frames, f)
}

// dropOldestLocked drops frames that are Latest, the oldest first, until no more
// than target bytes are queued. What is being written is not dropped. It returns
// how many frames it has dropped.
func (c *Conn) dropOldestLocked(target int) (dropped int) {
	w := c.slowWatchLocked()
	waiting := c.out.untaken()
	keep, bytes := 0, 0
	for i, f := range waiting {
		if c.out.queued-bytes <= target || !f.latest {
			waiting[keep] = waiting[i]
			keep++
			continue
		}
		bytes += len(f.buf)
		w.release(waiting[i : i+1])
	}
	dropped = len(waiting) - keep
	c.out.cut(keep)
	w.dropped += dropped
	if l := c.endpoint.opts.Limit; l != nil {
		l.dropped.Add(uint64(dropped))
	}
	c.out.left(bytes)
	c.spaceLocked()
	return dropped
}

// watchLocked is called with every tick. late reports that the client is too
// slow, overdue that it was so and has had time enough for its farewell, dropped
// how many frames were dropped since the last tick.
func (c *Conn) watchLocked(now time.Time) (late, overdue bool, dropped int) {
	c.out.shrink()
	if c.out.watch == nil && c.out.queued == 0 {
		return false, false, 0
	}
	w := c.slowWatchLocked()
	late, overdue = c.lateLocked(w, now), c.overdueLocked(w, now)
	dropped, w.dropped = w.dropped, 0
	if w.idle() {
		c.out.watch = nil
	}
	return late, overdue, dropped
}

// lateLocked reports whether the client is too slow.
func (c *Conn) lateLocked(w *slowWatch, now time.Time) bool {
	q := &c.out
	written := q.gone != w.seen
	w.seen = q.gone
	w.stalled = q.queued > 0 && !w.markAt.IsZero() && !written
	if w.stalled {
		c.wakeSendersLocked() // no sender waits for such a client
	}
	switch begun := q.gone + int64(q.inFlight); {
	case !w.foundAt.IsZero():
	case q.queued == 0:
		w.markAt = time.Time{}
	case w.markAt.IsZero() || begun >= w.mark:
		w.mark, w.markAt = q.gone+int64(q.queued), now
	case now.Sub(w.markAt) <= c.endpoint.opts.SlowClientTimeout:
	case w.dropBeyond > 0 && c.dropLateLocked(w):
		w.mark, w.markAt = q.gone+int64(q.queued), now
	default:
		return true
	}
	return false
}

// dropLateLocked drops the frames that are Latest and wait since markAt, but the
// newest frame of all. It reports whether that is enough.
func (c *Conn) dropLateLocked(w *slowWatch) bool {
	waiting := c.out.untaken()
	if len(waiting) == 0 {
		return true
	}
	since := int(c.out.gone + int64(c.out.queued) - w.mark) // bytes queued after the mark
	dropped := c.dropOldestLocked(c.out.inFlight + max(since, len(waiting[len(waiting)-1].buf)))
	waiting = c.out.untaken()
	return dropped > 0 || len(waiting) == 1 && waiting[0].latest
}

// overdueLocked reports whether a client that was too slow has had time enough
// for its farewell.
func (c *Conn) overdueLocked(w *slowWatch, now time.Time) bool {
	wait := c.endpoint.opts.TransportSendTimeout
	if c.transport == LongPolling { // it comes with the next poll
		wait = max(wait, wait+c.endpoint.opts.DisconnectTimeout) // either may be forever
	}
	return !w.foundAt.IsZero() && now.Sub(w.foundAt) > wait
}

// TooSlow ends the connection as one whose client is too slow.
func (c *Conn) TooSlow() {
	c.mu.Lock()
	if c.app != appRunning || c.link.over() {
		c.mu.Unlock()
		return
	}
	c.stepLocked(c.link, appTooSlow)
	w := c.slowWatchLocked()
	w.foundAt = time.Now()
	w.release(c.out.untaken())
	c.out.cut(0)
	c.out.left(c.out.queued - c.out.inFlight)
	c.wakeSendersLocked()
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
	ending := c.app != appRunning
	if w := c.out.watch; !ending && w != nil && w.dropBeyond > 0 && c.dropOldestLocked(0) > 0 {
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if ending { // it still writes, though it was asked to end
		c.abort(ErrTooSlow, true)
		return
	}
	c.TooSlow()
}
