package backplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/server"
)

// A network lies between a node and Redis, and may stop carrying anything
// without a word to either.
type network struct {
	addr string
	mu   sync.Mutex
	open chan struct{} // closed while it carries; new connections take what is there then
	all  []net.Conn

	stranded chan struct{} // another one with each strand
	over     chan struct{} // closed at the end
}

func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{addr: l.Addr().String(), open: make(chan struct{}), over: make(chan struct{})}
	close(n.open)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			n.mu.Lock()
			n.all = append(n.all, near, far)
			n.mu.Unlock()
			n.mu.Lock()
			stranded := n.stranded
			n.mu.Unlock()
			wg.Go(func() { n.carry(near, far, stranded) })
			wg.Go(func() { n.carry(far, near, stranded) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.heal()
		n.cut()
		wg.Wait()
	})
	return n
}

func (n *network) carry(to, from net.Conn, stranded chan struct{}) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		count, err := from.Read(buf)
		n.mu.Lock()
		open := n.open
		if stranded != n.stranded { // of before: nothing is carried any more
			open = n.over
		}
		n.mu.Unlock()
		<-open
		if count > 0 {
			if _, err := to.Write(buf[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// partition holds back everything, both ways.
func (n *network) partition() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = make(chan struct{})
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.open:
	default:
		close(n.open)
	}
}

// strand holds back everything of the connections there are, for good, as a
// firewall that has forgotten them. New ones work.
func (n *network) strand() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stranded = make(chan struct{})
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.over)
	for _, c := range n.all {
		_ = c.Close()
	}
}

// admin is a client of Redis beside the nodes.
func admin(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// becomes waits for a state, for longer than any limit of the backplane.
func becomes(t *testing.T, r *Redis, want State) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for r.Health().State != want {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("health %+v, want %v", r.Health(), want)
		}
	}
}

// whole wants every kind of channel of c, a client of r, to work again.
func whole(t *testing.T, from, r *Redis, c *fakeClient, group string) {
	t.Helper()
	for _, err := range []error{
		from.SendConnection(t.Context(), c.id, message("client")), from.SendGroup(t.Context(), group, message("group"), nil),
		from.SendUsers(t.Context(), []string{c.user}, message("user")), from.RemoveFromGroup(t.Context(), c.id, "another"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return len(c.got) == 3 })
	expectOnly(t, from, map[*fakeClient][]string{c: {"client", "group", "user"}})
}

// cluster of two nodes with a client of the second in group g.
func twoNodes(t *testing.T, addrA, addrB string, opts Options) (a, b *Redis, c *fakeClient) {
	t.Helper()
	a, b = node(t, addrA, opts), node(t, addrB, opts)
	ready(t, a, b)
	c = client(t, b, "c", "alice")
	if err := a.AddToGroup(t.Context(), "c", "g"); err != nil {
		t.Fatal(err)
	}
	return a, b, c
}

func TestAKilledSubscriberIsSubscribedAgain(t *testing.T) {
	s := startRedis(t)
	a, b, c := twoNodes(t, s.addr, s.addr, Options{})
	for range 5 {
		losses := b.Stats().Losses
		if err := admin(t, s.addr).ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return b.Stats().Losses > losses })
		ready(t, a, b)
		whole(t, a, b, c, "g")
	}
}

// A send that is done has reached the clients of its own node, whatever happens
// to the subscribing connection meanwhile.
func TestASendThatIsDoneHasReachedItsOwnNode(t *testing.T) {
	s := startRedis(t)
	a := node(t, s.addr, Options{})
	ready(t, a)
	c := client(t, a, "c", "")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		killer := admin(t, s.addr)
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
				_ = killer.ClientKillByFilter(context.Background(), "TYPE", "pubsub").Err()
			}
		}
	})
	done, unknown := map[string]bool{}, 0
	for i := range 1500 {
		text := fmt.Sprintf("m%d", i)
		switch err := a.SendAll(t.Context(), message(text), nil); {
		case err == nil:
			done[text] = true
		case errors.Is(err, ErrOutcomeUnknown):
			unknown++
		default:
			t.Fatalf("SendAll = %v", err)
		}
	}
	close(stop)
	wg.Wait()
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
	if unknown == 0 {
		t.Error("no send met a loss: the test proves nothing")
	}
}

func TestAPausedRedisFailsSendsInTimeAndDeliversNothingTwice(t *testing.T) {
	s := startRedis(t)
	a, b, c := twoNodes(t, s.addr, s.addr, Options{PublishTimeout: 500 * time.Millisecond})
	if err := admin(t, s.addr).ClientPause(t.Context(), 4*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	failed := 0
	for time.Since(started) < 3*time.Second {
		sent := time.Now()
		if err := a.SendAll(t.Context(), message("paused"), nil); err != nil {
			failed++
			if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("SendAll = %v, want a named error", err)
			}
		}
		if took := time.Since(sent); took > 2*time.Second {
			t.Errorf("a send took %v, limit 500 ms", took)
		}
	}
	if failed == 0 {
		t.Fatal("no send failed: the test proves nothing")
	}
	if err := admin(t, s.addr).Ping(t.Context()).Err(); err != nil { // the pause is over
		t.Fatal(err)
	}
	ready(t, a, b)
	waitForQuiet(c)
	if n := len(c.got); n > failed {
		t.Errorf("%d sends failed, %d arrived late: some twice", failed, n)
	}
	for len(c.got) > 0 {
		<-c.got
	}
	whole(t, a, b, c, "g")
}

// waitForQuiet waits until nothing has arrived for a while.
func waitForQuiet(c *fakeClient) {
	for n := -1; n != len(c.got); {
		n = len(c.got)
		time.Sleep(100 * time.Millisecond)
	}
}

func TestAPartitionedNodeNoticesAndIsWholeWhenItIsOver(t *testing.T) {
	s := startRedis(t)
	n := newNetwork(t, s.addr)
	a, b, c := twoNodes(t, s.addr, n.addr, Options{PublishTimeout: time.Second})
	n.partition()
	becomes(t, b, Degraded) // nobody has told it
	if err := b.SendAll(t.Context(), message("lost"), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("SendAll = %v, want ErrUnavailable", err)
	}
	own := client(t, b, "own", "bob") // clients come and are served by their own node
	if err := b.SendConnection(t.Context(), "own", message("own")); err != nil {
		t.Error(err)
	}
	n.heal()
	healed := time.Now()
	ready(t, a, b)
	t.Logf("whole again %v after the network", time.Since(healed))
	whole(t, a, b, c, "g")
	expectOnly(t, a, map[*fakeClient][]string{own: {"own"}})
}

func TestADeadConnectionIsReplaced(t *testing.T) {
	s := startRedis(t)
	n := newNetwork(t, s.addr)
	a, b, c := twoNodes(t, s.addr, n.addr, Options{})
	n.strand()
	becomes(t, b, Degraded)
	silent := time.Now()
	ready(t, a, b)
	t.Logf("whole again %v after the silence was noticed", time.Since(silent))
	whole(t, a, b, c, "g")
}

func TestNothingIsLostBehindAPartitionThatHeals(t *testing.T) {
	s := startRedis(t)
	n := newNetwork(t, s.addr)
	a, b, c := twoNodes(t, s.addr, n.addr, Options{})
	n.partition()
	becomes(t, b, Degraded)
	for i := range 100 {
		if err := a.SendGroup(t.Context(), "g", message(fmt.Sprint("m", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	n.heal()
	ready(t, a, b)
	for i := range 100 {
		if got, want := c.next(t), fmt.Sprintf(`m%d"`, i); !strings.HasPrefix(got, want) {
			t.Fatalf("received %s, want %s", got, want)
		}
	}
	whole(t, a, b, c, "g")
}

func TestASubscriberThatRedisDropsForItsBacklogComesBack(t *testing.T) {
	s := startRedis(t)
	n := newNetwork(t, s.addr)
	a, b, c := twoNodes(t, s.addr, n.addr, Options{})
	if err := admin(t, s.addr).ConfigSet(t.Context(), "client-output-buffer-limit", "pubsub 262144 0 0").Err(); err != nil {
		t.Fatal(err)
	}
	n.partition() // it does not read, so its backlog grows
	big := message(strings.Repeat("x", 100_000))
	var dropped bool
	for range 300 {
		if err := a.SendAll(t.Context(), big, nil); err != nil {
			t.Fatal(err)
		}
		list, err := admin(t, s.addr).Do(t.Context(), "client", "list", "type", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		if dropped = strings.Count(list, "\n") < 2; dropped {
			break
		}
	}
	if !dropped {
		t.Fatal("Redis has not dropped the subscriber: the test proves nothing")
	}
	n.heal()
	waitFor(t, func() bool { return b.Stats().Losses > 0 })
	ready(t, a, b)
	waitForQuiet(c)
	for len(c.got) > 0 {
		<-c.got
	}
	whole(t, a, b, c, "g")
}

func TestClientsConnectWhileRedisIsAway(t *testing.T) {
	s := startRedis(t)
	s.kill()
	var mu sync.Mutex
	var told []State
	a := node(t, s.addr, Options{PublishTimeout: 5 * time.Second, OnStateChange: func(h Health) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, h.State)
	}})
	started := time.Now()
	var clients []*fakeClient
	for i := range 20 {
		clients = append(clients, client(t, a, fmt.Sprint("c", i), "alice"))
	}
	if err := a.SendConnection(t.Context(), "c7", message("own")); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("20 clients took %v to connect", took)
	}
	s.start()
	ready(t, a)
	expectOnly(t, a, map[*fakeClient][]string{clients[0]: nil, clients[7]: {"own"}})
	if err := a.SendUsers(t.Context(), []string{"alice"}, message("user")); err != nil {
		t.Fatal(err)
	}
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
}

func TestSubscriptionsEndWithTheirLastMember(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		a := node(t, addr, Options{})
		ready(t, a)
		base := a.Stats().Subscriptions
		for i := range 50 {
			c := &fakeClient{id: fmt.Sprint("c", i), user: "u" + strconv.Itoa(i%5), ctx: t.Context()}
			if err := a.Connected(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if err := a.AddToGroup(t.Context(), c.id, fmt.Sprint("g", i%7)); err != nil {
				t.Fatal(err)
			}
			defer a.Disconnected(c)
		}
		if got, want := a.Stats().Subscriptions, base+50+5+7; got != want {
			t.Errorf("%d subscriptions, want %d", got, want)
		}
		channels := func() int {
			list, err := admin(t, addr).PubSubChannels(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if got, want := channels(), base+50+5+7; got != want {
			t.Errorf("Redis knows %d channels, want %d", got, want)
		}
		for i := range 50 {
			a.Disconnected(&fakeClient{id: fmt.Sprint("c", i), user: "u" + strconv.Itoa(i%5)})
		}
		waitFor(t, func() bool { return channels() == base && a.Stats().Subscriptions == base })
		if got := channels(); got != base || a.Stats().Connections != 0 {
			t.Errorf("Redis knows %d channels, want %d; stats %+v", got, base, a.Stats())
		}
	})
}

var _ io.Closer = (*Redis)(nil)
var _ server.LifetimeManager = (*Redis)(nil)
