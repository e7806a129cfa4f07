package backplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/server"
)

var _ io.Closer = (*Redis)(nil)
var _ server.LifetimeManager = (*Redis)(nil)

func TestAKilledSubscriberIsSubscribedAgain(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b, c := twoNodes(t, s, s, Options{})
		for range 5 {
			start := time.Now()
			readyAfter(t, s.killSubscribers, a, b)
			exactly(t, s, "ready again", start, firstPause)
			whole(t, a, c, "g")
		}
	})
}

// A send that is done has reached the clients of its own node, at whatever step
// the subscribing connection is lost.
func TestASendThatIsDoneHasReachedItsOwnNode(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a := node(t, s, Options{})
		ready(t, a)
		c := client(t, a, "c", "")
		done, unknown := map[string]bool{}, 0
		send := func(text string) {
			switch err := a.Send(t.Context(), toAll(), message(text)); {
			case err == nil:
				done[text] = true
			case errors.Is(err, ErrOutcomeUnknown):
				unknown++
			default:
				t.Fatalf("SendAll = %v", err)
			}
		}
		if m, fake := s.(*memoryRedis); fake {
			atEachStep(t, m, a, send)
			synctest.Wait()
			ready(t, a)
			m.during(func(args []string, after bool) {
				if args[0] == "publish" && !after {
					m.killLocked()
				}
			})
			m.slow(func(args []string) time.Duration { // the next link is there before the answer comes
				return map[string]time.Duration{"publish": 50 * time.Millisecond}[args[0]]
			})
			before := unknown
			send("late")
			if unknown != before+1 {
				t.Error("a send of before the loss is done")
			}
			m.slow(nil)
			m.during(nil)
			if unknown < 3 || len(done) == 0 { // before PUBLISH, after it, and before PING; and one without a loss
				t.Errorf("%d sends done, %d of unknown outcome: the test proves nothing", len(done), unknown)
			}
		} else {
			for i := range 100 {
				killed := make(chan struct{})
				go func() { s.killSubscribers(); close(killed) }()
				for j := range 3 {
					send(fmt.Sprint("m", i, "-", j))
				}
				<-killed
			}
		}
		ready(t, a)
		got := map[string]int{}
		for len(c.got) > 0 {
			name, _, _ := strings.Cut(c.next(t), `"`)
			got[name]++
		}
		for name := range done {
			if got[name] != 1 {
				t.Errorf("%s is done and was received %d times", name, got[name])
			}
		}
		t.Logf("%d sends done, %d of unknown outcome, %d received, %d losses of the connection", len(done), unknown, len(got), a.Stats().Losses)
	})
}

// atEachStep calls send again and again, and kills the subscriber at the first,
// the second, ... step of a command of it, until one has no such step.
func atEachStep(t *testing.T, m *memoryRedis, r *Redis, send func(text string)) {
	for kill := 0; ; kill++ {
		synctest.Wait()
		ready(t, r)
		step := -1
		m.during(func([]string, bool) {
			if step++; step == kill {
				m.killLocked()
			}
		})
		send(fmt.Sprint("m", kill))
		m.during(nil)
		if step < kill {
			return
		}
	}
}

func TestAPausedRedisFailsSendsInTimeAndDeliversNothingTwice(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		timeout, pause := longer(s, 200*time.Millisecond, 3*time.Second), longer(s, time.Second, 7*time.Second)
		a, b, c := twoNodes(t, s, s, Options{PublishTimeout: timeout})
		beside := s.client(func(o *redis.Options) { o.ReadTimeout = -1 }) // it waits for the end of the pause
		defer beside.Close()
		succeed(t, beside.Ping(t.Context()).Err())
		s.pause(pause)
		over := make(chan struct{})
		go func() { _ = beside.Ping(context.Background()).Err(); close(over) }()
		sent, failed := 0, 0
		for paused := true; paused; sent++ {
			start := time.Now()
			err := a.Send(t.Context(), toAll(), message("paused"))
			select {
			case <-over:
				paused = false
			default:
			}
			switch {
			case err == nil:
				continue
			case !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrOutcomeUnknown):
				t.Errorf("SendAll = %v, want a named error", err)
			}
			failed++
			if took := time.Since(start); took > timeout+publisherSlack {
				exactly(t, s, "a send has ended", start, timeout+publisherSlack)
			}
		}
		if failed == 0 {
			t.Fatal("no send failed: the test proves nothing")
		}
		ready(t, a, b)
		eventuallySent(t, a, "after") // after all that was sent before
		arrived := 0
		for text := c.next(t); !strings.HasPrefix(text, "after"); text = c.next(t) {
			arrived++
		}
		if arrived > sent {
			t.Errorf("%d were sent, %d arrived: some twice", sent, arrived)
		}
		whole(t, a, c, "g")
	})
}

// eventuallySent sends text once more each time that the publisher, which may
// still wait for what Redis did not answer, has no time left for it.
func eventuallySent(t *testing.T, r *Redis, text string) {
	t.Helper()
	for range 100 {
		err := r.Send(t.Context(), toAll(), message(text))
		if err == nil {
			return
		} else if !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	t.Fatalf("Redis does not come back: %+v", r.Health())
}

func TestAPartitionedNodeNoticesAndMissesNothingWhenItIsOver(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		n := s.line()
		timeout := longer(s, time.Second, 3*time.Second)
		a, b, c := twoNodes(t, s, n, Options{PublishTimeout: timeout})
		losses, start := b.Stats().Losses, time.Now()
		n.partition()
		becomes(t, b, Degraded) // it has to notice by itself
		exactly(t, s, "degraded", start, (1+silentAfter)*heartbeat)
		start = time.Now()
		if err := b.Send(t.Context(), toAll(), message("lost")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("SendAll = %v, want ErrUnavailable", err)
		}
		exactly(t, s, "the send has ended", start, timeout)
		start = time.Now()
		own := client(t, b, "own", "bob") // clients come and are served by their own node
		exactly(t, s, "connected", start, 0)
		succeed(t, b.Send(t.Context(), toConnections("own"), message("own")))
		for i := range 100 {
			succeed(t, a.Send(t.Context(), toGroups("g"), message(fmt.Sprint("m", i))))
		}
		start = time.Now()
		n.heal()
		ready(t, b)
		took := time.Since(start)
		exactly(t, s, "ready again", start, 0)
		succeed(t, a.Send(t.Context(), toGroups("g"), message("over")))
		arrived := 0
		for got := c.next(t); !strings.HasPrefix(got, `over"`); got = c.next(t) {
			if want := fmt.Sprintf(`m%d"`, arrived); !strings.HasPrefix(got, want) {
				t.Fatalf("received %s, want %s", got, want)
			}
			arrived++
		}
		// A busy machine may keep the node from the link for all of probeGrace. Only then
		// the link is replaced, and may lose the end of what was sent.
		if replaced := b.Stats().Losses > losses && took >= probeGrace; arrived < 100 && !replaced {
			t.Errorf("%d of 100 arrived, ready %v after the end, %d losses", arrived, took, b.Stats().Losses-losses)
		}
		whole(t, a, c, "g")
		if got := own.next(t); !strings.HasPrefix(got, "own") {
			t.Errorf("received %s", got)
		}
	})
}

func TestADeadConnectionIsReplaced(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		n := s.line()
		a, b, c := twoNodes(t, s, n, Options{})
		start := time.Now()
		n.strand()
		becomes(t, b, Degraded)
		exactly(t, s, "degraded", start, (1+silentAfter)*heartbeat)
		start = time.Now()
		ready(t, b)
		exactly(t, s, "ready again", start, probeGrace+firstPause)
		whole(t, a, c, "g")
	})
}

func TestASubscriberThatRedisDropsForItsBacklogComesBack(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		n := s.line()
		a, b, c := twoNodes(t, s, n, Options{})
		s.limitBacklog(262_144)
		n.partition() // it does not read, so its backlog grows
		channel := b.channels.Connection("c")
		big := message(strings.Repeat("x", 100_000))
		for sent := 0; strings.Contains(strings.Join(s.channels(), " "), channel); sent++ {
			if sent == 300 {
				t.Fatal("Redis has not dropped the subscriber: the test proves nothing")
			}
			succeed(t, a.Send(t.Context(), toAll(), big))
		}
		readyAfter(t, n.heal, b)
		succeed(t, a.Send(t.Context(), toAll(), message("after")))
		for text := c.next(t); !strings.HasPrefix(text, "after"); text = c.next(t) {
			if !strings.HasPrefix(text, "xxx") { // what was on its way
				t.Fatalf("received %s", text)
			}
		}
		whole(t, a, c, "g")
	})
}

func TestClientsConnectWhileRedisIsAway(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		s.kill()
		var mu sync.Mutex
		var told []State
		start := time.Now()
		a := node(t, s, Options{PublishTimeout: 5 * time.Second, OnStateChange: func(h Health) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, h.State)
		}})
		var clients []*fakeClient
		for i := range 20 {
			clients = append(clients, client(t, a, fmt.Sprint("c", i), "alice"))
		}
		exactly(t, s, "all have connected", start, connectGrace)
		succeed(t, a.Send(t.Context(), toConnections("c7"), message("own")))
		s.start()
		ready(t, a)
		expectOnly(t, a, map[*fakeClient][]string{clients[0]: nil, clients[7]: {"own"}})
		succeed(t, a.Send(t.Context(), toUsers("alice"), message("user")))
		for _, c := range clients[1:7] {
			if got := c.next(t); !strings.HasPrefix(got, "end") {
				t.Errorf("%s received %s", c.id, got)
			}
			if got := c.next(t); !strings.HasPrefix(got, "user") {
				t.Errorf("%s received %s", c.id, got)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 1 || told[0] != Ready {
			t.Errorf("told %v, want ready once", told)
		}
	})
}

func TestSubscriptionsEndWithTheirLastMember(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a := node(t, s, Options{})
		ready(t, a)
		base := a.Stats().Subscriptions
		for i := range 50 {
			c := &fakeClient{id: fmt.Sprint("c", i), user: "u" + strconv.Itoa(i%5), ctx: t.Context()}
			succeed(t, a.Connected(t.Context(), c), a.AddToGroup(t.Context(), c.id, fmt.Sprint("g", i%7)))
		}
		if got, want := a.Stats().Subscriptions, base+50+5+7; got != want {
			t.Errorf("%d subscriptions, want %d", got, want)
		}
		if got, want := len(s.channels()), base+50+5+7; got != want {
			t.Errorf("Redis knows %d channels, want %d", got, want)
		}
		for i := range 50 {
			a.Disconnected(&fakeClient{id: fmt.Sprint("c", i), user: "u" + strconv.Itoa(i%5)})
		}
		eventually(t, "no subscription without a member", func() error { // Redis has confirmed it by then
			if got, stats := len(s.channels()), a.Stats(); got != base || stats.Connections != 0 || stats.Subscriptions != base {
				return fmt.Errorf("Redis knows %d channels, want %d; stats %+v", got, base, stats)
			}
			return nil
		})
	})
}
