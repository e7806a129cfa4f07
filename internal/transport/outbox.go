package transport

// An outbox is what waits to be written to a client, in order. Frames are taken
// from its head by the goroutine that writes, and stay there until all their
// bytes are accounted for. Its methods are called with Conn.mu held.
type outbox struct {
	frames   []Frame // frames[head:] waits to be written
	queued   int     // bytes of frames not yet written
	inFlight int     // of queued, the bytes that are being written
	gone     int64   // bytes ever written or dropped
	head     int32
	taken    int32 // frames[head:head+taken] is being written
	behindAt int32 // queued: more is counted by the Limit, or may be dropped

	dirty  bool  // on the shard's list already
	corked bool  // some goroutine will uncork
	used   bool  // something was written or dropped since the last tick
	pongs  uint8 // among frames, or more: those that cut has dropped

	watch *slowWatch // nil while nothing waits for long
}

// waiting returns the frames that are not written whole.
func (q *outbox) waiting() []Frame { return q.frames[q.head:] }

// untaken returns the frames that may still be dropped.
func (q *outbox) untaken() []Frame { return q.frames[q.head+q.taken:] }

func (q *outbox) empty() bool { return int(q.head) == len(q.frames) }

// add appends f and reports whether more than behindAt is queued now.
func (q *outbox) add(f Frame) (behind bool) {
	q.frames = append(q.frames, f)
	q.queued += len(f.buf)
	return q.queued > int(q.behindAt)
}

// addCopy appends a copy of f to q, to the copies at its end if there is space. It reports
// false where f is to be added by itself: memory for copies is taken only where nothing
// else waits, or behind other copies, so that what waits for a client takes little more
// memory than it has bytes, and only where nothing is behind.
func (q *outbox) addCopy(f Frame) bool {
	b := f.buf
	if len(b) > CopyLimit || q.queued+len(b) > int(q.behindAt) {
		return false
	}
	if waiting := q.untaken(); len(waiting) > 0 {
		last := &waiting[len(waiting)-1]
		if !last.copied {
			return false
		}
		if len(last.buf)+len(b) <= cap(last.buf) {
			last.buf = append(last.buf, b...)
			q.queued += len(b)
			return true
		}
	}
	q.frames = append(q.frames, Frame{buf: append(takeCopy(len(b)), b...), copied: true, kind: f.kind})
	q.queued += len(b)
	return true
}

// take hands the next n frames, which have so many bytes, to the goroutine that
// writes them. They are no longer dropped.
func (q *outbox) take(n, bytes int) { q.taken, q.inFlight = int32(n), bytes }

// takeSome is take for as many frames as have most bytes, but one at least if
// there is any. It returns a copy in dst, to be read without the lock.
func (q *outbox) takeSome(dst []Frame, most int) []Frame {
	n, bytes := q.upTo(most)
	q.take(n, bytes)
	return append(dst[:0], q.waiting()[:n]...)
}

// upTo says how many frames at the head have most bytes, one at least if there is any, and
// how many bytes they have.
func (q *outbox) upTo(most int) (n, bytes int) {
	for _, f := range q.waiting() {
		if n > 0 && bytes+len(f.buf) > most {
			break
		}
		bytes += len(f.buf)
		n++
	}
	return n, bytes
}

// written accounts for n bytes of what was taken.
func (q *outbox) written(n int) {
	n = min(n, q.inFlight) // less where it was dropped meanwhile, or never in the outbox
	q.inFlight -= n
	q.left(n)
	if q.inFlight == 0 && q.taken > 0 {
		taken := q.taken
		recycle(q.waiting()[:taken])
		q.taken = 0
		q.pop(taken)
	}
}

// left accounts for n bytes that are no longer to be written.
func (q *outbox) left(n int) {
	q.queued -= n
	q.gone += int64(n)
}

// pop forgets the first n frames.
func (q *outbox) pop(n int32) {
	q.used = true
	first := q.frames[q.head : q.head+n]
	if q.watch != nil {
		q.watch.release(first)
	}
	if q.pongs > 0 { // else the bytes of frames are not touched
		for _, f := range first {
			if f.buf[0] == pongByte {
				q.pongs--
			}
		}
	}
	if n == 1 {
		first[0] = Frame{} // half of the time of clear
	} else {
		clear(first)
	}
	switch q.head += n; {
	case q.empty():
		q.reset()
	case int(q.head) > len(q.frames)/2: // use the memory before it
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
}

// cut forgets the frames that are not taken but the first n of them.
func (q *outbox) cut(n int) {
	end := int(q.head+q.taken) + n
	clear(q.frames[end:])
	if q.frames = q.frames[:end]; q.empty() {
		q.reset()
	}
}

// reset begins an empty outbox anew.
func (q *outbox) reset() {
	q.frames, q.head, q.pongs = q.frames[:0], 0, 0
	if q.watch != nil {
		q.watch.dropAgain = 0
	}
}

// drop forgets everything, what is being written too: the goroutine that writes
// finds nothing left to account for.
func (q *outbox) drop() {
	q.pop(int32(len(q.frames)) - q.head)
	q.left(q.queued)
	q.frames, q.head, q.taken, q.inFlight = nil, 0, 0, 0
}

// shrink gives the memory of frames back that was not used for a tick: that of one
// frame as well, for most connections are sent a ping now and then.
func (q *outbox) shrink() {
	if !q.used && len(q.frames) == 0 {
		q.frames = nil
	}
	q.used = false
}

// isStill reports whether nothing waits, and nothing is remembered of what did.
func (q *outbox) isStill() bool {
	return q.queued == 0 && q.frames == nil && q.watch.isStill()
}
