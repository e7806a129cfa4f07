// Package hubclient is a SignalR client for tests that need hundreds of them:
// over WebSockets, in JSON or MessagePack, with the codecs of protocol. It
// shares no other code with the server.
package hubclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// pingInterval is how often a client says that it is alive, as official
// clients do.
const pingInterval = 15 * time.Second

// ErrClosed is what calls return once the connection has ended.
var ErrClosed = errors.New("hubclient: connection closed")

// Options says what a client is. The zero value is a client without a user
// that speaks JSON and hears nothing.
type Options struct {
	// Codec is what the client speaks. Nil means JSON.
	Codec protocol.Codec
	// User is the client's user id. Empty means none.
	User string
	// Receive is called for each method that the server calls, in order, by
	// one goroutine; it must not block. The arguments are valid during the
	// call.
	Receive func(target string, args []protocol.Raw)
}

// A Client is a connection to a hub. Its methods are safe for concurrent use.
type Client struct {
	codec   protocol.Codec
	receive func(target string, args []protocol.Raw)
	socket  *socket
	done    chan struct{} // closed when the reader has ended

	mu     sync.Mutex
	err    error // why the connection has ended
	closed bool  // by Close
	calls  map[string]chan *protocol.Completion
	lastID int
}

// Dial connects to the hub /hub of the node at address, "http://host:port".
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	if o.Codec == nil {
		o.Codec = protocol.JSON{}
	}
	if o.Receive == nil {
		o.Receive = func(string, []protocol.Raw) {}
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	u.Path = "/hub"
	if o.User != "" {
		u.RawQuery = url.Values{"user": {o.User}}.Encode()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	c := &Client{codec: o.Codec, receive: o.Receive, done: make(chan struct{}), calls: map[string]chan *protocol.Completion{},
		socket: &socket{conn: conn, in: bufio.NewReader(conn), binary: o.Codec.Binary()}}
	rest, err := c.open(ctx, u)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hubclient: connect to %s: %w", address, err), conn.Close())
	}
	go c.read(rest)
	go c.ping()
	return c, nil
}

// open upgrades and shakes hands. It returns the bytes behind the handshake.
func (c *Client) open(ctx context.Context, u *url.URL) (rest []byte, err error) {
	stop := context.AfterFunc(ctx, func() {
		// It makes reading and writing fail; that error is reported.
		_ = c.socket.conn.SetDeadline(time.Now())
	})
	defer stop()
	if err := c.socket.upgrade(u); err != nil {
		return nil, err
	}
	hello := protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: c.codec.Name(), Version: 1})
	if err := c.socket.write(hello); err != nil {
		return nil, err
	}
	buf, err := c.socket.read(nil)
	if err != nil {
		return nil, err
	}
	text, rest, err := protocol.ParseHandshakeResponse(buf)
	if err == nil && text != "" {
		err = errors.New(text)
	}
	return rest, err
}

// read hands out what the server says until the connection ends.
func (c *Client) read(buf []byte) {
	defer close(c.done)
	err := c.readAll(buf)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.err = err
	}
	// The error that counts is the one that ended the connection.
	_ = c.socket.conn.Close()
}

func (c *Client) readAll(buf []byte) error {
	for {
		m, rest, err := c.codec.Next(buf)
		if errors.Is(err, protocol.ErrIncomplete) {
			if buf, err = c.socket.read(append([]byte(nil), rest...)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *protocol.Invocation:
			c.receive(m.Target, m.RawArguments)
		case *protocol.Completion:
			m.RawResult = append(protocol.Raw(nil), m.RawResult...)
			c.answer(m)
		case *protocol.Close:
			return fmt.Errorf("hubclient: the server has closed the connection: %q", m.Error)
		case *protocol.Ping:
		default:
			return fmt.Errorf("hubclient: a message of type %T", m)
		}
		buf = rest
	}
}

// answer ends the call that m completes. A call that has been given up is not
// there any more.
func (c *Client) answer(m *protocol.Completion) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call, ok := c.calls[m.InvocationID]; ok {
		delete(c.calls, m.InvocationID)
		call <- m
	}
}

func (c *Client) ping() {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
			// The reader sees a connection that is gone.
			_ = c.send(&protocol.Ping{})
		}
	}
}

func (c *Client) send(m protocol.Message) error {
	frame, err := c.codec.Append(nil, m)
	if err != nil {
		return err
	}
	return c.socket.write(frame)
}

// Invoke calls a method of the hub and decodes its result into the pointer
// result; nil means that the result does not matter. The error is ErrClosed,
// that of ctx, or has the text of the server's.
func (c *Client) Invoke(ctx context.Context, result any, target string, args ...any) error {
	call := make(chan *protocol.Completion, 1)
	c.mu.Lock()
	c.lastID++
	id := strconv.Itoa(c.lastID)
	c.calls[id] = call
	c.mu.Unlock()
	if args == nil {
		args = []any{}
	}
	if err := c.send(&protocol.Invocation{InvocationID: id, Target: target, Arguments: args}); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	select {
	case m := <-call:
		if m.Kind == protocol.ResultError {
			return errors.New(m.Error)
		}
		if result == nil || m.Kind != protocol.ResultValue {
			return nil
		}
		return c.codec.Unmarshal(m.RawResult, result)
	case <-c.done:
		return ErrClosed
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
		return ctx.Err()
	}
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended; nil while it lives and after
// Close.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for the reader. Closing twice is allowed.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	// The reader waits for nothing else.
	_ = c.socket.conn.Close()
	<-c.done
}
