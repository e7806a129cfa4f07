package hubtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A Client is a SignalR client of a Node. Methods that return an error may be
// called by any goroutine; those that fail the test, only by that of the test.
type Client struct {
	t      testing.TB
	config *config
	link   *memnet.Link
	person *person

	messages hubclient.Queue[*Message]
	jobs     hubclient.Queue[func()] // calls of handlers, in order
	working  sync.WaitGroup          // the goroutine of jobs

	mu       sync.Mutex
	conn     *hubclient.Client
	handlers map[string]*handler
}

// Connect connects a client, which is closed at the end of the test. When it
// returns the hub knows the client, and OnConnected has returned, unless that
// takes longer than Patience.
func (n *Node) Connect(opts ...Option) *Client {
	n.t.Helper()
	c, err := n.TryConnect(opts...)
	if err != nil {
		n.t.Fatalf("hubtest: Connect: %v", err)
	}
	return c
}

// TryConnect is Connect for clients that the server may refuse. Errors:
// *RefusedError, *CloseError and those of the network. A hub that refuses in
// OnConnected has shaken hands before: see Client.Wait.
func (n *Node) TryConnect(opts ...Option) (*Client, error) {
	n.t.Helper()
	c := &Client{t: n.t, config: newConfig(n.t, opts), handlers: map[string]*handler{}}
	if c.config.method != "" || len(c.config.items) > 0 {
		n.t.Fatal("hubtest: Method and Item are options of Call")
	}
	for target, f := range c.config.handlers {
		c.On(target, f)
	}
	c.person = &person{user: c.config.user}
	c.link = n.listener.Link(c.person)
	if err := c.dial(); err != nil {
		return nil, err
	}
	if c.config.user != nil && !c.person.wasAsked() {
		n.t.Fatal("hubtest: User: nobody has asked who the client is. Set Options.Authenticate of the hub to hubtest.Authenticate(...)")
	}
	c.working.Go(c.work)
	n.t.Cleanup(c.Close)
	c.settle()
	return c, nil
}

func (c *Client) dial() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.config.patience)
	defer cancel()
	conn, err := hubclient.Dial(ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{
			URL:               (&url.URL{Scheme: "http", Host: "hub.test", Path: c.config.path, RawQuery: c.config.query.Encode()}).String(),
			DialContext:       c.link.DialContext,
			Header:            c.config.header,
			Transport:         c.config.transport.String(),
			SkipNegotiation:   c.config.direct,
			StatefulReconnect: c.config.stateful,
		},
		Codec:   c.config.codec,
		Receive: c.receive,
	})
	if err != nil {
		return publicError(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return nil
}

// settle waits until the hub knows the client: the server answers the handshake
// before that.
func (c *Client) settle() {
	_ = c.barrier() // a client that OnConnected refuses sees that in Wait
}

func (c *Client) client() *hubclient.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// ID is the connection id, as Call.ConnectionID has it. It is empty with
// SkipNegotiation.
func (c *Client) ID() string { return c.client().ID() }

// Invoke calls a method of the hub, waits, and decodes what it returns into the
// pointer result; nil means that the result does not matter. An argument that is
// a channel or an iterator (iter.Seq[T] or iter.Seq2[T, error]) is a stream that
// the client sends. Errors: *CallError, ErrClosed, ErrNoAnswer, and those of
// decoding.
func (c *Client) Invoke(result any, method string, args ...any) error {
	p, err := c.start(method, args)
	if err != nil {
		return err
	}
	return p.Wait(result)
}

// Do is Invoke without a result. An error fails the test.
func (c *Client) Do(method string, args ...any) {
	c.t.Helper()
	if err := c.Invoke(nil, method, args...); err != nil {
		c.t.Fatalf("hubtest: %s: %v", method, err)
	}
}

// Result calls a method of the hub and returns what that returns. An error fails
// the test.
func Result[T any](c *Client, method string, args ...any) T {
	c.t.Helper()
	var result T
	if err := c.Invoke(&result, method, args...); err != nil {
		c.t.Fatalf("hubtest: %s: %v", method, err)
	}
	return result
}

// Send calls a method of the hub without waiting for anything: the server never
// answers. It fails the test if the connection has ended.
func (c *Client) Send(method string, args ...any) {
	c.t.Helper()
	plain, uploads := split(args)
	if err := c.client().Send(method, plain, uploads...); err != nil {
		c.t.Fatalf("hubtest: %s: %v", method, publicError(err))
	}
}

// A Pending is a call that has not been waited for. It is safe for concurrent
// use.
type Pending struct {
	client *Client
	method string
	call   *hubclient.Call
}

// Start calls a method of the hub as Invoke does, and leaves the waiting for
// later.
func (c *Client) Start(method string, args ...any) *Pending {
	c.t.Helper()
	p, err := c.start(method, args)
	if err != nil {
		c.t.Fatalf("hubtest: %s: %v", method, err)
	}
	return p
}

func (c *Client) start(method string, args []any) (*Pending, error) {
	plain, uploads := split(args)
	call, err := c.client().Start(method, plain, uploads...)
	if err != nil {
		return nil, publicError(err)
	}
	return &Pending{c, method, call}, nil
}

// Done is closed when the call has been answered, or the connection has ended.
func (p *Pending) Done() <-chan struct{} { return p.call.Done() }

// Wait waits for the answer; result and errors are those of Client.Invoke.
func (p *Pending) Wait(result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.client.config.patience)
	defer cancel()
	err := p.call.Wait(ctx, result)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w to %s within %v", ErrNoAnswer, p.method, p.client.config.patience)
	}
	return publicError(err)
}

// Cancel tells the server that the answer is no longer wanted: Context of the
// Call ends. The server answers all the same.
func (p *Pending) Cancel() {
	_ = p.call.Cancel() // Wait sees a connection that has ended
}

// Close leaves as official clients do, and waits until the connection has ended.
// OnDisconnected may run a little longer. Closing twice is allowed.
func (c *Client) Close() {
	c.link.SetReading(true)
	c.client().Close()
	c.jobs.End()
	c.messages.End()
	c.working.Wait()
}

// Wait waits until the server has ended the connection, and returns how: nil
// for a normal end without an error, a *CloseError, or an error of the network.
// It fails the test when Patience is over.
func (c *Client) Wait() error {
	c.t.Helper()
	timer := time.NewTimer(c.config.patience)
	defer timer.Stop()
	select {
	case <-c.client().Done():
	case <-timer.C:
		c.t.Fatalf("hubtest: the connection has not ended within %v", c.config.patience)
	}
	return publicError(c.client().Err())
}

// Cut breaks the client's network until Reconnect: both ends see a reset, and
// what is on its way is lost. It returns at once; see Wait.
func (c *Client) Cut() { c.link.Cut() }

// Reconnect connects again after the connection has ended, or was Cut. A
// Stateful client goes on with the same connection and loses nothing; any other
// gets a new one, with the same options. What has been received and not expected
// stays. An error fails the test.
func (c *Client) Reconnect() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.config.patience)
	defer cancel()
	var err error
	c.link.Restore()
	if c.config.stateful {
		err = publicError(c.client().Resume(ctx))
	} else {
		c.client().Abort()
		err = c.dial()
	}
	if err != nil {
		c.t.Fatalf("hubtest: Reconnect: %v", err)
	}
	c.settle()
}

// StopReading makes the client take nothing of what the server sends, until
// StartReading: buffers of 64 KiB fill, and then the server's.
func (c *Client) StopReading() { c.link.SetReading(false) }

// StartReading ends StopReading.
func (c *Client) StartReading() { c.link.SetReading(true) }

// Delay makes everything that either side sends from now on arrive d later.
func (c *Client) Delay(d time.Duration) { c.link.SetDelay(d) }

// SetUser makes the client's requests from now on those of user: polls, and what
// a refresh or Reconnect sends.
func (c *Client) SetUser(user server.User) {
	c.person.mu.Lock()
	defer c.person.mu.Unlock()
	c.person.user = &user
}

// Write sends any message of the hub protocol, for what none of the other
// methods do.
func (c *Client) Write(m protocol.Message) error { return publicError(c.client().Write(m)) }
