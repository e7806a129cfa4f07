package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	messages = 20_000
	senders  = 40 // clients that send, half of them on each node
	// pace is the time between two sends of a sender that does not have to wait.
	pace = 40 * time.Millisecond
	// sendLimit is more than a send may take: five seconds for a Redis that is
	// away, and the load of the machine.
	sendLimit = time.Minute
	// recoveryLimit bounds the time from Redis' return until both nodes have
	// all their subscriptions. They need a tenth of a second; the rest is for a
	// machine that has other work.
	recoveryLimit = time.Minute
)

// outages are how long Redis is away: too short to notice, noticed, and longer
// than a send waits.
var outages = []time.Duration{100 * time.Millisecond, 2 * time.Second, 6 * time.Second}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A sent is one message after its call has ended.
type sent struct {
	form             form
	scene            *scene
	text             string
	from, to         time.Time // of the call
	err              error
	missing, reached int // receivers; filled in at the end
	missingAtHome    int // of those missing, on the sender's node
}

// A gap is a time in which messages may be lost: from the kill of Redis until
// both nodes have all their subscriptions again.
type gap struct{ from, back, to time.Time }

func TestOnlyWhatIsSentInTheGapsIsLostWhileRedisIsRestartedThreeTimes(t *testing.T) {
	harness.Long(t, "takes a minute")
	t.Parallel()
	server, command := harness.StartRedis(t), harness.NodeCommand(t)
	var nodes [2]string
	for i := range nodes {
		nodes[i] = harness.StartNode(t, command, "--redis", server.Addr).URL
	}
	observer := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer observer.Close()
	members := dialAudience(t, nodes)
	whole := subscriptions(t, observer)
	t.Logf("%d clients on two nodes have %d subscriptions", len(members), whole)

	var done atomic.Int64
	log := make([][]sent, senders)
	var sending sync.WaitGroup
	start := time.Now()
	for i := range senders {
		sending.Go(func() { log[i] = send(t.Context(), members, i, &done) })
	}
	var gaps []gap
	for i, outage := range outages {
		share := int64(messages * (i + 1) / (len(outages) + 1))
		wait(t, fmt.Sprint(share, " messages are sent"), 3*time.Minute, func() bool { return done.Load() >= share })
		gaps = append(gaps, lose(t, server, observer, outage, whole))
	}
	sending.Wait()
	t.Logf("%d messages in %v", messages, time.Since(start).Round(time.Millisecond))
	flush(t, members)
	check(t, members, slices.Concat(log...), gaps)
}

// send sends the share of one sender, one message after the other.
func send(ctx context.Context, members []*member, sender int, done *atomic.Int64) []sent {
	log := make([]sent, 0, messages/senders)
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for sequence := range messages / senders {
		<-ticker.C
		f, s := plan(members, sender, sequence)
		one := sent{form: f, scene: s, text: f.text(sender, sequence), from: time.Now()}
		limited, cancel := context.WithTimeout(ctx, sendLimit)
		one.err = s.sender.Invoke(limited, nil, f.method, append(f.args(s), "M", one.text)...)
		cancel()
		one.to = time.Now()
		log = append(log, one)
		done.Add(1)
	}
	return log
}

// lose kills Redis, brings it back after the outage, and waits until it has as
// many subscriptions as before.
func lose(t *testing.T, server *harness.RedisServer, observer *redis.Client, outage time.Duration, whole int64) gap {
	t.Helper()
	g := gap{from: time.Now()}
	server.Kill()
	<-time.After(outage)
	server.Restart()
	g.back = time.Now()
	wait(t, fmt.Sprint("Redis has ", whole, " subscriptions again"), recoveryLimit, func() bool { return subscriptions(t, observer) >= whole })
	g.to = time.Now()
	t.Logf("Redis was away for %v; %v after its return all subscriptions are back", outage, g.to.Sub(g.back).Round(time.Millisecond))
	return g
}

// subscriptions counts the subscriptions that Redis has.
func subscriptions(t *testing.T, observer *redis.Client) (sum int64) {
	t.Helper()
	channels, err := observer.PubSubChannels(t.Context(), "*").Result()
	if err != nil || len(channels) == 0 {
		return 0 // it is not there yet
	}
	counts, err := observer.PubSubNumSub(t.Context(), channels...).Result()
	if err != nil {
		return 0
	}
	for _, n := range counts {
		sum += n
	}
	return sum
}

// check compares what was sent with what was received.
func check(t *testing.T, members []*member, log []sent, gaps []gap) {
	t.Helper()
	received := 0
	for _, m := range members {
		select {
		case <-m.Done():
			t.Errorf("client %d was disconnected: %v", m.index, m.Err())
		default:
		}
		m.mu.Lock()
		received += len(m.got)
		for _, trouble := range m.troubles {
			t.Errorf("client %d: %s", m.index, trouble)
		}
		m.mu.Unlock()
	}
	counts, deliveries := map[string]int{}, 0
	for i := range log {
		one := &log[i]
		one.count(members)
		deliveries += one.reached
		inGap := slices.ContainsFunc(gaps, func(g gap) bool { return one.from.Before(g.to) && g.from.Before(one.to) })
		what := one.outcome()
		counts[what]++
		switch {
		case what == "delivered":
		case !inGap:
			t.Errorf("%s %q, sent when Redis was there: %s (%d missing, %v)", one.form.method, one.text, what, one.missing, one.err)
		case one.err == nil && one.missingAtHome > 0:
			t.Errorf("%s %q was done, but is lost at %d clients of the sender's own node", one.form.method, one.text, one.missingAtHome)
		}
		if inGap {
			counts["sent in a gap"]++
		}
	}
	if received != deliveries {
		t.Errorf("%d messages have reached those that they were for, but %d were received", deliveries, received)
	}
	if len(log) != messages {
		t.Errorf("%d messages were sent, not %d", len(log), messages)
	}
	t.Logf("%d messages, %d deliveries: %v", len(log), deliveries, counts)
}

// count compares with those that the message must reach.
func (s *sent) count(members []*member) {
	for _, m := range s.form.audience(members, s.scene) {
		switch {
		case m.received(s.text):
			s.reached++
		default:
			s.missing++
			if m.node() == s.scene.sender.node() {
				s.missingAtHome++
			}
		}
	}
}

// outcome says in words what became of a message.
func (s *sent) outcome() string {
	switch {
	case s.err == nil && s.missing == 0:
		return "delivered"
	case s.err == nil:
		return "done, but lost at some clients"
	case s.reached == 0:
		return "failed"
	default:
		return "failed, but delivered to some clients"
	}
}
