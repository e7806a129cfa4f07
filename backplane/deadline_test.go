package backplane

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// An attempt is a call of a method that may wait for Redis. "own" is a client of
// the node, "far" one of another node.
type attempt struct {
	method string // of server.LifetimeManager or server.ResultRouter
	call   func(ctx context.Context, r *Redis) error
}

func manyNames(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("name", i)
	}
	return list
}

func invoke(ctx context.Context, r *Redis, id string) error {
	_, err := r.InvokeConnection(ctx, id, &protocol.Invocation{Target: "ask", Arguments: []any{}})
	return err
}

func attempts() map[string]attempt {
	return map[string]attempt{
		"to all":          {"Send", func(ctx context.Context, r *Redis) error { return r.Send(ctx, toAll(), message("x")) }},
		"to a far client": {"Send", func(ctx context.Context, r *Redis) error { return r.Send(ctx, toConnections("far"), message("x")) }},
		"to 3,000 clients": {"Send", func(ctx context.Context, r *Redis) error {
			return r.Send(ctx, toConnections(manyNames(3000)...), message("x"))
		}},
		"to a group": {"Send", func(ctx context.Context, r *Redis) error { return r.Send(ctx, toGroups("g"), message("x")) }},
		"to 3,000 groups": {"Send", func(ctx context.Context, r *Redis) error {
			return r.Send(ctx, toGroups(manyNames(3000)...), message("x"))
		}},
		"to a user": {"Send", func(ctx context.Context, r *Redis) error { return r.Send(ctx, toUsers("u"), message("x")) }},
		"to 300 users": {"Send", func(ctx context.Context, r *Redis) error {
			return r.Send(ctx, toUsers(manyNames(300)...), message("x"))
		}},
		"to 3,000 users": {"Send", func(ctx context.Context, r *Redis) error {
			return r.Send(ctx, toUsers(manyNames(3000)...), message("x"))
		}},
		"own client joins":  {"AddToGroup", func(ctx context.Context, r *Redis) error { return r.AddToGroup(ctx, "own", "new") }},
		"far client joins":  {"AddToGroup", func(ctx context.Context, r *Redis) error { return r.AddToGroup(ctx, "far", "new") }},
		"own client leaves": {"RemoveFromGroup", func(ctx context.Context, r *Redis) error { return r.RemoveFromGroup(ctx, "own", "g") }},
		"far client leaves": {"RemoveFromGroup", func(ctx context.Context, r *Redis) error { return r.RemoveFromGroup(ctx, "far", "g") }},
		"own client asked":  {"InvokeConnection", func(ctx context.Context, r *Redis) error { return invoke(ctx, r, "own") }},
		"far client asked":  {"InvokeConnection", func(ctx context.Context, r *Redis) error { return invoke(ctx, r, "far") }},
		"a client connects": {"Connected", func(ctx context.Context, r *Redis) error {
			return r.Connected(ctx, &fakeClient{id: "new", user: "newcomer", codec: protocol.JSON{}, ctx: context.Background(), got: make(chan string, 10_000)})
		}},
	}
}

func TestEveryMethodThatMayWaitIsTried(t *testing.T) {
	manager, results := reflect.TypeFor[server.LifetimeManager](), reflect.TypeFor[server.ResultRouter]()
	methods := slices.Collect(manager.Methods())
	for m := range results.Methods() {
		methods = append(methods, m)
	}
	for _, m := range methods {
		if m.Type.NumIn() == 0 || m.Type.In(0) != reflect.TypeFor[context.Context]() {
			continue
		}
		tried := false
		for _, w := range attempts() {
			tried = tried || w.method == m.Name
		}
		if !tried {
			t.Errorf("%s takes a context and is not tried", m.Name)
		}
	}
}

// troubles are what may keep a call waiting.
var troubles = map[string]func(m *memoryRedis, r *Redis){
	"Redis is away":   func(m *memoryRedis, r *Redis) { m.kill() },
	"Redis is paused": func(m *memoryRedis, r *Redis) { m.pauseAt(func([]string) bool { return true }) },
	"the fence does not pass": func(m *memoryRedis, r *Redis) {
		m.pauseAt(func(args []string) bool { return args[0] == "ping" && len(args) > 1 })
	},
	"PUBLISH is not answered": func(m *memoryRedis, r *Redis) { m.pauseAt(func(args []string) bool { return args[0] == "publish" }) },
	"SUBSCRIBE is not answered": func(m *memoryRedis, r *Redis) {
		m.pauseAt(func(args []string) bool { return args[0] == "subscribe" })
	},
	// A HELLO that waits would do so behind a lock of go-redis, and stop the clock.
	"the link is lost, and a new one is not subscribed": func(m *memoryRedis, r *Redis) {
		m.pauseAt(func(args []string) bool { return args[0] == "subscribe" })
		m.cut()
	},
	"the other nodes do not come back": func(m *memoryRedis, r *Redis) {
		m.pauseAt(func(args []string) bool { return args[0] == "pubsub" })
		m.cut()
		time.Sleep(time.Second)
	},
}

// fill has more sends wait than the queue takes.
func fill(t *testing.T, r *Redis) {
	var wg sync.WaitGroup
	for range publishQueue + publishBatch + 200 {
		wg.Go(func() { _ = r.Send(context.Background(), toAll(), message("fill")) })
	}
	t.Cleanup(wg.Wait)
	synctest.Wait()
}

// try calls w with a context, under a fake clock, while Redis is in trouble.
func (w attempt) try(t *testing.T, trouble string, full bool, ctx func() (context.Context, context.CancelFunc), check func(r *Redis, err error, took time.Duration)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		// Both nodes end before Redis does, so that no send waits for its end.
		r, other := m.node(t, Options{}), m.node(t, Options{})
		ready(t, r, other)
		client(t, r, "own", "")
		client(t, other, "far", "")
		if err := r.AddToGroup(t.Context(), "own", "g"); err != nil {
			t.Fatal(err)
		}
		troubles[trouble](m, r)
		if full {
			fill(t, r)
		}
		ctx, cancel := ctx()
		defer cancel()
		start := time.Now()
		err := w.call(ctx, r)
		check(r, err, time.Since(start))
		m.resume()
	})
}

func eachTrouble(t *testing.T, f func(t *testing.T, w attempt, trouble string, full bool)) {
	for name, w := range attempts() {
		for trouble := range troubles {
			for _, full := range []bool{false, true} {
				text := ""
				if full {
					text = ", and the queue is full"
				}
				if full && trouble != "Redis is away" {
					continue // once is enough
				}
				t.Run(name+" while "+trouble+text, func(t *testing.T) { f(t, w, trouble, full) })
			}
		}
	}
}

// allowed are the errors of a context that is over: a call whose client did not
// answer says so in ASP.NET Core's words.
func allowed(err error) bool {
	var unknown *server.ConnectionError // the far node is not back
	return err == nil || errors.Is(err, context.DeadlineExceeded) || err.Error() == errCanceled.Error() || errors.Is(err, ErrOutcomeUnknown) || errors.As(err, &unknown)
}

func TestTheDeadlineOfACallHoldsWhateverRedisDoes(t *testing.T) {
	eachTrouble(t, func(t *testing.T, w attempt, trouble string, full bool) {
		w.try(t, trouble, full, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 100*time.Millisecond)
		}, func(r *Redis, err error, took time.Duration) {
			if took > 100*time.Millisecond || !allowed(err) {
				t.Errorf("%v after %v, the deadline is 100ms", err, took)
			}
		})
	})
}

func TestWithoutADeadlineACallTakesNoLongerThanPublishTimeout(t *testing.T) {
	eachTrouble(t, func(t *testing.T, w attempt, trouble string, full bool) {
		if w.method == "InvokeConnection" {
			return // it waits for the client, for as long as its context says
		}
		w.try(t, trouble, full, func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}, func(r *Redis, err error, took time.Duration) {
			bound := 5*time.Second + publisherSlack
			if strings.HasSuffix(w.method, "Group") {
				bound += 30 * time.Second // for the other node
			}
			if took > bound {
				t.Errorf("%v after %v, PublishTimeout is 5s", err, took)
			}
		})
	})
}
