package server

import (
	"context"
	"time"
)

// A connectionContext is a connection as the context of what happens for it: it has
// the values of Hub.baseContext, and is done when the connection ends. Most
// connections are never waited for, so what a context needs for that is made when
// somebody asks for its Done.
type connectionContext connection

// A madeContext is what was made.
type madeContext struct {
	context.Context
	stop context.CancelFunc
}

var (
	// endedUnmade is in the place of a context that nobody has asked for before its
	// connection had ended.
	endedUnmade = &madeContext{}

	closedChannel = func() chan struct{} {
		c := make(chan struct{})
		close(c)
		return c
	}()
)

var _ context.Context = (*connectionContext)(nil)

// Deadline implements context.Context.
func (*connectionContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context.
func (x *connectionContext) Done() <-chan struct{} {
	for {
		switch made := x.made.Load(); made {
		case endedUnmade:
			return closedChannel
		case nil:
			fresh := &madeContext{}
			fresh.Context, fresh.stop = context.WithCancel(x.base())
			if !x.made.CompareAndSwap(nil, fresh) {
				fresh.stop()
			}
		default:
			return made.Done()
		}
	}
}

// Err implements context.Context.
func (x *connectionContext) Err() error {
	switch made := x.made.Load(); made {
	case endedUnmade:
		return context.Canceled
	case nil:
		return nil
	default:
		return made.Err()
	}
}

// Value implements context.Context. What was made knows the keys of package
// context, too: contexts that are made from x find it, and need no goroutine.
func (x *connectionContext) Value(key any) any {
	if made := x.made.Load(); made != nil && made != endedUnmade {
		return made.Value(key)
	}
	return x.base().Value(key)
}

// String is what a context made from x is printed as.
func (*connectionContext) String() string { return "server.connection" }

func (x *connectionContext) base() context.Context {
	c := (*connection)(x)
	return c.hub.baseContext(c.bytes)
}

// endContext ends the context of the connection.
func (c *connection) endContext() {
	if !c.made.CompareAndSwap(nil, endedUnmade) {
		if made := c.made.Load(); made != endedUnmade {
			made.stop()
		}
	}
}
