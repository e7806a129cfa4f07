package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A lazyTest is a context that is made when somebody waits for it.
type lazyTest struct {
	ctx  context.Context
	made *lazyContext
	end  func()
	text string // it is printed as
}

// lazyTests makes one of each kind.
func lazyTests() map[string]func() lazyTest {
	return map[string]func() lazyTest{
		"connection": func() lazyTest {
			c := &connection{hub: &Hub{}}
			return lazyTest{c.Context(), &c.lazyCtx, c.endContext, "server.connection"}
		},
		"call": func() lazyTest {
			inv := &invocation{conn: &connection{hub: &Hub{}}}
			return lazyTest{inv.context(), &inv.lazyCtx, inv.endContext, "server.call"}
		},
		"call whose connection ends": func() lazyTest {
			inv := &invocation{conn: &connection{hub: &Hub{}}}
			return lazyTest{inv.context(), &inv.lazyCtx, inv.conn.endContext, "server.call"}
		},
		"call of a connection that somebody waits for": func() lazyTest {
			inv := &invocation{conn: &connection{hub: &Hub{}}}
			inv.conn.Context().Done()
			return lazyTest{inv.context(), &inv.lazyCtx, inv.endContext, "server.call"}
		},
	}
}

func TestAContextIsMadeWhenSomebodyWaitsForIt(t *testing.T) {
	type key struct{}
	isOver := func(t *testing.T, ctx context.Context) {
		t.Helper()
		select {
		case <-ctx.Done():
		default:
			t.Error("not done though it has ended")
		}
		if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled {
			t.Errorf("Err = %v, Cause = %v, want context.Canceled", ctx.Err(), context.Cause(ctx))
		}
	}
	for name, fresh := range lazyTests() {
		t.Run(name, func(t *testing.T) {
			t.Run("nobody waits", func(t *testing.T) {
				x := fresh()
				if n := testing.AllocsPerRun(100, func() {
					if x.ctx.Err() != nil || x.ctx.Value(key{}) != nil || context.Cause(x.ctx) != nil {
						t.Error("it has ended, or has a value")
					}
				}); n != 0 {
					t.Errorf("%v allocations, want none", n)
				}
				if x.made.made.Load() != nil {
					t.Error("it was made")
				}
			})
			t.Run("who waits is told", func(t *testing.T) {
				x := fresh()
				done := x.ctx.Done()
				if x.ctx.Done() != done {
					t.Error("there are two of it")
				}
				select {
				case <-done:
					t.Error("done before the end")
				default:
				}
				x.end()
				x.end() // the hub may end it twice
				<-done
				isOver(t, x.ctx)
			})
			t.Run("nobody has waited before the end", func(t *testing.T) {
				x := fresh()
				x.end()
				x.end()
				if x.ctx.Err() != context.Canceled || context.Cause(x.ctx) != context.Canceled || x.ctx.Value(key{}) != nil {
					t.Errorf("Err = %v, Cause = %v, want context.Canceled", x.ctx.Err(), context.Cause(x.ctx))
				}
				isOver(t, x.ctx)
				child, cancel := context.WithCancel(x.ctx)
				defer cancel()
				isOver(t, child)
				after := make(chan struct{})
				context.AfterFunc(x.ctx, func() { close(after) })
				<-after
			})
			t.Run("what is made from it ends with it", func(t *testing.T) {
				x := fresh()
				child, cancel := context.WithCancelCause(context.WithValue(x.ctx, key{}, "value"))
				defer cancel(nil)
				after := make(chan struct{})
				context.AfterFunc(x.ctx, func() { close(after) })
				if child.Value(key{}) != "value" {
					t.Error("the value is lost")
				}
				if text := fmt.Sprint(child); !strings.Contains(text, x.text) || len(text) > 100 {
					t.Errorf("it is printed as %q", text)
				}
				x.end()
				<-child.Done()
				<-after
				isOver(t, child)
			})
			t.Run("a child that was canceled leaves it alone", func(t *testing.T) {
				x := fresh()
				child, cancel := context.WithCancelCause(x.ctx)
				cancel(errors.New("enough"))
				if child.Err() == nil || x.ctx.Err() != nil {
					t.Errorf("Err of the child = %v, of its parent = %v", child.Err(), x.ctx.Err())
				}
			})
		})
	}
}

// Whoever asks for a context while it ends finds that it has ended, and never
// waits for ever.
func TestAContextEndsWhoeverIsFirst(t *testing.T) {
	for name, fresh := range lazyTests() {
		t.Run(name, func(t *testing.T) {
			for range 500 {
				x := fresh()
				asked := make(chan struct{}, 2)
				for range 2 {
					go func() {
						child, cancel := context.WithCancel(x.ctx)
						defer cancel()
						<-child.Done()
						<-x.ctx.Done()
						if x.ctx.Err() == nil {
							t.Error("done without an error")
						}
						asked <- struct{}{}
					}()
				}
				x.end()
				<-asked
				<-asked
			}
		})
	}
}

// BenchmarkCallContext: the context of a call that gives it to a send, and the one of a call
// that waits for it.
func BenchmarkCallContext(b *testing.B) {
	for _, waits := range []bool{false, true} {
		b.Run(fmt.Sprintf("waits=%v", waits), func(b *testing.B) {
			c := &connection{hub: &Hub{}}
			b.ReportAllocs()
			for b.Loop() {
				inv := &invocation{conn: c}
				ctx := inv.context()
				if waits {
					ctx.Done()
				}
				if ctx.Err() != nil {
					b.Fatal("it has ended")
				}
				inv.endContext()
			}
		})
	}
}
