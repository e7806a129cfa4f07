package backplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A logBook is a log that the test reads.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines returns how many lines say text.
func (b *logBook) lines(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

// Group commands that find the queue full are dropped, with a line in the log.
// The sender of one gets ErrNoAck after its own time limit; what was queued is
// executed, and messages go on all the while.
func TestAFullQueueOfGroupCommandsDropsTheRestAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		var log logBook
		r := m.node(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		other := m.node(t, Options{AckTimeout: 10 * time.Second})
		ready(t, r, other)
		c := client(t, r, "c", "")
		synctest.Wait()
		m.pauseAt(func(args []string) bool { return args[0] == "subscribe" })
		join := func(group string) {
			m.publish(r.channels.Groups(), wire.AppendGroupCommand(nil, wire.GroupCommand{ID: 1, Server: "S", Action: wire.ActionAdd, Group: group, ConnectionID: "c"}))
		}
		join("first") // waits for Redis, and all others for it
		synctest.Wait()
		const more = 100
		for i := range commandQueue + more {
			join(fmt.Sprint(i))
		}
		synctest.Wait()
		start := time.Now()
		late := make(chan error, 1)
		go func() { late <- other.AddToGroup(t.Context(), "c", "late") }()
		synctest.Wait()
		if dropped := r.Stats().Dropped; dropped != more+1 {
			t.Errorf("%d commands were dropped, want %d", dropped, more+1)
		}
		if n := log.lines("group command dropped: too many wait"); n != 1 {
			t.Errorf("%d lines in the log, want one a second", n)
		}
		expectOnly(t, other, map[*fakeClient][]string{c: nil}) // messages come meanwhile
		m.resume()
		if err := <-late; !errors.Is(err, ErrNoAck) {
			t.Errorf("the one who asked: %v, want ErrNoAck", err)
		}
		exactly(t, m, "the end of AckTimeout", start, 10*time.Second)
		groups := r.local("c").groups
		for i := range commandQueue {
			if _, member := groups[fmt.Sprint(i)]; !member {
				t.Fatalf("command %d was not executed", i)
			}
		}
		if len(groups) != commandQueue+1 {
			t.Errorf("it is in %d groups, want %d", len(groups), commandQueue+1)
		}
		succeed(t, other.AddToGroup(t.Context(), "c", "again"))
	})
}

// Acks and client results that find the queue of sends full are dropped, with a
// line in the log. The node that waits for one has a time limit of its own;
// each send that was queued arrives, once and in its order.
func TestAFullQueueOfSendsDropsAcksAndResultsAndNoSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		var log logBook
		r := m.node(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		other := m.node(t, Options{AckTimeout: 10 * time.Second, ClientResultTimeout: 20 * time.Second})
		ready(t, r, other)
		c, far := client(t, r, "c", ""), client(t, other, "far", "u")
		synctest.Wait()
		to := server.Audience{Kind: server.ToUsers, Names: []string{"u"}}
		m.pauseAt(func(args []string) bool { return args[0] == "publish" && args[1] == r.channels.User("u") })
		var sends sync.WaitGroup
		for i := range 1 + publishQueue { // the publisher has the first
			sends.Go(func() {
				if err := r.Send(context.Background(), to, message(fmt.Sprint("m", i))); err != nil {
					t.Errorf("send %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		start := time.Now()
		ack, result := make(chan error, 1), make(chan error, 1)
		go func() { ack <- other.AddToGroup(t.Context(), "c", "g") }()
		go func() { result <- invoke(t.Context(), other, "c") }()
		_, id, _ := strings.Cut(<-c.got, `"invocationId":"`)
		id, _, _ = strings.Cut(id, `"`)
		time.Sleep(2 * time.Second) // a line a second
		if known, err := r.SetResult(c, &protocol.Completion{InvocationID: id, Kind: protocol.ResultValue, RawResult: protocol.Raw("1")}); !known || err != nil {
			t.Errorf("SetResult = %v, %v", known, err)
		}
		if n := log.lines("ack or client result for another node dropped: too many wait"); n != 2 || r.Stats().Dropped != 2 {
			t.Errorf("%d lines in the log, %d dropped, want an ack and a result", n, r.Stats().Dropped)
		}
		m.resume()
		sends.Wait()
		for i := range 1 + publishQueue {
			if got, want := far.next(t), fmt.Sprintf(`m%d"`, i); !strings.HasPrefix(got, want) {
				t.Fatalf("received %s, want %s", got, want)
			}
		}
		if err := <-ack; !errors.Is(err, ErrNoAck) {
			t.Errorf("the one who joined it: %v, want ErrNoAck", err)
		}
		exactly(t, m, "the end of AckTimeout", start, 10*time.Second)
		if err := <-result; err == nil || err.Error() != errCanceled.Error() {
			t.Errorf("the one who asked it: %v, want %v", err, errCanceled)
		}
		exactly(t, m, "the end of ClientResultTimeout", start, 20*time.Second)
		succeed(t, other.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}}, message("group"))) // it has joined
		expectOnly(t, other, map[*fakeClient][]string{c: {"group"}, far: nil})
	})
}
