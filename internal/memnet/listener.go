package memnet

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// A Listener takes connections that are dialled through its links. It is safe
// for concurrent use.
type Listener struct {
	incoming chan *conn
	done     chan struct{}

	mu      sync.Mutex
	closed  bool
	open    map[*conn]struct{} // the server's ends
	changed chan struct{}      // closed, and made anew, when one of them is closed
	last    int                // the last client's port
}

// Listen returns a listener. Close it.
func Listen() *Listener {
	return &Listener{incoming: make(chan *conn), done: make(chan struct{}), open: map[*conn]struct{}{}, changed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections live on.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	close(l.done)
	return nil
}

// Addr implements net.Listener. The address is one that is kept for examples.
func (l *Listener) Addr() net.Addr { return address(0, 1) }

// Open is how many connections the server has accepted and not closed.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// WaitClosed waits until Open is 0, or returns the error of ctx.
func (l *Listener) WaitClosed(ctx context.Context) error {
	for {
		l.mu.Lock()
		open, changed := len(l.open), l.changed
		l.mu.Unlock()
		if open == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// address returns 192.0.2.host:port.
func address(port int, host byte) net.Addr {
	if port == 0 {
		port = 80
	}
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, host), Port: port}
}

// A Link is the network between one client and the listener. Its faults are
// those of all connections that are dialled through it. It is safe for
// concurrent use.
type Link struct {
	listener *Listener
	value    any

	mu      sync.Mutex
	conns   map[*conn]struct{} // the client's ends
	down    bool               // Cut, and not Restore
	stopped bool
	delay   time.Duration
}

// Link returns a network of its own for a client. LinkValue returns value for
// the server's end of its connections.
func (l *Listener) Link(value any) *Link {
	return &Link{listener: l, value: value, conns: map[*conn]struct{}{}}
}

// LinkValue returns the value of the link by which c, an accepted connection,
// came.
func LinkValue(c net.Conn) any {
	if c, ok := c.(*conn); ok {
		return c.link.value
	}
	return nil
}

// DialContext connects to the listener, whatever the address. It fits
// http.Transport.
func (k *Link) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	l := k.listener
	l.mu.Lock()
	l.last++
	port := 49151 + l.last%16384
	l.mu.Unlock()
	up, down := newPipe(), newPipe()
	client := &conn{in: down, out: up, local: address(port, 2), remote: address(0, 1), link: k}
	server := &conn{in: up, out: down, local: client.remote, remote: client.local, link: k}
	client.closed = func() { k.forget(client) }
	server.closed = func() { l.forget(server) }
	k.mu.Lock()
	if k.down {
		k.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: client.remote, Err: syscall.ENETUNREACH}
	}
	k.conns[client] = struct{}{}
	down.stopped, down.delay, up.delay = k.stopped, k.delay, k.delay
	k.mu.Unlock()
	l.mu.Lock()
	l.open[server] = struct{}{}
	l.mu.Unlock()
	err := error(nil)
	select {
	case l.incoming <- server:
		return client, nil
	case <-l.done:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	k.forget(client)
	l.forget(server)
	return nil, &net.OpError{Op: "dial", Net: "memory", Addr: client.remote, Err: err}
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (k *Link) forget(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

// each changes both directions of every connection of the link.
func (k *Link) each(change func(down, up *pipe)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.in.set(func() { c.out.set(func() { change(c.in, c.out) }) })
	}
}

// Cut breaks every connection: both ends see a reset at once, and what is on
// its way is lost. New ones can be dialled after Restore only.
func (k *Link) Cut() {
	k.setDown(true)
	k.each(func(down, up *pipe) {
		for _, p := range []*pipe{down, up} {
			p.err = syscall.ECONNRESET
			p.packets, p.size = nil, 0
		}
	})
}

// Restore ends Cut. Connections that are broken stay so.
func (k *Link) Restore() { k.setDown(false) }

func (k *Link) setDown(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

// SetReading says whether the client takes what arrives; false makes the
// buffers fill.
func (k *Link) SetReading(on bool) {
	k.mu.Lock()
	k.stopped = !on
	k.mu.Unlock()
	k.each(func(down, _ *pipe) { down.stopped = !on })
}

// SetDelay makes what is written from now on, in both directions, arrive late.
// What was written before is not overtaken.
func (k *Link) SetDelay(d time.Duration) {
	k.mu.Lock()
	k.delay = d
	k.mu.Unlock()
	k.each(func(down, up *pipe) { down.delay, up.delay = d, d })
}
