package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Call is what a hub method knows of who called it: the connection, its user
// and request, and the ways to reach it and other clients. OnConnected and
// OnDisconnected are given one, too. It may be kept after the method has
// returned; its methods are safe for concurrent use.
type Call struct {
	inv *invocation     // what runs; shared by all copies of the Call
	ctx context.Context // not nil: in place of that of inv
}

// Context ends when the connection ends, when the client cancels the call or
// its stream, and when the method, with the stream that it returned, is done.
func (c *Call) Context() context.Context {
	if c.ctx != nil {
		return c.ctx
	}
	return c.inv.context()
}

// WithContext returns a copy of the call with another context, for a Filter that
// hands it on: the method finds ctx in Call.Context and in its context.Context
// parameter. ctx is usually made from Context and has a value, such as a span,
// or a deadline more. The context of the copy ends with the call, also if ctx
// does not. It panics if ctx is nil.
func (c *Call) WithContext(ctx context.Context) *Call {
	if ctx == nil {
		panic("server: WithContext needs a context")
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(c.inv.context(), cancel)
	return &Call{inv: c.inv, ctx: ctx}
}

// ConnectionContext ends when the connection ends, and not before: whether the
// call has returned, or was cancelled, does not matter to it.
func (c *Call) ConnectionContext() context.Context { return c.inv.conn.Context() }

// ConnectionID is the public id of the caller's connection. It is what Client
// and the groups take, and what the client knows as its connectionId.
func (c *Call) ConnectionID() string { return c.inv.conn.ID() }

// User is who Options.Authenticate said the client is. It stays the same as long
// as the call runs; see LatestUser.
func (c *Call) User() User {
	if c.inv.user != nil {
		return *c.inv.user
	}
	return c.inv.conn.User()
}

// UserID names the caller as Clients().User does. It is empty for anonymous
// clients, unless Options.UserID says otherwise.
func (c *Call) UserID() string { return c.inv.conn.UserID() }

// Request is the HTTP request that opened the connection: headers, cookies,
// query and remote address. With long polling it is the first poll. Its body is
// empty, and it must not be changed. Values that middleware has put into its
// context are there; the context does not end with the connection (Context
// does).
func (c *Call) Request() *http.Request { return c.inv.conn.Request() }

// LocalAddr is the address of this server that the client has reached, as
// net/http gives it in http.LocalAddrContextKey, or nil where nothing does.
func (c *Call) LocalAddr() net.Addr {
	r := c.Request()
	if r == nil {
		return nil
	}
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// Header returns what the client has put under name into the headers of this
// call's message, or "". They are those of the hub protocol, not of HTTP, and
// names are compared byte by byte. The hooks of a hub have none.
func (c *Call) Header(name string) string {
	for _, h := range c.inv.headers() {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Headers are all headers of this call's message; see Header. The map is the
// caller's.
func (c *Call) Headers() map[string]string {
	all := make(map[string]string, len(c.inv.headers()))
	for _, h := range c.inv.headers() {
		all[h.Name] = h.Value
	}
	return all
}

// Transport is the transport of the connection.
func (c *Call) Transport() Transport { return c.inv.conn.Transport() }

// Items holds whatever the hub wants to remember for the connection.
func (c *Call) Items() *sync.Map { return c.inv.conn.Items() }

// Abort closes the connection; the client does not reconnect. The method goes
// on, but what it sends to its caller is dropped. OnDisconnected gets no error.
func (c *Call) Abort() { c.inv.conn.closeByHub(ending{how: endedByAbort}) }

// Close closes the connection as Abort does, and tells the client why: reason
// is the error of the Close message, unchanged, whatever
// Options.EnableDetailedErrors says, and none if it is empty. allowReconnect
// lets a client that reconnects automatically come back, as after Hub.Shutdown;
// false is the right choice for one that is not welcome any more.
func (c *Call) Close(reason string, allowReconnect bool) {
	c.inv.conn.closeByHub(closedByHub(reason, allowReconnect))
}

func closedByHub(reason string, allowReconnect bool) ending {
	return ending{how: endedByHub, reason: strings.ToValidUTF8(reason, "\uFFFD"), allowReconnect: allowReconnect}
}

// Logger is Options.Logger with the hub's name and the connection's id. None of
// its lines is left out.
func (c *Call) Logger() *slog.Logger {
	return c.inv.conn.hub.userLog.With("connection", c.inv.conn.ID())
}

// Clients addresses the caller and others. In OnDisconnected nothing reaches
// the caller any more.
func (c *Call) Clients() CallClients {
	return CallClients{fromOutside: c.inv.conn.hub.Clients(), call: c}
}

// Groups adds connections, the caller's or others, to groups.
func (c *Call) Groups() Groups { return c.inv.conn.hub.Groups() }

// Method is the name of the hub method as clients know it. It is empty in
// OnConnected and OnDisconnected.
func (c *Call) Method() string {
	if c.inv.method == nil {
		return ""
	}
	return c.inv.method.name
}

// Arguments are pointers to what the method's parameters will be, in order and
// without *Call; a Filter may change what they point to. For a stream that the
// client sends, and for a context, there is nil.
func (c *Call) Arguments() []any {
	c.inv.conn.mu.Lock() // a goroutine of Authorize may ask while openUploads changes them
	args := slices.Clone(c.inv.args)
	c.inv.conn.mu.Unlock()
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
	c.inv.conn.mu.Lock() // as in Arguments
	uploads := c.inv.uploads()
	c.inv.conn.mu.Unlock()
	for _, u := range uploads {
		if err := u.failure(); err != nil {
			return err
		}
	}
	return nil
}
