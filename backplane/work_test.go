package backplane

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// A client that leaves very many groups does not keep others from Redis.mu: the
// writer looks at a bounded number of channels at a time.
func TestTheWriterLooksAtABoundedNumberOfChannelsAtATime(t *testing.T) {
	const groups = 20_000
	r := &Redis{
		opts: &Options{}, work: make(chan struct{}, 1), marked: map[string]struct{}{}, subscribed: map[string]*subscription{},
		connections: map[string]*connection{}, link: &link{},
	}
	r.channels.Hub = "H"
	c := &fakeClient{id: "c", ctx: t.Context()}
	own := &connection{Receiver: c, groups: map[string]struct{}{}}
	r.connections["c"] = own
	for i := range groups {
		group := fmt.Sprint(i)
		own.groups[group] = struct{}{}
		s, _ := r.enter(r.channels.Group(group), c)
		s.requested = true
	}
	clear(r.marked)
	<-r.work
	r.Disconnected(c)
	left := 0
	for left < groups {
		select {
		case <-r.work:
		default:
			t.Fatalf("the writer is not woken, %d channels are left", groups-left)
		}
		_, commands := r.changes()
		n := 0
		for _, command := range commands {
			n += len(command.channels)
		}
		if n == 0 || n > changesAtOnce {
			t.Fatalf("%d channels at once, the limit is %d", n, changesAtOnce)
		}
		left += n
	}
}

// The error of a send to many names each reason once.
func TestTheErrorOfASendToManyNamesEachReasonOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		r := m.node(t, Options{})
		ready(t, r)
		m.refusing("NOPERM no", func(args []string) bool { return args[0] == "publish" })
		err := r.Send(t.Context(), toUsers(manyNames(5000)...), message("x"))
		if !says(err, "NOPERM") || len(err.Error()) > 200 {
			t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
		}
		if n := m.handled("publish"); n != 5000 {
			t.Errorf("%d channels were tried, others may have been allowed", n)
		}
	})
}

// What goes to many is tried once where Redis does not answer.
func TestASendToManyIsGivenUpWhenRedisDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		r := m.node(t, Options{})
		ready(t, r)
		m.kill()
		synctest.Wait()
		if err := r.Send(t.Context(), toUsers(manyNames(50_000)...), message("x")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("SendUsers = %v", err)
		}
		if failed := r.Stats().Failed; failed > publishQueue+1 {
			t.Errorf("%d channels were tried, the queue takes %d", failed, publishQueue)
		}
	})
}
