package server

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// A leader is a goroutine that dispatches what a connection has received,
// strictly in order; at any moment a connection has one at most. It runs short
// methods itself, so that a message costs neither a goroutine nor a wake-up, and
// the answers to all messages of one read are written together.
//
// Other goroutines are followers: the transport's, which read on and leave what
// they have read in the inbox while another goroutine leads.
//
// A leader that cannot go on promotes another goroutine, or has it read in its place:
//
//   - A method runs for longer than about a millisecond, or is about to wait (for
//     a client result, for a caller that does not read). It keeps its goroutine,
//     which is detached from the connection; the promoted one goes on with what
//     is left to dispatch, and with the reading.
//   - The next message itself must wait: for a permit, for space in an upload, for
//     an authorization. The goroutine that reads for the transport must not wait:
//     it promotes another one and follows. Any other leader waits itself.
//   - The connection is made known and OnConnected called, which takes longer than about a
//     millisecond: no message may be dispatched meanwhile, so it goes on leading, and another
//     goroutine reads.
//
// What a leader has belongs to its goroutine alone; leader.go and watch.go are
// the only files that touch its fields (structure_test.go sees to that). A
// leader is not a part of a connection: it serves one for as long as there is
// something to dispatch, and may then serve another.
type leader struct {
	conn     *connection // that it serves now
	isReader bool        // it reads for the transport once there is nothing to dispatch
	role     role
	rest     []byte // what is left to dispatch
	taken    int    // rest is the end of so many bytes
	borrowed bool   // rest is in memory of the transport

	clock   time.Duration    // when the last observed call ended; 0: l has waited since
	decoder protocol.Decoder // with memory for the message that is being dispatched

	// Set while it runs a call; read by the goroutine that detaches it. turn is
	// odd then, and goes up by one when the call returns or is detached,
	// whichever comes first.
	running *invocation
	slot    int32 // in the hub's watch, from 1 on; 0: none
	turn    atomic.Uint64

	mu sync.Mutex // held where a turn ends that has registers set, and while l is relieved of it

	lastSlot int32 // that it had in a watch, from 1 on
}

// registers is set in leader.turn while l registers its connection and reads for the transport.
const registers = 1 << 63

// The roles of a goroutine that may lead.
type role uint8

const (
	leading   role = iota
	following      // another one leads; this one may read on
	resigned       // there was nothing left to dispatch: nobody leads
	detached       // a call keeps it; another one leads, and reads in its place
)

var leaders = sync.Pool{New: func() any { return &leader{} }}

func newLeader(c *connection, isReader bool) *leader {
	l := leaders.Get().(*leader)
	l.conn, l.isReader, l.role, l.clock = c, isReader, leading, 0
	return l
}

// Receive implements transport.App.
func (a *hubApp) Receive(p []byte, isReader bool) (readOn bool) {
	c := (*connection)(a)
	if c.rates != nil && !c.mayReceive(len(p), isReader) {
		return isReader // the connection ends: what it sent last no longer counts
	}
	l := newLeader(c, isReader)
	readOn = !isReader // what is returned after a panic
	defer l.end()
	data, leads, lost := c.accept(p, isReader)
	switch {
	case !leads:
		l.role = resigned
		if look := c.in.lookahead(); look != nil {
			look.news()
		}
	case isReader:
		l.rest, l.taken, l.borrowed = data, len(data), true
		if l.lead(); !l.isReader { // another one reads
			c.bytes.Uncork()
		}
	default:
		l.promote(nil)
		l.role = resigned // its scratch memory is free
	}
	return l.role != detached && l.isReader == isReader && (isReader || !lost)
}

// inTurn is after how many messages a leader lets other goroutines have its processor,
// which Go takes from one that never waits only after 10 ms.
const inTurn = 128

// lead dispatches what is left and what comes meanwhile, message by message,
// for as long as l leads.
func (l *leader) lead() {
	c := l.conn
	messages := 0
	for heard := false; l.role == leading; {
		if c.in.over.Load() {
			l.rest = nil
		}
		if len(l.rest) == 0 {
			l.take()
			heard = false
			continue
		}
		if c.codec == nil {
			l.handshake()
			continue
		}
		m, rest, err := c.next(&l.decoder, l.rest)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			l.take()
			heard = false
			continue
		case err != nil:
			l.rest = nil // though the connection may be ending for another reason
			c.end(ending{cause: err, allowReconnect: true})
			continue
		}
		if messages++; messages%inTurn == 0 && !l.isReader { // of a long POST; the transport reads in turns
			runtime.Gosched()
		}
		c.watch.received(len(l.rest) - len(rest))
		l.handled(len(l.rest) - len(rest))
		if l.rest = rest; !heard { // once for what came together
			c.heard()
			heard = true
		}
		if c.isNew(m) {
			c.dispatch(l, m)
		}
	}
}

// handshake handles the first message.
func (l *leader) handshake() {
	c := l.conn
	rest, accepted := c.handshake(l.rest)
	switch l.rest = rest; {
	case !accepted:
		l.take() // the rest of the handshake, or nothing if it was refused
	case c.hub.local && c.hub.chain.onConnected == nil && c.hub.methods.create == nil:
		c.register()
	default:
		l.register()
	}
}

// register calls connection.register, which may call user code, or wait for Redis. As with
// calls, the goroutine of l does so (BenchmarkConnect); should it take long, another one reads
// on, but unlike with calls nobody dispatches meanwhile.
func (l *leader) register() {
	c := l.conn
	if !l.isReader || l.slot == 0 && !c.hub.watch.enter(l) {
		l.await(nil, c.register, nil)
		return
	}
	if len(l.rest) > 0 {
		c.in.putBack(l.rest) // its memory is that of who reads
	}
	l.rest, l.taken, l.borrowed, l.clock = nil, 0, false, 0
	c.bytes.BeforeWait() // others read the clients that are parked with this one
	turn := l.turn.Load() + 1 | registers
	l.turn.Store(turn)
	exited := true // by runtime.Goexit, in user code
	defer func() {
		if exited {
			l.isReader = l.registered(turn)
		}
	}()
	c.register()
	exited = false
	if l.isReader = l.registered(turn); !l.isReader {
		c.heard() // meanwhile it could not be
		c.bytes.Cork()
	}
}

// registered ends the given turn, in which l has registered its connection. It reports whether
// l still reads for the transport.
func (l *leader) registered(turn uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn.Load() != turn {
		return false
	}
	l.turn.Store(turn&^registers + 1)
	return true
}

// relieve has another goroutine read in the place of that of l, which registers its connection
// in the given turn and leads on.
func (l *leader) relieve(turn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn.Load() != turn {
		return
	}
	l.turn.Store(turn&^registers + 1)
	c := l.conn
	c.hub.watch.leave(l)
	c.hub.running.Go(func() {
		c.bytes.Uncork() // the answer to the handshake, before what takes long
		c.bytes.ReadOn()
	})
}

// unmarshal decodes a value of the message that is being dispatched into what v points
// to, by methods of v where it has some.
func (l *leader) unmarshal(raw protocol.Raw, v any) (err error) {
	defer catch(&err)
	return l.decoder.Unmarshal(raw, v)
}

// take adds what has come meanwhile to what is left. l resigns if there is no
// whole message among it.
func (l *leader) take() {
	l.clock = 0
	data, left, stopped := l.conn.more(ownMemory(l.rest, l.taken, l.borrowed))
	l.rest, l.taken, l.borrowed = data, len(data), false
	if stopped || len(data) == 0 {
		l.role = resigned
	}
	if stopped {
		l.conn.inputDone(len(left) > 0)
	}
}

// start begins a call that has waited for all that it must wait for. A call
// that may be short runs right here: what it sends at once comes before the
// answers to the messages after it, as in ASP.NET Core.
func (l *leader) start(inv *invocation) {
	c := l.conn
	if refusal := inv.admit(); refusal != "" {
		inv.endContext() // Authorize may have made it
		c.refusedCall(inv.method, CallRefused)
		c.fail(inv.id, refusal)
		return
	}
	if inv.needsGoroutine() || !c.hub.watch.begin(l, inv) {
		if !inv.method.pool.reuse { // else no user code could tell that it is cancelled
			c.track(inv) // before the next message is looked at, which may cancel it
		}
		c.hub.running.Go(inv.runAlone)
		return
	}
	exited := true // by runtime.Goexit, in user code
	defer func() {
		if exited {
			l.detach(inv.turn)
			l.finishDetached(inv)
		}
	}()
	l.run(inv)
	exited = false
	if !c.hub.watch.end(l) {
		l.finishDetached(inv)
		return
	}
	inv.finishInTime()
}

// run runs a call, and takes its time if that may matter to others.
func (l *leader) run(inv *invocation) {
	m := inv.method
	short := m.isShort()
	if short && inv.turn%(2*timedCalls) >= 2 {
		inv.run()
		return
	}
	if !short && l.isReader {
		l.conn.bytes.BeforeWait() // others read the clients that are parked with this one
	}
	began := sinceStart()
	inv.run()
	if l.turn.Load() == inv.turn { // else hasBlocked has noted it
		m.took(sinceStart() - began)
	}
}

// runs reports whether l runs inv, which its own goroutine asks: it was not detached, and has
// had a leader at all.
func (l *leader) runs(inv *invocation) bool { return l != nil && l.turn.Load() == inv.turn }

// now is sinceStart for an observed call that begins on the goroutine of l. Where it
// follows another one at once it is when that ended: to look at the clock costs more
// than to count a call (TestCallsThatFollowEachOtherShareAClock).
func (l *leader) now() time.Duration {
	if l == nil || l.clock == 0 {
		return sinceStart()
	}
	return l.clock
}

// mostOnClock is how long a message or its answer may be that has not taken the time
// of the next call.
const mostOnClock = 1 << 10

// handled notes that between two calls n bytes were decoded or encoded.
func (l *leader) handled(n int) {
	if l != nil && n > mostOnClock {
		l.clock = 0
	}
}

// ended is sinceStart for an observed call that ends on the goroutine of l.
func (l *leader) ended() time.Duration {
	now := sinceStart()
	if l != nil {
		l.clock = now
	}
	return now
}

// finishDetached follows a call that has kept the goroutine of l.
func (l *leader) finishDetached(inv *invocation) {
	defer l.conn.hub.running.done() // entered by detach
	l.role = detached
	inv.finish()
}

// await calls wait, and after it then with the leader: another one than l if l
// reads for the transport, and so must not wait. wait should end with the
// connection, see inbox.whenOver: then is not called if it has. inv, if not
// nil, is what waits.
func (l *leader) await(inv *invocation, wait func(), then func(*leader)) {
	c := l.conn
	if l.isReader {
		c.in.putBack(l.rest)
		l.promote(func(next *leader) { next.await(inv, wait, then) })
		return
	}
	l.clock = 0
	c.hub.watch.leave(l)
	c.in.hold(len(l.rest))
	c.bytes.Uncork()
	c.waitLooking(l.rest, inv, wait)
	c.heard() // meanwhile it could not be
	c.bytes.Cork()
	if then != nil && !c.in.over.Load() {
		then(l)
	}
}

// promote starts a goroutine that leads in the place of l. It begins with
// first, if that is not nil, and goes on with the inbox.
func (l *leader) promote(first func(next *leader)) {
	l.rest, l.role = nil, following
	next := newLeader(l.conn, false)
	l.conn.hub.running.Go(func() { next.goOn(first) })
}

// detach lets another goroutine go on in the place of that of l, unless the call
// of the given turn has returned or was detached already. It may be called by
// any goroutine. Of a registration only the reading goes on elsewhere.
func (l *leader) detach(turn uint64) {
	if turn&registers != 0 {
		l.relieve(turn)
		return
	}
	if turn&1 == 0 || !l.turn.CompareAndSwap(turn, turn+1) {
		return
	}
	// The goroutine of l no longer changes these fields: it is in the call, and
	// when that returns it sees by turn that it was detached.
	c, inv := l.conn, l.running
	c.hub.running.enter() // the method may outlive its connection, also on a goroutine of the transport
	c.hub.watch.leave(l)
	inv.method.hasBlocked()
	next := newLeader(c, l.isReader)
	next.rest, next.borrowed = l.rest, true
	c.hub.running.Go(func() {
		next.goOn(func(*leader) {
			c.track(inv)     // from now on a CancelInvocation can be read while it runs
			c.bytes.Uncork() // the answers before the slow call
		})
	})
}

// goOn is the goroutine of a leader that was promoted.
func (l *leader) goOn(first func(*leader)) {
	c := l.conn
	if l.goOnLeading(first) {
		c.bytes.ReadOn()
	}
}

// goOnLeading reports whether the goroutine must read on.
func (l *leader) goOnLeading(first func(*leader)) (readOn bool) {
	defer l.end()
	c := l.conn
	if first != nil {
		first(l)
	}
	if l.role == leading { // else a call has kept the goroutine: others cork and uncork now
		c.bytes.Cork()
		l.lead()
	}
	if l.role == detached {
		return false
	}
	c.bytes.Uncork()
	return l.isReader
}

// end is deferred by every goroutine that may lead. Where user code has ended the
// goroutine by runtime.Goexit, which no guard can stop, nobody leads any more.
func (l *leader) end() {
	if l.role != detached { // else its slot was taken
		l.conn.hub.watch.leave(l)
	}
	switch v := recover(); {
	case v != nil:
		l.conn.crash(v)
	case l.role == leading:
		l.conn.exited(l.isReader)
	case l.role == resigned: // in other roles, a call may still use the scratch memory
		l.conn, l.rest, l.running = nil, nil, nil
		leaders.Put(l)
	}
}
