package backplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// sessionNode returns a node that keeps sessions.
func sessionNode(t *testing.T, p place, o server.SessionOptions) *Redis {
	t.Helper()
	return sessionNodeOf(t, p, o, Options{})
}

// sessionNodeOf is sessionNode with more options.
func sessionNodeOf(t *testing.T, p place, o server.SessionOptions, more Options) *Redis {
	t.Helper()
	if o.TTL == 0 {
		o.TTL = 2 * time.Minute
	}
	if o.MaximumGroups == 0 {
		o.MaximumGroups = 1000
	}
	r := node(t, p, more)
	r.KeepSessions(o)
	ready(t, r)
	settle(p)
	return r
}

// comes connects a client with a session, and wants it to be in groups.
func comes(t *testing.T, r *Redis, id, user, key string, resumed bool, groups ...string) *fakeClient {
	t.Helper()
	c := &fakeClient{id: id, user: user, codec: protocol.JSON{}, got: make(chan string, 10_000)}
	c.ctx, c.end = context.WithCancel(context.Background())
	t.Cleanup(c.end)
	known, err := r.ConnectedSession(t.Context(), c, key)
	if err != nil || known != resumed {
		t.Errorf("ConnectedSession of %s = %v, %v, want %v", id, known, err, resumed)
	}
	in(t, r, id, groups...)
	return c
}

// in wants a connection to be in groups.
func in(t *testing.T, r *Redis, id string, want ...string) {
	t.Helper()
	got := r.GroupsOf(id)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s is in %q, want %q", id, got, want)
	}
}

func goes(r *Redis, c *fakeClient) {
	c.end()
	r.Disconnected(c)
}

func TestASessionComesBackOnAnyNode(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) { aSessionComesBack(t, s, Options{}) })
}

// aSessionComesBack has clients with sessions on nodes with options.
func aSessionComesBack(t *testing.T, s place, o Options) {
	t.Helper()
	a, b := sessionNodeOf(t, s, server.SessionOptions{}, o), sessionNodeOf(t, s, server.SessionOptions{}, o)
	c := comes(t, a, "c1", "alice", "s1", false)
	for _, group := range []string{"g", "", "with space", "gone"} {
		succeed(t, a.AddToGroup(t.Context(), "c1", group))
	}
	succeed(t, b.AddToGroup(t.Context(), "c1", "from b"), b.RemoveFromGroup(t.Context(), "c1", "gone"))
	goes(a, c)
	c = comes(t, b, "c2", "alice", "s1", true, "g", "", "with space", "from b")
	succeed(t, a.Send(t.Context(), toGroups("g"), message("hello")))
	if got := c.next(t); !strings.HasPrefix(got, "hello") {
		t.Errorf("received %q", got)
	}
	succeed(t, a.RemoveFromGroup(t.Context(), "c2", "from b"))
	succeed(t, a.Close()) // and with it all that it knew
	goes(b, c)
	succeed(t, b.Close())
	fresh := sessionNodeOf(t, s, server.SessionOptions{}, o)
	comes(t, fresh, "c3", "alice", "s1", true, "g", "", "with space")
	comes(t, fresh, "c4", "alice", "s2", false)
	comes(t, fresh, "c5", "alice", "", false)
}

func TestASessionOnRedisEndsAfterItsTimeAndNotWhileItHasAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		r := sessionNode(t, s, server.SessionOptions{TTL: time.Minute})
		c := comes(t, r, "c1", "", "s1", false)
		succeed(t, r.AddToGroup(t.Context(), "c1", "g"))
		time.Sleep(time.Hour)
		goes(r, c)
		time.Sleep(time.Minute)
		goes(r, comes(t, r, "c2", "", "s1", true, "g"))
		time.Sleep(90*time.Second + time.Millisecond)
		comes(t, r, "c3", "", "s1", false)
		if got := len(s.data); got != 1 {
			t.Errorf("Redis has %d keys, want one", got)
		}
	})
}

func TestASessionOnRedisHasOnlySoManyGroups(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		r := sessionNode(t, s, server.SessionOptions{MaximumGroups: 2})
		comes(t, r, "c1", "", "s1", false)
		comes(t, r, "c2", "", "s1", true)
		succeed(t, r.AddToGroup(t.Context(), "c1", "a"), r.AddToGroup(t.Context(), "c2", "b"), r.AddToGroup(t.Context(), "c1", "b"))
		if err := r.AddToGroup(t.Context(), "c2", "c"); !errors.Is(err, server.ErrTooManyGroups) {
			t.Errorf("the third join = %v", err)
		}
		in(t, r, "c1", "a", "b")
		in(t, r, "c2", "b")
		succeed(t, r.RemoveFromGroup(t.Context(), "c1", "a"), r.AddToGroup(t.Context(), "c2", "c"))
		comes(t, r, "c3", "", "s1", true, "b", "c")
	})
}

func TestARedisThatHasLostEverythingGetsTheSessionsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		a, b := sessionNode(t, s, server.SessionOptions{}), sessionNode(t, s, server.SessionOptions{})
		c := comes(t, a, "c1", "alice", "s1", false)
		succeed(t, a.AddToGroup(t.Context(), "c1", "g"), a.AddToGroup(t.Context(), "c1", "h"))
		readyAfter(t, func() { s.kill(); s.forget(); s.start() }, a, b)
		succeed(t, a.RemoveFromGroup(t.Context(), "c1", "h"))
		time.Sleep(2 * keeperRetry)
		goes(a, c)
		c = comes(t, b, "c2", "alice", "s1", true, "g")
		s.forget() // nobody is told
		time.Sleep(time.Minute + 2*keeperRetry)
		goes(b, c)
		comes(t, a, "c3", "alice", "s1", true, "g")
	})
}

func TestAClientThatComesWhileRedisIsAwayIsLetInAndGetsItsGroupsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		a, b := sessionNode(t, s, server.SessionOptions{}), sessionNode(t, s, server.SessionOptions{})
		c := comes(t, a, "c1", "alice", "s1", false)
		for _, group := range []string{"stays", "left", "left before"} {
			succeed(t, a.AddToGroup(t.Context(), "c1", group))
		}
		s.kill()
		synctest.Wait()
		start := time.Now()
		if err := a.RemoveFromGroup(t.Context(), "c1", "left before"); !errors.Is(err, ErrUnavailable) || time.Since(start) > 6*time.Second {
			t.Errorf("RemoveFromGroup = %v after %v, want ErrUnavailable", err, time.Since(start))
		}
		in(t, a, "c1", "stays", "left")
		goes(a, c)
		again := &fakeClient{id: "c2", user: "alice", codec: protocol.JSON{}, got: make(chan string, 100)}
		again.ctx, again.end = context.WithCancel(context.Background())
		defer again.end()
		if resumed, err := b.ConnectedSession(t.Context(), again, "s1"); resumed || !errors.Is(err, server.ErrSessionNotKept) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("ConnectedSession = %v, %v", resumed, err)
		}
		_ = b.RemoveFromGroup(t.Context(), "c2", "left") // of a group that it does not know to be in
		s.start()
		ready(t, a, b)
		time.Sleep(3 * keeperRetry)
		in(t, b, "c2", "stays", "left before") // it was read before the node a could say so
		comes(t, a, "c3", "alice", "s1", true, "stays")
	})
}

func TestTheGroupsOfAUserHoldOnEveryNode(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b := sessionNode(t, s, server.SessionOptions{MaximumGroups: 3}), sessionNode(t, s, server.SessionOptions{MaximumGroups: 3})
		comes(t, a, "a1", "alice", "s1", false)
		comes(t, b, "b1", "alice", "s2", false)
		comes(t, b, "b2", "bob", "s of bob", false)
		comes(t, b, "b3", "", "s3", false)
		succeed(t, a.AddUserToGroup(t.Context(), "alice", "g", 0), b.AddToGroup(t.Context(), "b1", "own"), b.AddToGroup(t.Context(), "b1", "g"))
		in(t, a, "a1", "g")
		in(t, b, "b1", "g", "own")
		in(t, b, "b2")
		in(t, b, "b3")
		comes(t, b, "b4", "alice", "", false, "g")
		succeed(t, b.AddUserToGroup(t.Context(), "alice", "own", time.Hour), b.AddUserToGroup(t.Context(), "alice", "third", 0))
		if err := a.AddUserToGroup(t.Context(), "alice", "fourth", 0); !errors.Is(err, server.ErrTooManyGroups) {
			t.Errorf("AddUserToGroup = %v", err)
		}
		succeed(t, a.RemoveUserFromGroup(t.Context(), "alice", "third"), a.AddUserToGroup(t.Context(), "alice", "fourth", 0))
		in(t, a, "a1", "g", "own", "fourth")
		goes(b, &fakeClient{id: "b1", user: "alice", end: func() {}}) // its session is in own
		succeed(t, a.RemoveUserFromGroup(t.Context(), "alice", "own"), a.RemoveUserFromGroup(t.Context(), "alice", "fourth"))
		in(t, b, "b4", "g")
		comes(t, a, "a2", "alice", "s2", true, "g")
		succeed(t, a.RemoveUserFromGroup(t.Context(), "alice", "g"))
		in(t, a, "a2")
		succeed(t, b.AddToGroup(t.Context(), "a2", "own")) // after it was removed
		comes(t, b, "b5", "alice", "s2", true, "own")
	})
}

func TestAGroupOfAUserEndsOnTimeOnEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		a, b := sessionNode(t, s, server.SessionOptions{}), sessionNode(t, s, server.SessionOptions{})
		comes(t, a, "a1", "alice", "", false)
		comes(t, b, "b1", "alice", "", false)
		for group, ttl := range map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "own": time.Minute, "longer": time.Minute} {
			succeed(t, a.AddUserToGroup(t.Context(), "alice", group, ttl))
		}
		succeed(t, b.AddUserToGroup(t.Context(), "alice", "longer", 2*time.Minute), a.AddToGroup(t.Context(), "a1", "own"))
		time.Sleep(time.Minute - time.Second)
		in(t, b, "b1", "minute", "hour", "own", "longer")
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		in(t, a, "a1", "hour", "own", "longer")
		in(t, b, "b1", "hour", "longer")
		comes(t, b, "b2", "alice", "", false, "hour", "longer")
		time.Sleep(time.Minute)
		synctest.Wait()
		in(t, b, "b2", "hour")
		time.Sleep(time.Hour)
		synctest.Wait()
		in(t, a, "a1", "own")
		if len(s.data) != 0 && s.value(a.userGroupsKey("alice")) != nil {
			t.Errorf("Redis still has %v", s.data)
		}
	})
}

func TestAUserIsAddedThoughANodeWasCutOffAndTheCallerHearsOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		line := s.line()
		a, b := sessionNode(t, s, server.SessionOptions{}), sessionNode(t, line, server.SessionOptions{})
		comes(t, b, "b1", "alice", "s", false)
		succeed(t, b.AddToGroup(t.Context(), "b1", "removed"))
		line.partition()
		if err := a.AddUserToGroup(t.Context(), "alice", "g", 0); !errors.Is(err, ErrNoAck) {
			t.Errorf("AddUserToGroup = %v, want ErrNoAck", err)
		}
		if err := a.RemoveUserFromGroup(t.Context(), "alice", "removed"); !errors.Is(err, ErrNoAck) {
			t.Errorf("RemoveUserFromGroup = %v, want ErrNoAck", err)
		}
		line.strand() // what was on its way is lost
		line.heal()
		time.Sleep(30 * time.Second)
		in(t, b, "b1", "g")
	})
}

// What a join costs in a hub without sessions is what it cost before.
func TestANodeWithoutSessionsSaysNothingOfThemToRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		r := s.node(t, Options{})
		ready(t, r)
		client(t, r, "c", "alice")
		succeed(t, r.AddToGroup(t.Context(), "c", "g"), r.RemoveFromGroup(t.Context(), "c", "g"))
		time.Sleep(time.Hour)
		for _, name := range []string{"eval", "pexpire", "hdel"} {
			if n := s.handled(name); n != 0 {
				t.Errorf("%d commands %s", n, name)
			}
		}
		for _, channel := range s.channels() {
			if strings.Contains(channel, "hubwire") {
				t.Errorf("the node is subscribed to %q", channel)
			}
		}
	})
}

func TestALostAnswerMakesNoNewSessionAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		r := sessionNode(t, s, server.SessionOptions{})
		lost := false
		s.slow(func([]string) time.Duration { return 0 }) // answers leave after the command is over
		s.during(func(args []string, after bool) {        // the connection ends after the script, before its answer
			if args[0] == "eval" && after && !lost {
				lost = true
				for c := range s.conns {
					if c.subscriptions == 0 {
						c.drop()
					}
				}
			}
		})
		comes(t, r, "c1", "", "s1", false)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !lost {
			t.Error("nothing was lost")
		}
	})
}

func TestTheScriptsOfSessionsDoTheSameOnARealRedis(t *testing.T) {
	real, memory := startRedis(t), newMemoryRedis(t)
	clients := []place{real, memory}
	var states [2][]string
	for i, p := range clients {
		c := p.client()
		run := func(script string, args ...any) {
			answer, err := c.Eval(t.Context(), script, []string{"k"}, args...).Result()
			if script == userScript || script == resumeScript { // the times are others
				answer = fmt.Sprintf("%T", answer)
			}
			left := c.PTTL(t.Context(), "k")
			_ = left
			fields := c.HKeys(t.Context(), "k").Val()
			slices.Sort(fields)
			states[i] = append(states[i], fmt.Sprintf("%v %v %q", answer, err, fields))
		}
		run(resumeScript, 60_000, "c1")
		for _, group := range []string{"a", "b", "a", "c", "d"} {
			run(joinScript, 60_000, "c1", "g"+group, 3)
		}
		run(resumeScript, 60_000, "c2")
		c.Del(t.Context(), "k")
		for _, group := range []string{"a", "b", "a", "c"} {
			run(changeUserScript, group, 1, 0, 2, 1_000_000)
			run(changeUserScript, group, 1, 3_600_000_000, 2, 1_000_000)
		}
		run(changeUserScript, "b", 0, 0, 2, 1_000_000)
		run(changeUserScript, "c", 1, 0, 2, 1_000_000)
		run(userScript)
		_ = c.Close()
	}
	if !slices.Equal(states[0], states[1]) {
		t.Errorf("redis-server:\n%s\nmemory:\n%s", strings.Join(states[0], "\n"), strings.Join(states[1], "\n"))
	}
}

func TestASessionThatIsMadeAgainAfterALossGetsAllItsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		r := sessionNode(t, s, server.SessionOptions{})
		c := comes(t, r, "c1", "alice", "s1", false)
		succeed(t, r.AddToGroup(t.Context(), "c1", "before"))
		s.forget()
		succeed(t, r.AddToGroup(t.Context(), "c1", "after")) // its script makes the session
		time.Sleep(time.Minute)
		r.rereadLater(r.sessions.Load(), []*connection{r.local("c1")})
		time.Sleep(time.Minute)
		goes(r, c)
		comes(t, r, "c2", "alice", "s1", true, "before", "after")
	})
}

// A heldPipeline holds back the pipeline that has a command, and then its answer.
type heldPipeline struct {
	command              string
	begun, letGo, answer chan struct{}
}

// DialHook implements redis.Hook.
func (h *heldPipeline) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h *heldPipeline) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h *heldPipeline) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Name() == h.command }) {
			h.begun <- struct{}{}
			<-h.letGo
			defer func() { <-h.answer }()
		}
		return next(ctx, cmds)
	}
}

// The keeper writes what was true when it began. What a call changes meanwhile is
// written after that, or Redis would have the older state for a moment, although
// the call has returned.
func TestWhatTheKeeperWritesDoesNotOvertakeACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		held := &heldPipeline{command: "hdel", begun: make(chan struct{}, 10), letGo: make(chan struct{}), answer: make(chan struct{})}
		client := s.client()
		client.AddHook(held)
		r := nodeOn(t, client, Options{})
		r.KeepSessions(server.SessionOptions{TTL: 2 * time.Minute, MaximumGroups: 10})
		ready(t, r)
		synctest.Wait()
		comes(t, r, "c1", "", "s1", false)
		c := r.local("c1")
		r.mu.Lock()
		c.kept.change("g") // as after a join whose outcome nobody knows
		r.mu.Unlock()
		wake(r.sessions.Load().work)
		<-held.begun
		joined := make(chan error, 1)
		go func() { joined <- r.AddToGroup(t.Context(), "c1", "g") }()
		synctest.Wait()
		close(held.letGo)
		synctest.Wait()
		select {
		case err := <-joined: // it has not waited for the keeper
			succeed(t, err)
			defer close(held.answer)
		default:
			close(held.answer)
			succeed(t, <-joined)
		}
		comes(t, r, "c2", "", "s1", true, "g")
	})
}
