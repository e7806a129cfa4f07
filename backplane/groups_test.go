package backplane

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A join that gives up ends no membership that another one has made, or is about to.
func TestOfTwoJoinsOneMayGiveUp(t *testing.T) {
	t.Run("while both wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newMemoryRedis(t)
			line := s.line()
			a := node(t, line, Options{PublishTimeout: time.Minute})
			ready(t, a)
			c := client(t, a, "c", "alice")
			settle(s)
			line.partition()
			ctx, cancel := context.WithCancel(t.Context())
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- a.AddToGroup(ctx, "c", "g") }()
			synctest.Wait()
			go func() { second <- a.AddToGroup(t.Context(), "c", "g") }()
			synctest.Wait()
			cancel()
			if err := <-first; !errors.Is(err, context.Canceled) {
				t.Errorf("the first join: %v, want it canceled", err)
			}
			synctest.Wait()
			line.heal()
			succeed(t, <-second)
			succeed(t, a.Send(t.Context(), toGroups("g"), message("m")))
			<-c.got
		})
	})
	t.Run("in any order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newMemoryRedis(t)
			a := node(t, s, Options{PublishTimeout: time.Minute})
			ready(t, a)
			c := client(t, a, "c", "alice")
			settle(s)
			for i := range 1000 {
				group := fmt.Sprint("g", i)
				ctx, cancel := context.WithCancel(t.Context())
				first, second := make(chan error, 1), make(chan error, 1)
				go func() { first <- a.AddToGroup(ctx, "c", group) }()
				go func() { second <- a.AddToGroup(t.Context(), "c", group) }()
				go cancel()
				<-first // it may have come in time
				succeed(t, <-second)
				succeed(t, a.Send(t.Context(), toGroups(group), message("m")))
				<-c.got
				succeed(t, a.RemoveFromGroup(t.Context(), "c", group))
			}
			if left := a.GroupsOf("c"); len(left) > 0 {
				t.Errorf("groups that were left: %v", left)
			}
		})
	})
}
