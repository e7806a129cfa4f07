package server

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// An invocation is one call of a hub method, or of a hook of the hub, while it
// runs: the part that user code does not see of its Call.
type invocation struct {
	call   Call // as user code sees it
	conn   *connection
	method *method // nil in the hub's hooks
	user   *User   // who it was when the call began; nil where refreshes are not enabled

	lazyCtx lazyContext     // see callContext
	ctxMu   sync.Mutex      // guards ctx, and what beginsIn notes
	ctx     context.Context // not nil: what Observer.Trace has made of the callContext

	id   string
	args []any  // a pointer for each parameter, *upload for streams
	one  [1]any // memory of args, which most have no more of
	rare *rareOfCall

	leader *leader // that began to run it, in its turn; nil: it began on a goroutine of its own; see beginsIn
	turn   uint64

	permit      atomic.Int32 // noPermit, permitHeld or permitReturned
	connecting  atomic.Bool  // OnConnected is running
	authorizing atomic.Bool  // authorizeWhileOthersWait is
	cancelable  atomic.Bool  // CancelInvocation finds it
	streaming   bool         // it came as a StreamInvocation
	allowed     bool         // set by authorizeWhileOthersWait
	untracked   bool         // over: CancelInvocation no longer finds it; guarded by conn.mu
}

// rareOfCall is what few calls have: those with headers, and those that stream. It is made
// before any user code knows the call.
type rareOfCall struct {
	headers   []protocol.Header
	streamIDs []string
	uploads   []*upload // changed by openUploads only, under conn.mu
	streams   int       // counted in conn.streams
	closed    bool      // the uploads were closed; owned by the goroutine that runs the call
}

// accept notes what m says of the call, but for its arguments.
func (inv *invocation) accept(m *protocol.Invocation, streaming bool) {
	inv.id, inv.streaming = m.InvocationID, streaming
	if len(m.Headers) == 0 && len(m.StreamIDs) == 0 && inv.method.plain() { // nearly always
		return
	}
	inv.rare = &rareOfCall{streamIDs: m.StreamIDs}
	if len(m.Headers) > 0 && !inv.method.pool.reuse { // a copy: m is decoded into memory that is used again
		inv.rare.headers = slices.Clone(m.Headers)
	}
}

func (inv *invocation) headers() []protocol.Header {
	if inv.rare == nil {
		return nil
	}
	return inv.rare.headers
}

func (inv *invocation) streamIDs() []string {
	if inv.rare == nil {
		return nil
	}
	return inv.rare.streamIDs
}

func (inv *invocation) uploads() []*upload {
	if inv.rare == nil {
		return nil
	}
	return inv.rare.uploads
}

// admit registers what the call needs while it runs, or says why it must not
// begin. A plain one has its permit.
func (inv *invocation) admit() (refusal string) {
	c, m := inv.conn, inv.method
	if !m.plain() {
		return c.openStreams(inv)
	}
	inv.permit.Store(permitHeld)
	switch {
	case len(inv.streamIDs()) > 0:
		refusal = c.streamCountText(m, len(inv.streamIDs()))
	case m.cancellable && !c.track(inv): // others are tracked once they have a goroutine of their own
		refusal = idInUseText(inv.id)
	default:
		return ""
	}
	inv.releasePermit()
	return refusal
}

// needsGoroutine reports whether the leader must not run the call, which would hold
// it up. Items of an upload come through the leader, so the method would wait for
// itself; and a stream that blocks, or a call beside which others may run, would do so
// until it is detached, a thousand times a second at most.
func (inv *invocation) needsGoroutine() bool {
	if len(inv.uploads()) > 0 {
		return true
	}
	return inv.method.blocks.Load() && (inv.conn.hub.parallel() || !inv.method.plain())
}

// runAlone runs the call on a goroutine of its own.
func (inv *invocation) runAlone() {
	defer inv.conn.survive()
	defer inv.finish()
	if len(inv.uploads()) > 0 { // these always run here
		inv.run()
		return
	}
	began := sinceStart()
	inv.run()
	inv.method.took(sinceStart() - began)
}

// run calls the method and answers the call, also if user code ends the
// goroutine.
func (inv *invocation) run() {
	returned := false
	var w observed
	defer func() {
		if v := recover(); v != nil {
			panic(v) // a bug of this package: see survive
		}
		if !returned {
			w.ended(inv, CallFailed, errGoexit)
			inv.failed(errGoexit)
		}
		inv.conn.closeUploads(inv)
	}()
	if !inv.method.plain() || inv.permitted() {
		w = inv.observe()
		switch result, err := inv.callMethod(); {
		case err != nil:
			w.ended(inv, CallFailed, err)
			inv.failed(err)
		case inv.method.streamsResult():
			inv.stream(w, reflect.ValueOf(result))
		default:
			w.ended(inv, CallSucceeded, nil)
			inv.complete(protocol.ResultValue, result)
		}
	}
	returned = true
}

// callMethod calls user code; a panic is an error.
func (inv *invocation) callMethod() (result any, err error) {
	defer catch(&err)
	if filtered := inv.conn.hub.chain.invoke; filtered != nil {
		return filtered(&inv.call)
	}
	return inv.method.call(&inv.call, inv.args)
}

// failed answers a call whose method has failed.
func (inv *invocation) failed(err error) {
	inv.conn.logFailure(inv.method.name, err)
	inv.fail(inv.conn.invokeText(inv.method, err))
}

// finish follows a call that did not run on the leader's goroutine, or no longer:
// what it sent goes out now, and the next call may start.
func (inv *invocation) finish() {
	inv.settle()
	inv.conn.untrack(inv)
	inv.conn.bytes.Uncork()
	inv.releasePermit()
}

// finishInTime follows a call that the leader has run.
func (inv *invocation) finishInTime() {
	inv.settle()
	switch {
	case inv.cancelable.Load():
		inv.conn.untrack(inv)
	case !inv.method.pool.reuse: // of one that is used again nobody has the context
		inv.endContext()
	}
	inv.releasePermit()
	inv.recycle()
}

// beginsIn notes that l runs the call, in the given turn.
func (inv *invocation) beginsIn(l *leader, turn uint64) {
	if !inv.allowed { // no user code knows the call yet
		inv.leader, inv.turn = l, turn
		return
	}
	inv.ctxMu.Lock() // Authorize may have given it to a goroutine that is in mayBlock
	inv.leader, inv.turn = l, turn
	inv.ctxMu.Unlock()
}

// mayBlock is called where user code is about to wait. The leader that runs the
// call, if one does, is detached.
func (inv *invocation) mayBlock() {
	inv.ctxMu.Lock()
	l, turn := inv.leader, inv.turn
	inv.ctxMu.Unlock()
	if l != nil {
		l.detach(turn)
	}
}

// context is that of the method's Call.
func (inv *invocation) context() context.Context {
	inv.ctxMu.Lock()
	defer inv.ctxMu.Unlock()
	if inv.ctx != nil {
		return inv.ctx
	}
	return (*callContext)(inv)
}

// sendCaller sends m, which the manager is ready for, to the caller. It waits
// while too much is on its way there.
func (inv *invocation) sendCaller(ctx context.Context, m *Message) error {
	if inv.conn.queue().WouldWait() {
		inv.mayBlock()
	}
	err := inv.conn.sendWait(ctx, m)
	if errors.Is(err, ErrConnectionClosed) {
		return nil // a client that is gone is no error, as with every send
	}
	return err
}

var (
	errNoResultsInOnConnected = WithErrorType("InvalidOperationException",
		errors.New("Client results inside OnConnectedAsync Hub methods are not allowed."))
	errNoResultsInAuthorize = WithErrorType("InvalidOperationException",
		errors.New("Client results inside Authorize of Hub methods that stream are not allowed."))
)

// beforeClientResult lets the connection read on while this call waits for a
// client result, which may be the caller's own.
func (inv *invocation) beforeClientResult() error {
	if inv.connecting.Load() {
		return errNoResultsInOnConnected
	}
	if inv.authorizing.Load() { // the answer would wait behind the call
		return errNoResultsInAuthorize
	}
	inv.mayBlock()
	if inv.permit.CompareAndSwap(permitHeld, permitReturned) {
		inv.conn.waiting.Add(1)
		inv.conn.permits.release()
	}
	return nil
}

// States of invocation.permit.
const (
	noPermit       int32 = iota
	permitHeld           // one of conn.permits
	permitReturned       // given back while the call goes on; it counts in conn.waiting
)

// releasePermit is called when the call is over.
func (inv *invocation) releasePermit() {
	switch inv.permit.Swap(noPermit) {
	case permitHeld:
		inv.conn.permits.release()
	case permitReturned:
		inv.conn.waiting.Add(-1)
	}
}
