package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/socket"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/transport"
)

// A conn is one service connection: a WebSocket to the service that carries the
// messages of many clients. The goroutine that runs it reads; another one writes
// what is queued.
type conn struct {
	pool   *pool
	kind   int    // wire.ConnectionDefault, ...
	id     string // cid of its URL
	socket *socket.Conn
	wake   chan struct{} // signals the writer
	done   chan struct{} // closed at the end
	finack chan struct{} // signalled when the service has released this server

	heard   atomic.Int64 // time of the last message, in Unix nanoseconds
	clients atomic.Int32 // clients that send through it
	pinged  time.Time    // time of the last ping sent; owned by the reader

	mu      sync.Mutex // innermost: nothing else is locked, and nothing called, while it is held
	out     []byte     // socket.Room bytes, then messages
	flying  int        // bytes that are being written
	mute    bool       // the service accepts nothing more: sends are dropped
	leaving bool       // close once out is written
	closed  bool
	waiting []*client     // clients that found no space
	space   chan struct{} // not nil: senders wait; closed when there is space
}

// Errors of a service connection.
var (
	errNoConnection = errors.New("azure: no service connection")
	errRefused      = errors.New("azure: the service refuses the connection")
	errSilent       = errors.New("azure: the service is silent")
	errNoHandshake  = errors.New("azure: another message than the answer to the handshake")
	errHandshakeOut = errors.New("azure: the handshake is not answered")
	errWriteTimeout = errors.New("azure: the service does not read")
)

// run opens a service connection and serves it until it ends. ready is called once
// the service has accepted it. When ctx is done it is closed properly. A panic ends
// only this connection.
func (p *pool) run(ctx context.Context, kind int, target string, ready func(*conn)) error {
	return rescue.Call(p.s.log, "a service connection", func() error { return p.serve(ctx, kind, target, ready) })
}

func (p *pool) serve(ctx context.Context, kind int, target string, ready func(*conn)) error {
	c := &conn{
		pool: p, kind: kind, id: newGUID(),
		wake: make(chan struct{}, 1), done: make(chan struct{}), finack: make(chan struct{}, 1),
		out: make([]byte, socket.Room),
	}
	dialing, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	header, err := p.serverHeader()
	if err != nil {
		return err
	}
	if c.socket, err = socket.Dial(dialing, p.s.opts.Transport, p.serverURL(c.id, target), header); err != nil {
		return err
	}
	c.heard.Store(time.Now().UnixNano())
	var writing sync.WaitGroup
	writing.Go(func() {
		if rescue.Call(p.s.log, "a service connection", func() error { c.write(); return nil }) != nil {
			c.socket.Cut()
		}
	})
	stop := context.AfterFunc(ctx, c.leave)
	defer func() {
		stop()
		c.end()
		writing.Wait()
	}()
	c.control(&wire.HandshakeRequest{
		Version: wire.ProtocolVersion, ConnectionType: kind,
		MigrationLevel: p.s.migrationLevel(), AllowStatefulReconnects: p.s.stateful,
	})
	return c.read(ready)
}

// read handles incoming messages, beginning with the answer to the handshake.
func (c *conn) read(ready func(*conn)) error {
	late := time.AfterFunc(handshakeTimeout, c.leave)
	defer late.Stop()
	var frames wire.Reader
	accepted := false
	for {
		chunk, err := c.socket.Read()
		if err != nil {
			if !accepted && !late.Stop() {
				return errHandshakeOut
			}
			return err
		}
		c.heard.Store(time.Now().UnixNano())
		for m, err := range frames.Messages(chunk) {
			if errors.Is(err, wire.ErrStuck) {
				c.part()
				return err
			}
			if accepted {
				c.handle(m, err)
				continue
			}
			late.Stop()
			if err := c.welcome(m); err != nil {
				c.part()
				return err
			}
			accepted = true
			c.pinged = time.Now()
			ready(c)
		}
		if accepted {
			c.keepAlive()
		}
	}
}

// welcome reads the answer to the handshake.
func (c *conn) welcome(m wire.Message) error {
	answer, ok := m.(*wire.HandshakeResponse)
	if !ok {
		return errNoHandshake
	}
	if text := wire.Text(answer.ErrorMessage); text != "" {
		return fmt.Errorf("%w: %s", errRefused, text)
	}
	return nil
}

// handle serves one message. A malformed frame is logged and skipped.
func (c *conn) handle(m wire.Message, err error) {
	s := c.pool.s
	if err != nil {
		s.log.Error("bad frame from the service", "connection", c.id, "error", err)
		return
	}
	switch m := m.(type) {
	case *wire.Ping:
		c.ping(m)
	case *wire.OpenConnection:
		s.open(c, m)
	case *wire.CloseConnection:
		s.closed(m)
	case *wire.ConnectionData:
		s.received(m)
	case *wire.ConnectionReconnect:
		if cl := s.client(m.ConnectionID); cl != nil {
			cl.forgetPartial()
		}
	case *wire.ConnectionFlowControl:
		c.flowControl(m)
	case *wire.Ack:
		s.acks.settle(m)
	case *wire.ClientInvocation:
		s.route(m)
	case *wire.ClientCompletion:
		s.completed(m)
	case *wire.ErrorCompletion:
		s.failed(m)
	case *wire.ServiceMapping:
		s.mapInstance(m)
	case *wire.UpdateConnectionClaims:
		s.refreshed(m)
	case *wire.ServiceError:
		if m.ErrorMessage != "" {
			s.log.Error("the service ends a connection", "connection", c.id, "error", m.ErrorMessage)
			c.silence()
		}
	case *wire.ServiceEvent:
		s.log.Debug("event of the service", "connection", c.id, "type", m.ObjectType, "id", wire.Text(m.ID), "kind", m.Kind, "text", m.Message)
	default:
		s.log.Error("unexpected message from the service", "connection", c.id, "type", m.Type())
	}
}

// control queues m regardless of how much is queued.
func (c *conn) control(m wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(m)
}

func (c *conn) putLocked(m wire.Message) {
	if c.mute || c.closed || c.leaving {
		return
	}
	c.out = wire.Append(c.out, m)
	select {
	case c.wake <- struct{}{}:
	default: // it is already signalled
	}
}

func (c *conn) fullLocked() bool {
	return len(c.out)-socket.Room+c.flying >= c.pool.s.opts.MaximumQueuedBytes
}

// push queues m once there is space for it. Its error is errNoConnection if the
// connection has ended, or that of ctx.
func (c *conn) push(ctx context.Context, m wire.Message) error {
	for {
		c.mu.Lock()
		switch {
		case c.closed || c.mute || c.leaving:
			c.mu.Unlock()
			return errNoConnection
		case !c.fullLocked():
			c.putLocked(m)
			c.mu.Unlock()
			return nil
		}
		if c.space == nil {
			c.space = make(chan struct{})
		}
		space := c.space
		c.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// data queues one hub message for cl, or reports false: cl is then notified once
// there is space.
func (c *conn) data(cl *client, f transport.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fullLocked() && !c.closed && !c.mute {
		c.waiting = append(c.waiting, cl)
		return false
	}
	c.putLocked(&wire.ConnectionData{ConnectionID: cl.id, Payload: f.Payload(), DataType: dataType(f.Kind())})
	return true
}

func dataType(k transport.Kind) int {
	switch k {
	case transport.KindHandshake:
		return wire.DataHandshake
	case transport.KindCall:
		return wire.DataInvocation
	case transport.KindClose:
		return wire.DataClose
	}
	return wire.DataOther
}

// write is the goroutine that writes everything queued meanwhile as one message. It
// ends with the connection.
func (c *conn) write() {
	var spare []byte
	cut := time.AfterFunc(time.Hour, func() {
		c.pool.s.log.Error("service connection cut", "connection", c.id, "error", errWriteTimeout)
		c.socket.Cut()
	})
	defer cut.Stop()
	cut.Stop()
	for {
		c.mu.Lock()
		b, leaving, closed := c.out, c.leaving, c.closed
		if len(b) > socket.Room {
			c.out = append(spare[:0], make([]byte, socket.Room)...)
			c.flying = len(b) - socket.Room
		}
		c.mu.Unlock()
		switch {
		case closed:
			return
		case len(b) > socket.Room:
			cut.Reset(writeTimeout)
			err := c.socket.Write(b)
			cut.Stop()
			if spare = b; cap(spare) > 64<<10 {
				spare = nil // do not keep the memory of one burst
			}
			c.written()
			if err != nil {
				c.socket.Cut() // the reader's error says more
				return
			}
		case leaving:
			cut.Reset(closeTimeout)
			if c.socket.CloseNormal() != nil {
				c.socket.Cut()
				return
			}
			<-c.done // the service's close frame, or the time for it
			return
		default:
			select {
			case <-c.wake:
			case <-c.done:
				return
			}
		}
	}
}

// written wakes those that wait for space.
func (c *conn) written() {
	c.mu.Lock()
	c.flying = 0
	var waiting []*client
	if len(c.out)-socket.Room <= c.pool.s.opts.MaximumQueuedBytes/2 {
		waiting, c.waiting = c.waiting, nil
		c.spaceLocked()
	}
	c.mu.Unlock()
	for _, cl := range waiting {
		cl.ready()
	}
}

func (c *conn) spaceLocked() {
	if c.space != nil {
		close(c.space)
		c.space = nil
	}
}

// leave closes the connection with code 1000 after what is queued.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.spaceLocked()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// part closes the connection from the goroutine that reads: further messages are
// dropped. It waits for the service's close frame, or closeTimeout.
func (c *conn) part() {
	c.leave()
	for {
		if _, err := c.socket.Read(); err != nil {
			return
		}
	}
}

// silence stops all sending on the connection; incoming messages are still served.
func (c *conn) silence() {
	c.mu.Lock()
	c.mute = true
	c.out = c.out[:socket.Room]
	waiting := c.waiting
	c.waiting = nil
	c.spaceLocked()
	c.mu.Unlock()
	c.pool.left(c)
	for _, cl := range waiting {
		cl.ready()
	}
}

// usable reports whether something can be sent through c.
func (c *conn) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && !c.mute && !c.leaving
}

// end ends the connection; its clients are lost.
func (c *conn) end() {
	c.mu.Lock()
	c.closed = true
	c.waiting = nil
	c.spaceLocked()
	c.mu.Unlock()
	close(c.done)
	c.socket.Cut()
	c.pool.left(c)
	c.pool.s.lost(c)
}

// serverHeader is what a service connection is asked for with.
func (p *pool) serverHeader() (http.Header, error) {
	token, err := p.serverToken()
	if err != nil {
		return nil, err
	}
	return http.Header{
		"Asrs-User-Agent":  {userAgent},
		"X-Asrs-Server-Id": {p.s.serverID},
		"X-Requested-With": {"XMLHttpRequest"},
		"Authorization":    {"Bearer " + token},
	}, nil
}
