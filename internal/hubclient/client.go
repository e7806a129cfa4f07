package hubclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// defaultPing is how often a client says that it is alive, as official clients
// do.
const defaultPing = 15 * time.Second

// ErrClosed is what calls return once the connection has ended.
var ErrClosed = errors.New("hubclient: connection closed")

// A CloseMessage is how a server ends a connection by a message.
type CloseMessage struct{ protocol.Close }

func (e *CloseMessage) Error() string {
	return fmt.Sprintf("hubclient: the server has closed the connection: %q", e.Close.Error)
}

// A HandshakeError is a refusal of the server, with its text.
type HandshakeError struct{ Text string }

func (e *HandshakeError) Error() string { return e.Text }

// Options says what a client is. ConnOptions.Binary follows from the codec.
type Options struct {
	ConnOptions

	// Codec is what the client speaks. Nil means JSON.
	Codec protocol.Codec

	// PingInterval is the time between two pings. Zero means 15 seconds;
	// negative means never.
	PingInterval time.Duration

	// Receive is called for each method that the server calls, in order, by one
	// goroutine; it must not block. It may keep the message. Nil means that the
	// calls are ignored.
	Receive func(*protocol.Invocation)
}

// A Client is a connection to a hub. Its methods are safe for concurrent use.
type Client struct {
	codec    protocol.Codec
	receive  func(*protocol.Invocation)
	done     chan struct{} // closed at the end
	stateful *replay       // nil: a lost connection is the end
	running  sync.WaitGroup

	mu      sync.Mutex
	conn    *Conn
	reading chan struct{} // closed when the goroutine that reads conn has ended
	err     error         // why the connection has ended
	closed  bool          // by Close or Abort
	ended   bool          // done is closed
	calls   map[string]*Call
	lastID  int
}

// Dial connects to a hub and shakes hands. ctx bounds that. Errors:
// *StatusError, *HandshakeError and those of the network.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if o.Codec == nil {
		o.Codec = protocol.JSON{}
	}
	if o.Receive == nil {
		o.Receive = func(*protocol.Invocation) {}
	}
	if o.PingInterval == 0 {
		o.PingInterval = defaultPing
	}
	o.Binary = o.Codec.Binary()
	conn, err := Open(ctx, o.ConnOptions)
	if err != nil {
		return nil, err
	}
	c := &Client{codec: o.Codec, receive: o.Receive, conn: conn, done: make(chan struct{}), calls: map[string]*Call{}}
	version := 1
	if o.StatefulReconnect {
		c.stateful, version = &replay{}, 2
	}
	rest, err := shakeHands(ctx, conn, protocol.HandshakeRequest{Protocol: o.Codec.Name(), Version: version})
	if err != nil {
		_ = conn.Close() // err says more
		return nil, err
	}
	c.startReading(conn, rest)
	if o.PingInterval > 0 {
		c.running.Go(func() { c.every(o.PingInterval, func() { _ = c.Write(&protocol.Ping{}) }) })
	}
	if c.stateful != nil {
		c.running.Go(func() { c.every(ackInterval, c.acknowledge) })
	}
	return c, nil
}

// shakeHands returns the bytes after the server's answer.
func shakeHands(ctx context.Context, conn *Conn, hello protocol.HandshakeRequest) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() {
		_ = conn.Close() // makes reading and writing fail; that error is reported
	})
	defer stop()
	gone := conn.Write(protocol.AppendHandshakeRequest(nil, hello))
	if refused, ok := errors.AsType[*StatusError](gone); gone != nil && (!ok || refused.Code != http.StatusNotFound) {
		return nil, gone
	} // 404: the server has ended the connection meanwhile, and may have said why
	var buf []byte
	for {
		text, rest, err := protocol.ParseHandshakeResponse(buf)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			more, err := conn.Read()
			if err != nil {
				return nil, errors.Join(ctx.Err(), gone, fmt.Errorf("hubclient: no answer to the handshake: %w", err))
			}
			buf = append(buf, more...)
			continue
		case err == nil && text != "":
			err = &HandshakeError{text}
		}
		return rest, err
	}
}

// every calls f again and again until the client has ended.
func (c *Client) every(interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
			f()
		}
	}
}

// startReading starts the goroutine that reads conn.
func (c *Client) startReading(conn *Conn, buf []byte) {
	reading := make(chan struct{})
	c.mu.Lock()
	c.conn, c.reading = conn, reading
	c.mu.Unlock()
	c.running.Go(func() {
		err := c.read(conn, buf)
		if _, said := errors.AsType[*CloseMessage](err); said {
			_ = conn.Farewell() // as official clients do
		}
		_ = conn.Close() // err says more
		if c.stateful == nil || !lost(err) {
			c.end(err)
		}
		close(reading)
	})
}

// lost reports whether err is of the network, and nothing that the server has
// said.
func lost(err error) bool {
	switch err.(type) {
	case *CloseMessage, *CloseFrame, *StatusError, *protocol.Error:
		return false
	}
	return !errors.Is(err, io.EOF)
}

// end ends the client. The first reason counts.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if !c.closed && !errors.Is(err, io.EOF) {
		c.err = err
	}
	for _, call := range c.calls {
		call.end(nil)
	}
	clear(c.calls)
	close(c.done)
}

// read hands out what the server says, until the connection ends.
func (c *Client) read(conn *Conn, buf []byte) error {
	for {
		m, rest, err := c.codec.Next(buf)
		if errors.Is(err, protocol.ErrIncomplete) {
			more, err := conn.Read()
			if err != nil {
				return err
			}
			buf = append(bytes.Clone(rest), more...) // messages alias buf
			continue
		}
		if err != nil {
			return err
		}
		if c.stateful == nil || c.stateful.fresh(m) {
			if err := c.handle(m); err != nil {
				return err
			}
		}
		buf = rest
	}
}

func (c *Client) handle(m protocol.Message) error {
	switch m := m.(type) {
	case *protocol.Invocation:
		c.receive(m)
	case *protocol.StreamItem:
		if call := c.call(m.InvocationID, false); call != nil {
			call.items.Put(m.RawItem)
		}
	case *protocol.Completion:
		if call := c.call(m.InvocationID, true); call != nil { // else it has been given up
			call.end(m)
		}
	case *protocol.Close:
		return &CloseMessage{*m}
	case *protocol.Ack:
		c.stateful.acked(m.SequenceID)
	case *protocol.Ping, *protocol.Sequence:
	default:
		return fmt.Errorf("hubclient: a message of type %T", m)
	}
	return nil
}

// call returns the call with an id, or nil. over takes it off the list.
func (c *Client) call(id string, over bool) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[id]
	if over {
		delete(c.calls, id)
	}
	return call
}

// Write sends a message of the hub protocol. After the end it returns ErrClosed,
// with the reason.
func (c *Client) Write(m protocol.Message) error {
	frame, err := c.codec.Append(nil, m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	conn, ended := c.conn, c.ended
	c.mu.Unlock()
	if ended {
		return ErrClosed
	}
	if c.stateful != nil && counts(m) {
		c.stateful.write(c.current, frame)
		return nil
	}
	if err := conn.Write(frame); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

func (c *Client) current() *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// ID is the public connection id; empty without negotiation.
func (c *Client) ID() string { return c.current().ID }

// Token is the connection token, which the server has told this client alone; empty
// without negotiation.
func (c *Client) Token() string { return c.current().token }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended: a *CloseMessage, a *CloseFrame, or
// an error of the network. It is nil while the connection lives, after the
// server has ended it in the normal way without a message, and after Close.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close leaves as official clients do, and waits until nothing of the client
// runs. Closing twice is allowed.
func (c *Client) Close() { c.leave((*Conn).Farewell) }

// Abort ends the connection without a word to the server.
func (c *Client) Abort() { c.leave((*Conn).Close) }

func (c *Client) leave(how func(*Conn) error) {
	c.mu.Lock()
	c.closed = true
	conn, reading, ended := c.conn, c.reading, c.ended
	c.mu.Unlock()
	if !ended {
		if how(conn) == nil {
			timer := time.NewTimer(farewellTime)
			defer timer.Stop()
			select {
			case <-reading:
			case <-timer.C: // the server does not answer
			}
		}
		_ = conn.Close() // a connection that is broken, for instance
		<-reading
		c.end(nil)
	}
	c.running.Wait()
}
