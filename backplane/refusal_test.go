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
)

// says reports whether err carries Redis' own error, which starts with code.
func says(err error, code string) bool {
	var reason redis.Error
	return errors.As(err, &reason) && strings.HasPrefix(reason.Error(), code)
}

func TestAJoinThatRedisRefusesFailsAtOnceAndCostsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		r := m.node(t, Options{})
		ready(t, r)
		c := client(t, r, "c", "")
		m.refusing("NOPERM No permissions to access one of the channels", func(args []string) bool {
			return args[0] == "subscribe" && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "secret") })
		})
		refusedAtOnce(t, r)
		m.cut() // the next link subscribes without what was refused
		time.Sleep(time.Second)
		ready(t, r)
		refusedAtOnce(t, r)
		if err := r.Send(t.Context(), toGroups("open0"), message("group")); err != nil {
			t.Fatal(err)
		}
		expectOnly(t, r, map[*fakeClient][]string{c: {"group"}})
	})
}

// refusedAtOnce joins client c to groups, all at once, one of which is refused.
func refusedAtOnce(t *testing.T, r *Redis) {
	t.Helper()
	start := time.Now()
	secret, open := make(chan error, 1), make(chan error, 100)
	go func() { secret <- r.AddToGroup(t.Context(), "c", "secret") }()
	for i := range 100 {
		go func() { open <- r.AddToGroup(t.Context(), "c", fmt.Sprint("open", i)) }()
	}
	if err := <-secret; !says(err, "NOPERM") {
		t.Errorf("join of the refused group: %v, want Redis' own reason", err)
	}
	for range 100 {
		if err := <-open; err != nil {
			t.Errorf("join of another group: %v", err)
		}
	}
	err := r.Connected(t.Context(), &fakeClient{id: "secret", codec: protocol.JSON{}, ctx: t.Context(), got: make(chan string, 10)})
	r.Disconnected(&fakeClient{id: "secret"})
	if !says(err, "NOPERM") {
		t.Errorf("Connected of a refused id: %v, want Redis' own reason", err)
	}
	if took := time.Since(start); took > 2*time.Second || r.Health().State != Ready {
		t.Errorf("took %v, health %+v", took, r.Health())
	}
}

// A right that is taken away while clients are in the group costs that group only.
func TestAChannelThatRedisRefusesLaterCostsThatChannelOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		r := m.node(t, Options{})
		ready(t, r)
		c := client(t, r, "c", "u")
		for _, group := range []string{"secret", "open"} {
			if err := r.AddToGroup(t.Context(), "c", group); err != nil {
				t.Fatal(err)
			}
		}
		m.refusing("NOPERM", func(args []string) bool {
			return args[0] == "subscribe" && slices.ContainsFunc(args, func(a string) bool { return strings.HasSuffix(a, "secret") })
		})
		m.cut()
		time.Sleep(time.Second)
		ready(t, r)
		for _, err := range []error{r.Send(t.Context(), toGroups("secret"), message("secret")), r.Send(t.Context(), toGroups("open"), message("open")), r.Send(t.Context(), toUsers("u"), message("user"))} {
			if err != nil {
				t.Error(err)
			}
		}
		expectOnly(t, r, map[*fakeClient][]string{c: {"open", "user"}})
		m.refusing("", func([]string) bool { return false })
		if err := r.AddToGroup(t.Context(), "c", "secret"); err != nil { // a join tries again
			t.Error(err)
		}
	})
}

func TestErrorsCarryTheReasonOfRedisWhileItRefusesTheNode(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		which  func(args []string) bool
		atOnce bool
	}{
		"no right to the channels of the hub": {"NOPERM No permissions to access one of the channels", func(args []string) bool { return args[0] == "subscribe" }, true},
		"a password is needed":                {"NOAUTH HELLO must be called with the client already authenticated", func([]string) bool { return true }, true},
		"too many clients":                    {"ERR max number of clients reached", func([]string) bool { return true }, false},
		"loading":                             {"LOADING Redis is loading the dataset in memory", func(args []string) bool { return args[0] != "hello" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemoryRedis(t)
				m.refusing(test.text, test.which)
				r := m.node(t, Options{})
				client(t, r, "c", "") // is served by this node alone
				code, _, _ := strings.Cut(test.text, " ")
				start := time.Now()
				if err := r.AddToGroup(t.Context(), "c", "g"); !says(err, code) || !errors.Is(err, ErrUnavailable) {
					t.Errorf("join: %v", err)
				}
				if took := time.Since(start); test.atOnce && took > 0 {
					t.Errorf("the join has waited for %v", took)
				}
				for method, err := range map[string]error{
					"SendAll": r.Send(t.Context(), toAll(), message("x")), "SendUsers": r.Send(t.Context(), toUsers(manyNames(3000)...), message("x")),
					"far join": r.AddToGroup(t.Context(), "far", "g"), "invoke": invoke(t.Context(), r, "far"),
				} {
					if !says(err, code) || !errors.Is(err, ErrUnavailable) {
						t.Errorf("%s: %v", method, err)
					}
				}
				if h := r.Health(); h.State != Connecting || !says(h.Err, code) {
					t.Errorf("health %+v, want %s", h, test.text)
				}
				m.refusing("", func([]string) bool { return false })
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := r.Ready(ctx); err != nil {
					t.Errorf("Redis refuses nothing any more: %v, %+v", err, r.Health())
				}
			})
		})
	}
}

func TestAPublishThatRedisRefusesFailsWithItsReason(t *testing.T) {
	for _, text := range []string{
		"NOPERM No permissions to access one of the channels", "OOM command not allowed when used memory > 'maxmemory'.",
		"READONLY You can't write against a read only replica.", "MOVED 3999 127.0.0.1:6381", "CLUSTERDOWN The cluster is down",
		"MISCONF Redis is configured to save RDB snapshots", "MASTERDOWN Link with MASTER is down", "NOREPLICAS Not enough good replicas to write.",
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemoryRedis(t)
			r := m.node(t, Options{})
			ready(t, r)
			m.refusing(text, func(args []string) bool { return args[0] == "publish" })
			code, _, _ := strings.Cut(text, " ")
			for method, err := range map[string]error{
				"SendAll": r.Send(t.Context(), toAll(), message("x")), "SendGroups": r.Send(t.Context(), toGroups(manyNames(3000)...), message("x")),
				"far join": r.AddToGroup(t.Context(), "far", "g"), "invoke": invoke(t.Context(), r, "far"),
			} {
				if !says(err, code) {
					t.Errorf("%s: %v, want %s", method, err, text)
				}
			}
			m.refusing("", func([]string) bool { return false })
			if err := r.Send(t.Context(), toAll(), message("x")); err != nil {
				t.Errorf("after %s: %v", code, err)
			}
		})
	}
}
