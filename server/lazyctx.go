package server

import (
	"context"
	"sync/atomic"
	"time"
)

// A connection and a call are contexts of what happens for them. Most are never
// waited for, so what a context needs for that is made when somebody asks for its
// Done: BenchmarkCallContext takes 2.5 times as long where each call makes it.

// A connectionContext is a connection as a context: it has the values of
// Hub.baseContext, and is done when the connection ends.
type connectionContext connection

// A callContext is an invocation as a context: it has the values of the connection's,
// and is done when that is, or when the call is over or cancelled. An invocation that is
// used again has none.
type callContext invocation

// A lazyContext is what is made of a context when somebody asks for its Done.
type lazyContext struct {
	made atomic.Pointer[madeContext] // nil: not yet
}

type madeContext struct {
	context.Context
	stop context.CancelFunc
}

// endedUnmade is in the place of a context that nobody has asked for before its end.
var endedUnmade = func() *madeContext {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	return &madeContext{ctx, stop}
}()

// end ends the context, whether it was made already or not.
func (l *lazyContext) end() {
	if l.made.CompareAndSwap(nil, endedUnmade) {
		return
	}
	if made := l.made.Load(); made != endedUnmade {
		made.stop()
	}
}

// A lazy is a connectionContext or a callContext.
type lazy interface {
	lazily() *lazyContext
	parent() context.Context
}

func doneOf(x lazy) <-chan struct{} {
	for l := x.lazily(); ; {
		if made := l.made.Load(); made != nil {
			return made.Done()
		}
		fresh := &madeContext{}
		fresh.Context, fresh.stop = context.WithCancel(x.parent())
		if !l.made.CompareAndSwap(nil, fresh) {
			fresh.stop()
		}
	}
}

func errOf(x lazy) error {
	if made := x.lazily().made.Load(); made != nil {
		return made.Err()
	}
	return x.parent().Err()
}

// valueOf looks at what was made first, which knows the keys of package context, too:
// contexts that are made from x find it, and need no goroutine.
func valueOf(x lazy, key any) any {
	switch made := x.lazily().made.Load(); made {
	case nil:
	case endedUnmade:
		if value := made.Value(key); value != nil {
			return value
		}
	default:
		return made.Value(key)
	}
	return x.parent().Value(key)
}

var _, _ context.Context = (*connectionContext)(nil), (*callContext)(nil)

// Deadline implements context.Context.
func (*connectionContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context.
func (x *connectionContext) Done() <-chan struct{} { return doneOf(x) }

// Err implements context.Context.
func (x *connectionContext) Err() error { return errOf(x) }

// Value implements context.Context.
func (x *connectionContext) Value(key any) any { return valueOf(x, key) }

// String is what a context made from x is printed as.
func (*connectionContext) String() string { return "server.connection" }

func (x *connectionContext) lazily() *lazyContext    { return &x.lazyCtx }
func (x *connectionContext) parent() context.Context { return x.hub.baseContext(x.bytes) }

// endContext ends the context of the connection.
func (c *connection) endContext() { c.lazyCtx.end() }

// Deadline implements context.Context.
func (*callContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context.
func (x *callContext) Done() <-chan struct{} { return doneOf(x) }

// Err implements context.Context.
func (x *callContext) Err() error { return errOf(x) }

// Value implements context.Context.
func (x *callContext) Value(key any) any { return valueOf(x, key) }

// String is what a context made from x is printed as.
func (*callContext) String() string { return "server.call" }

func (x *callContext) lazily() *lazyContext    { return &x.lazyCtx }
func (x *callContext) parent() context.Context { return x.conn.Context() }

// endContext ends the context of the call.
func (inv *invocation) endContext() { inv.lazyCtx.end() }
