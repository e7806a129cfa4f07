package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/transport"
)

// A Connection is a raw connection: a stream of bytes each way, over whichever
// transport the client has chosen, without any hub protocol. The boundaries of
// writes mean nothing on the other side, but each Write is sent whole. It is
// safe for concurrent use; it is what SignalR calls a ConnectionContext.
type Connection struct {
	bytes *transport.Conn
	ctx   context.Context
	stop  context.CancelFunc
	rates *rates // nil: no RateLimit

	started  int64       // when its transport did, in Unix nanoseconds, if there is an observer
	goneTold atomic.Bool // the observer knows that it has ended

	mu      sync.Mutex
	buf     []byte
	binary  bool
	ended   bool
	cause   error
	status  ConnectionStatus // empty: normal
	changed chan struct{}    // closed, and made anew, at every change that a goroutine waits for
}

// ID is the public connection id.
func (c *Connection) ID() string { return c.bytes.ID() }

// Context has the values of that of Request, a span for instance, and ends when the
// connection does.
func (c *Connection) Context() context.Context { return c.ctx }

// Request is the HTTP request that opened the connection; see Call.Request.
func (c *Connection) Request() *http.Request { return c.bytes.Request() }

// User is who ConnectionOptions.Authenticate said the client is.
func (c *Connection) User() User {
	user, _ := c.bytes.User().(User)
	return user
}

// Transport is the transport of the connection.
func (c *Connection) Transport() Transport { return Transport(c.bytes.Transport()) }

// SetBinary selects binary WebSocket messages for what is written from now on;
// false, the default, selects text, which must be UTF-8.
func (c *Connection) SetBinary(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.binary = on
}

// Read reads what the client has sent. It returns io.EOF when the client has
// ended the connection, has gone away or does not come back, and at Shutdown,
// as hubs see no error then; ErrConnectionClosed after Close; and another error
// where the client broke the WebSocket protocol or does not read.
func (c *Connection) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) == 0 {
		if c.ended {
			if c.cause != nil {
				return 0, c.cause
			}
			return 0, io.EOF
		}
		c.wait(nil)
	}
	n := copy(p, c.buf)
	if c.buf = c.buf[n:]; len(c.buf) == 0 {
		c.buf = nil
	}
	c.notify()
	return n, nil
}

// Write sends p to the client as one message. It waits while more than
// EndpointOptions.TransportMaxBufferSize bytes are on their way. After the end
// it returns ErrConnectionClosed.
func (c *Connection) Write(p []byte) (int, error) {
	c.mu.Lock()
	binary := c.binary
	c.mu.Unlock()
	frame := transport.BuildFrame(append(transport.NewFrameBuffer(len(p)), p...), binary)
	if err := c.bytes.SendWait(c.ctx, frame); err != nil {
		if errors.Is(err, transport.ErrClosed) || c.ctx.Err() != nil {
			return 0, ErrConnectionClosed
		}
		return 0, err
	}
	return len(p), nil
}

// Close cuts the connection without a farewell. To end it in the normal way,
// return from the handler.
func (c *Connection) Close() error {
	c.bytes.Abort(ErrConnectionClosed)
	return nil
}

// wait gives up the lock until something has changed, or until stop.
func (c *Connection) wait(stop <-chan struct{}) (stopped bool) {
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-changed:
		return false
	case <-stop:
		return true
	}
}

func (c *Connection) notify() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// rawApp is a Connection as its transport sees it.
type rawApp struct {
	*Connection
	handler *ConnectionHandler
}

// Start implements transport.App.
func (a rawApp) Start() {
	if o := a.handler.observer; o != nil {
		a.started = time.Now().UnixNano()
		if o.ConnectionStarted != nil {
			o.ConnectionStarted("", a.Transport())
		}
	}
	a.bytes.Opened()
	a.handler.running.Go(a.serve)
}

// Gone implements transport.Goner.
func (a rawApp) Gone() {
	o := a.handler.observer
	if o == nil || o.ConnectionEnded == nil || a.goneTold.Swap(true) {
		return
	}
	a.mu.Lock()
	status := a.status
	a.mu.Unlock()
	if status == "" {
		status = NormalClosure
	}
	o.ConnectionEnded(ConnectionEnd{"", a.Transport(), status, time.Since(time.Unix(0, a.started))})
}

func (a rawApp) serve() {
	log, begin := a.handler.log, time.Now()
	if log.Enabled(a.ctx, slog.LevelInfo) {
		log.Info(rescue.LineOpened, "connection", a.ID(), "transport", a.Transport().String(), "user", a.User().ID, "remote", a.Request().RemoteAddr)
	}
	err := error(errGoexit) // unless the handler returns
	defer func() { a.served(begin, err) }()
	err = guard(func() error { return a.handler.serve(a.Connection) })
}

// served ends the connection, whose handler began at begin and has ended with err.
func (a rawApp) served(begin time.Time, err error) {
	log := a.handler.log
	a.stop()
	a.rates.leave()
	a.mu.Lock()
	cause := a.cause
	a.mu.Unlock()
	closed := []any{"connection", a.ID(), "after", time.Since(begin).Round(time.Millisecond)}
	if cause != nil {
		closed = append(closed, "error", cause)
	}
	log.Info(rescue.LineClosed, closed...)
	switch p, panicked := asError[*panicError](err); {
	case err == nil, isError(err, ErrConnectionClosed), isError(err, io.EOF):
	case cause != nil && isError(err, cause): // the handler returns the error of Read
	case panicked:
		log.Error("panic in user code", "in", "the connection handler", "connection", a.ID(), "panic", p.value, "stack", string(p.stack))
		a.bytes.FinishError()
		return
	default:
		log.Error("connection handler failed", "type", fmt.Sprintf("%T", err), "connection", a.ID(), "error", describe(err).text)
		a.bytes.FinishError()
		return
	}
	a.bytes.Finish()
}

// Receive implements transport.App.
func (a rawApp) Receive(p []byte, isReader bool) bool {
	if a.rates != nil && !a.mayReceive(len(p), isReader) {
		return isReader
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.buf) >= receiveBuffer {
		a.mu.Unlock()
		a.bytes.Uncork()
		a.bytes.BeforeWait()
		a.mu.Lock()
		if len(a.buf) >= receiveBuffer && a.wait(a.bytes.Done()) {
			return isReader
		}
	}
	a.buf = append(a.buf, p...)
	a.notify()
	return true
}

// mayReceive is connection.mayReceive.
func (a rawApp) mayReceive(n int, isReader bool) bool {
	wait, whose := a.rates.receive(n)
	if wait == 0 {
		return true
	}
	l := a.rates.limit
	l.pauses.Add(1)
	a.handler.log.Info("client held back", "reason", "the rate of its "+whose, "connection", a.ID(), "for", wait.Round(time.Millisecond))
	if wait > longestPause {
		l.closed.Add(1)
		a.bytes.Abort(ErrRateLimit)
		return false
	}
	a.bytes.Uncork()
	a.bytes.BeforeWait()
	if !pause(wait, a.bytes.Done()) {
		return false
	}
	if isReader {
		a.bytes.Cork()
	}
	return true
}

// Ended implements transport.App.
func (a rawApp) Ended(cause error) {
	status := endStatus(cause)
	if o := a.handler.observer; o != nil && o.ClientTooSlow != nil && (errors.Is(cause, transport.ErrTooSlow) || errors.Is(cause, transport.ErrSendTimeout)) {
		o.ClientTooSlow("", a.Transport())
	}
	// A client that leaves or does not come back is no error, as for hubs.
	if errors.Is(cause, transport.ErrLost) || errors.Is(cause, transport.ErrTimeout) {
		cause = nil
	}
	a.mu.Lock()
	if !a.ended { // Shutdown may come while the connection ends
		a.ended, a.cause = true, cause
	}
	if a.status == "" {
		a.status = status
	}
	a.notify()
	a.mu.Unlock()
	a.stop()
}

// Shutdown implements transport.App: the handler sees the end of its input.
func (a rawApp) Shutdown() {
	a.mu.Lock()
	a.status = AppShutdown
	a.mu.Unlock()
	a.Ended(nil)
}

// Tick implements transport.App.
func (a rawApp) Tick(time.Time) time.Duration { return math.MaxInt64 }

// ConnectionOptions configures a raw endpoint. Nil and the zero value mean
// defaults.
type ConnectionOptions struct {
	// Endpoint configures the transports.
	Endpoint EndpointOptions

	// Authenticate says who sent a request; see Options.Authenticate. It counts
	// where Endpoint has none.
	Authenticate func(r *http.Request) (User, error)

	// Nodes are those of a fleet that all serve this endpoint, so that the balancer
	// in front needs no sticky sessions; Redis.Nodes of package backplane returns
	// them. Nil means that a node serves the connections that were negotiated with
	// it.
	Nodes Nodes

	// RateLimit bounds the bytes of clients by time, as Options.RateLimit does; of
	// users by User.ID. Close is without a word. Nil means no bound.
	RateLimit *RateLimit

	// Logger receives the endpoint's log: connections and refused credentials
	// at Info, failures of the handler at Error. See Options.Logger.
	Logger *slog.Logger

	// Observer is told of connections; see Options.Observer.
	Observer *Observer
}

// A ConnectionHandler serves raw connections on one route, as MapConnectionHandler
// of ASP.NET Core does. It is an http.Handler; Mount registers it.
type ConnectionHandler struct {
	serve    func(*Connection) error
	endpoint *transport.Endpoint
	log      *slog.Logger
	draining atomic.Bool
	observer *Observer // nil: nobody observes
	running  tasks
}

// NewConnectionHandler returns a handler that calls serve for each connection,
// on a goroutine of its own. When serve returns nil the connection ends in the
// normal way, after what was written has been sent; on an error or a panic,
// which are logged, clients see close code 1011. It panics with a *HubTypeError
// if serve is nil or opts are wrong.
func NewConnectionHandler(serve func(*Connection) error, opts *ConnectionOptions) *ConnectionHandler {
	if opts == nil {
		opts = &ConnectionOptions{}
	}
	errs := opts.Endpoint.check("Endpoint.")
	if r := opts.RateLimit; r != nil && r.users == nil {
		errs = append(errs, errEmptyRateLimit)
	}
	if serve == nil {
		errs = append(errs, errors.New("serve is nil"))
	}
	if err := newHubTypeError("ConnectionHandler", errs); err != nil {
		panic(err)
	}
	h := &ConnectionHandler{serve: serve, log: rescue.Limited(rescue.Logger(opts.Logger))}
	h.observer = guardedObserver(opts.Observer, h.log)
	t := opts.Endpoint.transportOptions(opts.Authenticate, h.log)
	if opts.Nodes != nil {
		setCluster(&t, opts.Nodes.EndpointCluster())
	}
	h.endpoint = transport.NewEndpoint(t, func(bytes *transport.Conn) transport.App {
		c := &Connection{bytes: bytes, rates: opts.RateLimit.of(func() string { return opts.Endpoint.clientAddress(bytes.Request()) })}
		c.rates.identify(c.User().ID)
		c.ctx, c.stop = context.WithCancel(bytes.RequestContext())
		return rawApp{c, h}
	})
	return h
}

// ServeHTTP serves the route at which it is mounted, and what is below it: negotiate
// and the transports. It is safe for concurrent use, as handlers are.
func (h *ConnectionHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.endpoint.ServeHTTP(w, r)
}

// Shutdown refuses new connections, lets the handlers of all others read the
// end of their input, and waits for them until ctx is done.
func (h *ConnectionHandler) Shutdown(ctx context.Context) error {
	return errors.Join(h.endpoint.Shutdown(ctx), h.running.wait(ctx))
}
