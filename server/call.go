package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
)

// A Call is what a hub method knows of who called it: the connection, its user
// and request, and the ways to answer others. OnConnected and OnDisconnected
// are given one, too. It may be kept after the method has returned; its methods
// are safe for concurrent use.
type Call struct {
	conn   *connection
	method *method // nil in OnConnected and OnDisconnected
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

// Context ends when the connection ends, when the client cancels the call or
// its stream, and when the method, with the stream that it returned, is done.
func (c *Call) Context() context.Context {
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

// ConnectionContext ends when the connection ends, and not before: whether the
// call has returned, or was cancelled, does not matter to it.
func (c *Call) ConnectionContext() context.Context { return c.conn.ctx }

// endContext ends the call's context, if anybody has asked for it or ever does.
func (c *Call) endContext() {
	c.ctxMu.Lock()
	defer c.ctxMu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// ConnectionID is the public id of the caller's connection. It is what Client
// and the groups take, and what the client knows as its connectionId.
func (c *Call) ConnectionID() string { return c.conn.ID() }

// User is who Options.Authenticate said the client is. It stays the same as long
// as the call runs; see LatestUser.
func (c *Call) User() User {
	if c.conn.refreshes {
		return c.user
	}
	return c.conn.User()
}

// UserID names the caller as Clients().User does. It is empty for anonymous
// clients, unless Options.UserID says otherwise.
func (c *Call) UserID() string { return c.conn.UserID() }

// Request is the HTTP request that opened the connection: headers, cookies,
// query and remote address. With long polling it is the first poll. Its body is
// empty, and it must not be changed. Values that middleware has put into its
// context are there; the context does not end with the connection (Context
// does).
func (c *Call) Request() *http.Request { return c.conn.Request() }

// Transport is the transport of the connection.
func (c *Call) Transport() Transport { return c.conn.Transport() }

// Items holds whatever the hub wants to remember for the connection.
func (c *Call) Items() *sync.Map { return c.conn.Items() }

// Abort closes the connection; the client does not reconnect. The method goes
// on, but what it sends to its caller is dropped.
func (c *Call) Abort() { c.conn.Abort() }

// Logger is Options.Logger with the hub's name and the connection's id. None of
// its lines is left out.
func (c *Call) Logger() *slog.Logger { return c.conn.hub.userLog.With("connection", c.conn.ID()) }

// Clients addresses the caller and others. In OnDisconnected nothing reaches
// the caller any more.
func (c *Call) Clients() CallClients {
	return CallClients{Clients: c.conn.hub.Clients(), call: c}
}

// Groups adds connections, the caller's or others, to groups.
func (c *Call) Groups() Groups { return c.conn.hub.Groups() }

// Method is the name of the hub method as clients know it. It is empty in
// OnConnected and OnDisconnected.
func (c *Call) Method() string {
	if c.method == nil {
		return ""
	}
	return c.method.name
}

// Arguments are pointers to what the method's parameters will be, in order and
// without *Call; a Filter may change what they point to. For a stream that the
// client sends, and for a context, there is nil.
func (c *Call) Arguments() []any {
	args := slices.Clone(c.args)
	for i, a := range args {
		if _, stream := a.(*upload); stream {
			args[i] = nil
		}
	}
	return args
}

// UploadError says why a stream that the client sends ended before its end:
// nil, or a *HubError with the client's text, or with "Failed to bind Stream
// message." for an item of the wrong type, or the end of the connection. A
// method that takes its stream as a channel asks it once the channel is closed;
// an iter.Seq2[T, error] yields the same error itself.
func (c *Call) UploadError() error {
	for _, u := range c.uploads {
		if err := u.failure(); err != nil {
			return err
		}
	}
	return nil
}

// sendCaller sends to the caller and waits while too much is on its way to it.
func (c *Call) sendCaller(ctx context.Context, m *Message) error {
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
func (c *Call) beforeClientResult() error {
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
func (c *Call) releasePermit() {
	switch c.permit.Swap(noPermit) {
	case permitHeld:
		c.conn.permits.release()
	case permitLent:
		c.conn.waiting.Add(-1)
	}
}

// complete answers the call with a result, if an answer was asked for.
func (c *Call) complete(kind protocol.ResultKind, result any) {
	c.answer(protocol.Completion{Kind: kind, Result: result})
}

// fail answers the call with an error, if an answer was asked for.
func (c *Call) fail(text string) {
	c.answer(protocol.Completion{Kind: protocol.ResultError, Error: text})
}

// onHeap is a function of its own so that answer need not allocate each time.
func onHeap(m protocol.Completion) *protocol.Completion { return &m }

func (c *Call) answer(m protocol.Completion) {
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
