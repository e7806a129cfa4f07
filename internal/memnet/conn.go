package memnet

import (
	"errors"
	"io"
	"net"
	"time"
)

// A conn is one end of a connection.
type conn struct {
	in, out       *pipe
	local, remote net.Addr
	link          *Link  // that the client's end goes through
	closed        func() // not nil: called at the first Close, with no lock held
}

// wrap makes err what package net would return.
func (c *conn) wrap(op string, n int, err error) (int, error) {
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return c.wrap("read", n, err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return c.wrap("write", n, err)
}

// Close ends both directions. What has been written still arrives.
func (c *conn) Close() error {
	var again bool
	c.in.set(func() {
		again = c.in.readerClosed
		c.in.readerClosed = true
		c.in.packets, c.in.size = nil, 0
		c.in.readBy.stop()
	})
	if again {
		return &net.OpError{Op: "close", Net: "memory", Source: c.local, Addr: c.remote, Err: net.ErrClosed}
	}
	c.out.set(func() {
		c.out.ended = true
		c.out.writeBy.stop()
	})
	if c.closed != nil {
		c.closed()
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.set(func() { c.in.readBy.set(t, c.in.wake) })
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.set(func() { c.out.writeBy.set(t, c.out.wake) })
	return nil
}
