package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// An invocation is one call of a hub method, or of a hook of the hub, while it
// runs: what user code does not see behind its Call.
type invocation struct {
	call   Call // as user code sees it
	conn   *connection
	method *method // nil in the hub's hooks
	user   User    // where refreshes are enabled: who it was when the call began

	ctxMu  sync.Mutex         // guards ctx, cancel and over
	ctx    context.Context    // made when it is asked for
	cancel context.CancelFunc // of ctx
	over   bool               // cancelled, or the method has returned

	connecting atomic.Bool // OnConnected is running
	id         string
	streaming  bool  // it came as a StreamInvocation
	args       []any // bound; one for each parameter, *upload for streams
	uploads    []*upload
	streams    int          // counted in conn.streams
	permit     atomic.Int32 // noPermit, permitHeld or permitLent

	// While it runs on a goroutine lent by a reader or pump; see inline.go.
	inline atomic.Int32
	turn   atomic.Uint32 // how often it has been inline; a pooled call more than once
	slot   int32
	role   role
	rest   []byte // what the loop goes on with if the goroutine is kept

	room *callRoom // not nil: a call that no user code can keep, see pool.go

	cancelable atomic.Bool // CancelInvocation finds it
	untracked  bool        // over: CancelInvocation no longer finds it; guarded by conn.mu
	closed     bool        // its uploads were closed; owned by the goroutine that runs it
}

// context is that of the method's Call. It is made when it is asked for.
func (c *invocation) context() context.Context {
	c.ctxMu.Lock()
	defer c.ctxMu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(c.conn.ctx)
		if c.over {
			c.cancel()
		}
	}
	return c.ctx
}

// endContext ends the context, if anybody has asked for it or ever does.
func (c *invocation) endContext() {
	c.ctxMu.Lock()
	defer c.ctxMu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// sendCaller sends to the caller and waits while too much is on its way to it.
func (c *invocation) sendCaller(ctx context.Context, m *Message) error {
	if c.conn.wouldWait() {
		c.keepGoroutine()
	}
	if err := c.conn.hub.manager.ready(m); err != nil {
		return err
	}
	err := c.conn.sendWait(ctx, m)
	if errors.Is(err, ErrConnectionClosed) {
		return nil // who is gone is no error, as with every send
	}
	return err
}

var errNoResultsInOnConnected = WithErrorType("InvalidOperationException",
	errors.New("Client results inside OnConnectedAsync Hub methods are not allowed."))

// beforeClientResult lets the connection read on while this call waits for an
// answer, which may be the caller's own.
func (c *invocation) beforeClientResult() error {
	if c.connecting.Load() {
		return errNoResultsInOnConnected
	}
	c.keepGoroutine()
	if c.permit.CompareAndSwap(permitHeld, permitLent) {
		c.conn.waiting.Add(1)
		c.conn.permits.release()
	}
	return nil
}

// States of Call.permit.
const (
	noPermit   int32 = iota
	permitHeld       // one of conn.permits
	permitLent       // given back while the call goes on; it counts in conn.waiting
)

// releasePermit is called when the call is over.
func (c *invocation) releasePermit() {
	switch c.permit.Swap(noPermit) {
	case permitHeld:
		c.conn.permits.release()
	case permitLent:
		c.conn.waiting.Add(-1)
	}
}

// complete answers the call with a result, if an answer was asked for.
func (c *invocation) complete(kind protocol.ResultKind, result any) {
	c.answer(protocol.Completion{Kind: kind, Result: result})
}

// fail answers the call with an error, if an answer was asked for.
func (c *invocation) fail(text string) {
	c.answer(protocol.Completion{Kind: protocol.ResultError, Error: text})
}

// onHeap is a function of its own so that answer need not allocate each time.
func onHeap(m protocol.Completion) *protocol.Completion { return &m }

func (c *invocation) answer(m protocol.Completion) {
	if c.id == "" {
		return
	}
	c.settle() // who reads the answer may make the next call
	m.InvocationID = c.id
	if c.room == nil {
		c.conn.reply(c, onHeap(m))
		return
	}
	c.room.answer = m
	c.conn.reply(c, &c.room.answer)
}
