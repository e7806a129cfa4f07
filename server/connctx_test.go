package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTheContextOfAConnectionIsMadeWhenSomebodyWaitsForIt(t *testing.T) {
	type key struct{}
	fresh := func() (*connection, context.Context) {
		c := &connection{hub: &Hub{}}
		return c, c.Context()
	}
	isOver := func(t *testing.T, ctx context.Context) {
		t.Helper()
		select {
		case <-ctx.Done():
		default:
			t.Error("not done though the connection has ended")
		}
		if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled {
			t.Errorf("Err = %v, Cause = %v, want context.Canceled", ctx.Err(), context.Cause(ctx))
		}
	}
	t.Run("nobody waits", func(t *testing.T) {
		c, ctx := fresh()
		if n := testing.AllocsPerRun(100, func() {
			if c.Context().Err() != nil || ctx.Value(key{}) != nil {
				t.Error("it has ended, or has a value")
			}
		}); n != 0 {
			t.Errorf("%v allocations, want none", n)
		}
		if c.made.Load() != nil {
			t.Error("it was made")
		}
	})
	t.Run("who waits is told", func(t *testing.T) {
		c, ctx := fresh()
		done := ctx.Done()
		if ctx.Done() != done || c.Context().Done() != done {
			t.Error("there are two of it")
		}
		select {
		case <-done:
			t.Error("done before the end")
		default:
		}
		c.endContext()
		c.endContext() // the hub may end it twice
		<-done
		isOver(t, ctx)
	})
	t.Run("nobody has waited before the end", func(t *testing.T) {
		c, ctx := fresh()
		c.endContext()
		c.endContext()
		isOver(t, ctx)
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		isOver(t, child)
	})
	t.Run("what is made from it ends with it", func(t *testing.T) {
		c, ctx := fresh()
		child, cancel := context.WithCancelCause(context.WithValue(ctx, key{}, "value"))
		defer cancel(nil)
		after := make(chan struct{})
		context.AfterFunc(ctx, func() { close(after) })
		if child.Value(key{}) != "value" {
			t.Error("the value is lost")
		}
		if text := fmt.Sprint(child); !strings.Contains(text, "server.connection") || len(text) > 100 {
			t.Errorf("it is printed as %q", text)
		}
		c.endContext()
		<-child.Done()
		<-after
		isOver(t, child)
	})
	t.Run("a child that was canceled leaves it alone", func(t *testing.T) {
		_, ctx := fresh()
		child, cancel := context.WithCancelCause(ctx)
		cancel(errors.New("enough"))
		if child.Err() == nil || ctx.Err() != nil {
			t.Errorf("Err of the child = %v, of the connection = %v", child.Err(), ctx.Err())
		}
	})
}

// Whoever asks for the context while the connection ends finds that it has ended,
// and never waits for ever.
func TestTheContextOfAConnectionEndsWhoeverIsFirst(t *testing.T) {
	for range 500 {
		c := &connection{hub: &Hub{}}
		asked := make(chan struct{}, 2)
		for range 2 {
			go func() {
				child, cancel := context.WithCancel(c.Context())
				defer cancel()
				<-child.Done()
				<-c.Context().Done()
				if c.Context().Err() == nil {
					t.Error("done without an error")
				}
				asked <- struct{}{}
			}()
		}
		c.endContext()
		<-asked
		<-asked
	}
}
