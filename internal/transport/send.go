package transport

import (
	"errors"
	"runtime"
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

// The flushers of an endpoint write for its sockets. Connections with something to write
// are on the list of their shard, and a goroutine, which exists only while there are any,
// writes for one shard after the other.
//
// There are as many as shards at most. While writes take several frames along, there is one:
// more of them would come back to each client sooner, with fewer frames each time
// (BenchmarkBroadcastsInFlight; docs/performance.md, "Broadcasts and groups"). Where a round of
// that one becomes long, it has others help.
type flushers struct {
	shards  []shard
	active  atomic.Int32                  // goroutines that write
	joining atomic.Bool                   // writes took several frames along, when somebody last looked
	quiet   atomic.Pointer[chan struct{}] // not nil: wait was called; closed when none is left
}

// A shard is a part of the connections of an endpoint, as many parts as there are
// processors.
type shard struct {
	of     *flushers
	list   atomic.Pointer[Conn] // linked by Conn.next, last in first
	taken  atomic.Bool          // a flusher writes for it, or is about to
	parked pollSet
	_      [64]byte // shards are written by different cores
}

func (fs *flushers) start(shards int) {
	fs.shards = make([]shard, shards)
	for i := range fs.shards {
		fs.shards[i].of = fs
	}
}

// push puts c, which must have been marked dirty by the caller, on the list. The
// sender goes on; a flusher writes.
func (s *shard) push(c *Conn) {
	for {
		first := s.list.Load()
		c.next = first
		if !s.list.CompareAndSwap(first, c) {
			continue
		}
		if first == nil && !s.taken.Load() {
			s.of.more()
		}
		return
	}
}

// more starts a flusher where there is none, or where there may be more.
func (fs *flushers) more() {
	n := fs.active.Load()
	if n > 0 && (fs.joining.Load() || int(n) >= len(fs.shards)) || !fs.active.CompareAndSwap(n, n+1) {
		return // to whom active belongs looks at all lists before it ends
	}
	fs.begin()
}

// begin starts a flusher, which active counts already.
func (fs *flushers) begin() {
	f := flusherPool.Get().(*flusher)
	f.of, f.writes, f.frames = fs, 0, 0
	go f.run()
}

// A flusher is one goroutine that writes.
type flusher struct {
	of     *flushers
	memory scratch
	turn   turns

	shard *shard // that it has taken
	next  *Conn  // what was on its list, and is not written yet

	began  time.Time // the round
	wrote  bool      // something in it
	writes int       // of this round and some before
	frames int       // that they took along
}

var flusherPool = sync.Pool{New: func() any { return new(flusher) }}

// Between two rounds is a pause, of a quarter of what the first one took: what comes one
// after the other to many clients, as from a backplane, is written together, and whoever
// sends it has a processor meanwhile.
// (TestAPauseIsAsLongAsItsRoundAllows; docs/performance.md, the row of broadcasts with Redis.)
const (
	shortestPause = 100 * time.Microsecond
	longestPause  = 2 * time.Millisecond
)

// longRound is how long a flusher that joins frames writes before others help.
const longRound = 8 * time.Millisecond

// run writes until there is nothing to write. The first round after a quiet time starts at
// once; later ones wait a moment, so that more can be joined in one write.
func (f *flusher) run() {
	over := false
	defer func() {
		if !over { // an App or a log of the user's has called runtime.Goexit: another goroutine writes
			go f.run()
		}
	}()
	fs := f.of
	for {
		f.round()
		took := time.Since(f.began)
		switch {
		case !f.wrote:
			if fs.active.Add(-1) > 0 { // another one looks again before it ends
				over = true
			} else if !fs.pending() || !fs.active.CompareAndSwap(0, 1) {
				fs.tellQuiet()
				over = true
			}
		case f.joins() && took < longRound && f.leaves():
			over = true
		case fs.pending():
			time.Sleep(min(max(took/4, shortestPause), longestPause))
		}
		if over {
			f.of = nil
			flusherPool.Put(f)
			return
		}
	}
}

// joins reports whether writes of late took several frames along, and lets others know.
func (f *flusher) joins() bool {
	joining := 4*f.frames > 5*f.writes
	if f.of.joining.Load() != joining {
		f.of.joining.Store(joining)
	}
	return joining
}

// leaves reports whether f can end, since there are others.
func (f *flusher) leaves() bool {
	n := f.of.active.Load()
	return n > 1 && f.of.active.CompareAndSwap(n, n-1)
}

// round writes for each shard that nobody else writes for.
func (f *flusher) round() {
	f.began, f.wrote = time.Now(), false
	f.writes, f.frames = f.writes/2, f.frames/2
	if f.shard != nil { // a goroutine has ended on the way
		f.finish()
	}
	for i := range f.of.shards {
		s := &f.of.shards[i]
		if s.list.Load() != nil && s.taken.CompareAndSwap(false, true) {
			f.shard, f.next = s, s.list.Swap(nil)
			f.finish()
		}
	}
}

// finish writes for what is left of the shard that f has taken.
func (f *flusher) finish() {
	for f.next != nil {
		now := f.next
		f.next, now.next = now.next, nil // once flush has cleared dirty, the goroutine that sets it again owns next
		f.wrote = true
		f.writes++
		f.frames += now.flush(&f.memory)
		if f.turn++; f.turn == turnWrites {
			f.turn = 0
			f.callHelp()
			runtime.Gosched()
		}
	}
	f.shard.taken.Store(false)
	f.shard = nil
}

// pending reports whether there is something to write.
func (fs *flushers) pending() bool {
	for i := range fs.shards {
		if fs.shards[i].list.Load() != nil {
			return true
		}
	}
	return false
}

// callHelp starts another flusher where shards wait, and the writes of f take single frames
// or its round is long.
func (f *flusher) callHelp() {
	fs := f.of
	n := fs.active.Load()
	if f.joins() && time.Since(f.began) < longRound || int(n) >= len(fs.shards) {
		return
	}
	for i := range fs.shards {
		if s := &fs.shards[i]; s.list.Load() != nil && !s.taken.Load() {
			if fs.active.CompareAndSwap(n, n+1) {
				fs.begin()
			}
			return
		}
	}
}

func (fs *flushers) tellQuiet() {
	if fs.quiet.Load() == nil { // nearly always
		return
	}
	if quiet := fs.quiet.Swap(nil); quiet != nil {
		close(*quiet)
	}
}

// wait returns when no goroutine writes. That is soon, once the connections have ended: none
// waits for a client.
func (fs *flushers) wait() {
	for fs.active.Load() > 0 {
		fresh := make(chan struct{})
		fs.quiet.CompareAndSwap(nil, &fresh)
		quiet := fs.quiet.Load()
		if quiet != nil && fs.active.Load() > 0 {
			<-*quiet
		}
	}
}

// flush writes for a flusher, with its memory. It returns how many frames waited.
func (c *Conn) flush(memory *scratch) (frames int) {
	defer c.survive()
	c.mu.Lock()
	c.out.dirty = false
	s := c.socket
	if s == nil || s.writing || c.out.corked {
		c.mu.Unlock()
		return 0
	}
	frames = len(c.out.waiting())
	s.writing = true
	s.write(memory)
	return frames
}

// A scratch is what a goroutine needs while it writes.
type scratch struct {
	joined []byte // memory to join short frames in, or to make an event in
	raw    rawWrite
}

// scratches are for goroutines other than flushers.
var scratches = sync.Pool{New: func() any { return new(scratch) }}
