package backplane

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// seenNode returns a node with presence.
func seenNode(t *testing.T, p place, name string, o PresenceOptions) *Redis {
	t.Helper()
	return seenNodeOf(t, p, name, o, Options{})
}

// seenNodeOf is seenNode with more options.
func seenNodeOf(t *testing.T, p place, name string, o PresenceOptions, more Options) *Redis {
	t.Helper()
	more.ServerName, more.Presence = name, &o
	r := node(t, p, more)
	ready(t, r)
	settle(p)
	return r
}

func collect[T any](t *testing.T, from iter.Seq2[T, error], name func(T) string) []string {
	t.Helper()
	var list []string
	for v, err := range from {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name(v))
	}
	slices.Sort(list)
	return list
}

// picture is all that a fleet says.
func picture(t *testing.T, r *Redis) string {
	t.Helper()
	f, ctx := r.Fleet(), t.Context()
	conn := func(c FleetConnection) string { return c.ID + "=" + c.UserID + "@" + c.Node + "/" + c.Metadata }
	count := func(c FleetCount) string { return fmt.Sprintf("%s=%d", c.Name, c.Connections) }
	text := fmt.Sprintf("conns %q users %q groups %q", collect(t, f.Connections(ctx), conn), collect(t, f.Users(ctx), count), collect(t, f.Groups(ctx), count))
	for g, err := range f.Groups(ctx) {
		n, countErr := f.MemberCount(ctx, g.Name)
		if err != nil || countErr != nil {
			t.Fatal(err, countErr)
		}
		text += fmt.Sprintf(" %s=%d%q", g.Name, n, collect(t, f.Members(ctx, g.Name), conn))
	}
	counts, err := f.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return text + fmt.Sprintf(" %+v", counts)
}

func TestEveryNodeSeesWhoIsConnectedToAny(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) { everyNodeSees(t, s, Options{}) })
}

// everyNodeSees has clients come and go on two nodes with presence, with options.
func everyNodeSees(t *testing.T, s place, o Options) {
	t.Helper()
	meta := PresenceOptions{Metadata: func(user, id string) string { return "of " + user }}
	a, b := seenNodeOf(t, s, "a", PresenceOptions{}, o), seenNodeOf(t, s, "b", meta, o)
	client(t, a, "a1", "alice")
	b1 := client(t, b, "b1", "alice")
	client(t, b, "b2", "")
	succeed(t, a.AddToGroup(t.Context(), "a1", "g"), a.AddToGroup(t.Context(), "b1", "g"), b.AddToGroup(t.Context(), "b2", "1:h:"))
	want := `conns ["a1=alice@a/" "b1=alice@b/of alice" "b2=@b/of "] users ["alice=2"] groups ["1:h:=1" "g=2"]` +
		` 1:h:=1["b2=@b/of "] g=2["a1=alice@a/" "b1=alice@b/of alice"] {Nodes:2 Connections:3 Users:1 Groups:2}`
	shows(t, s, func() string { return sorted(picture(t, a)) }, sorted(want))
	goes(b, b1)
	succeed(t, b.RemoveFromGroup(t.Context(), "b2", "1:h:"))
	want = `conns ["a1=alice@a/" "b2=@b/of "] users ["alice=1"] groups ["g=1"] g=1["a1=alice@a/"] {Nodes:2 Connections:2 Users:1 Groups:1}`
	shows(t, s, func() string { return picture(t, b) }, want)
	for _, test := range []struct {
		ask  func() (bool, error)
		want bool
	}{
		{func() (bool, error) { return b.Fleet().UserOnline(t.Context(), "alice") }, true},
		{func() (bool, error) { return b.Fleet().UserOnline(t.Context(), "bob") }, false},
		{func() (bool, error) { return b.Fleet().ConnectionExists(t.Context(), "a1") }, true},
		{func() (bool, error) { return b.Fleet().ConnectionExists(t.Context(), "b1") }, false},
	} {
		shows(t, s, func() string { got, err := test.ask(); return fmt.Sprint(got, err) }, fmt.Sprint(test.want, nil))
	}
	succeed(t, b.Close())
	shows(t, s, func() string { return picture(t, a) },
		`conns ["a1=alice@a/"] users ["alice=1"] groups ["g=1"] g=1["a1=alice@a/"] {Nodes:1 Connections:1 Users:1 Groups:1}`)
}

// sorted has the two groups of a picture in one order.
func sorted(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// shows asks until the answer is want: what is asked for is on its way.
func shows(t *testing.T, p place, ask func() string, want string) {
	t.Helper()
	settle(p)
	got := ask()
	for end := time.Now().Add(time.Minute); got != want && time.Now().Before(end); got = ask() {
		if _, fake := p.(*memoryRedis); fake {
			break // nothing is on its way any more
		}
	}
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestAKilledNodesEntriesAreGoneWithinTwelveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		line := s.line()
		a, b := seenNode(t, s, "a", PresenceOptions{}), seenNode(t, line, "b", PresenceOptions{})
		for i := range 500 {
			id := fmt.Sprint("b", i)
			client(t, b, id, fmt.Sprint("user ", i))
			succeed(t, b.AddToGroup(t.Context(), id, "g"))
		}
		synctest.Wait()
		if c, err := a.Fleet().Counts(t.Context()); err != nil || c != (FleetCounts{2, 500, 500, 1}) {
			t.Fatalf("Counts = %+v, %v", c, err)
		}
		line.partition()
		line.strand()
		time.Sleep(lease - renewal - time.Millisecond) // the lease was renewed up to 4 seconds ago
		if nodes, err := a.Fleet().Nodes(t.Context()); err != nil || len(nodes) != 2 {
			t.Errorf("Nodes = %v, %v before the lease has ended", nodes, err)
		}
		time.Sleep(renewal + 100*time.Millisecond)
		synctest.Wait()
		if c, err := a.Fleet().Counts(t.Context()); err != nil || c != (FleetCounts{1, 0, 0, 0}) {
			t.Errorf("Counts = %+v, %v after 12 seconds", c, err)
		}
		if got := picture(t, a); got != "conns [] users [] groups [] {Nodes:1 Connections:0 Users:0 Groups:0}" {
			t.Errorf("the fleet is %s", got)
		}
		line.heal() // it was only cut off
		time.Sleep(20 * time.Second)
		if c, err := a.Fleet().Counts(t.Context()); err != nil || c != (FleetCounts{2, 500, 500, 1}) {
			t.Errorf("Counts = %+v, %v after it has come back", c, err)
		}
	})
}

// An eventLog is what OnEvent was told.
type eventLog struct {
	mu   sync.Mutex
	list []string
}

func (l *eventLog) add(e PresenceEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, fmt.Sprintf("%s %s%s %s %v", e.Kind, e.UserID, strings.TrimPrefix(" "+e.Group, " "), e.Node, e.Here))
}

func (l *eventLog) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.list
	l.list = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func TestEventsTellWhoComesAndGoesAndAReconnectDoesNotFlicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := newMemoryRedis(t), eventLog{}
		line := s.line()
		a, b := seenNode(t, s, "a", PresenceOptions{OnEvent: all.add}), seenNode(t, line, "b", PresenceOptions{})
		first := client(t, b, "b1", "alice")
		succeed(t, b.AddToGroup(t.Context(), "b1", "g"))
		synctest.Wait() // it is the first on Redis, too
		second := client(t, a, "a1", "alice")
		succeed(t, a.AddToGroup(t.Context(), "a1", "g"))
		time.Sleep(time.Second)
		all.expect(t, "two connections of a user", "online alice b false", "joined aliceg b false", "reset   true")
		goes(b, first)
		time.Sleep(time.Second)
		all.expect(t, "one of them goes")
		goes(a, second)
		time.Sleep(presenceGrace - time.Millisecond)
		again := client(t, b, "b2", "alice") // on the other node
		succeed(t, b.AddToGroup(t.Context(), "b2", "g"))
		time.Sleep(time.Minute)
		all.expect(t, "the other one reconnects")
		succeed(t, b.RemoveFromGroup(t.Context(), "b2", "g"))
		time.Sleep(presenceGrace - time.Millisecond)
		synctest.Wait()
		all.expect(t, "it leaves, before the grace is over")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		all.expect(t, "it has left", "left aliceg b false")
		goes(b, again)
		client(t, a, "a2", "")
		succeed(t, a.AddToGroup(t.Context(), "a2", "g"))
		time.Sleep(time.Second)
		all.expect(t, "it goes, and an anonymous one comes", "offline alice b false", "joined g a true")
		client(t, b, "b3", "bob")
		time.Sleep(time.Second)
		all.expect(t, "another one comes", "online bob b false")
		line.partition()
		line.strand()
		time.Sleep(15 * time.Second)
		all.expect(t, "its node is killed", "offline bob b true") // told by the node that has swept up
		s.killSubscribers()
		time.Sleep(5 * time.Second)
		all.expect(t, "Redis was lost", "reset   true")
		line.heal()
		time.Sleep(20 * time.Second)
		all.expect(t, "the node is back", "online bob b false")
	})
}

func TestEventsThatNobodyTakesAreDroppedAndSaidToBe(t *testing.T) {
	n := newNews(PresenceOptions{Grace: time.Hour})
	for i := range mostNews + 10 {
		n.add(PresenceEvent{Kind: PresenceOffline, UserID: fmt.Sprint(i)})
	}
	list, _ := n.next(time.Now().Add(2 * time.Hour))
	if len(list) != 10 || list[0].Kind != PresenceReset {
		t.Errorf("%d events, the first %+v", len(list), list[0])
	}
}

func TestPresenceHealsAfterRedisHasLostItsDataOrLostALeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		a := seenNode(t, s, "a", PresenceOptions{})
		gone := client(t, a, "gone", "alice")
		client(t, a, "stays", "bob")
		succeed(t, a.AddToGroup(t.Context(), "stays", "g"), a.AddToGroup(t.Context(), "gone", "g"))
		synctest.Wait()
		want := `conns ["stays=bob@a/"] users ["bob=1"] groups ["g=1"] g=1["stays=bob@a/"] {Nodes:1 Connections:1 Users:1 Groups:1}`
		s.kill()
		goes(a, gone)
		s.start()
		ready(t, a)
		time.Sleep(2 * keeperRetry)
		synctest.Wait()
		shows(t, s, func() string { return picture(t, a) }, want)
		s.mu.Lock()
		old := map[string]*memoryValue{}
		for key, v := range s.data {
			old[key] = &memoryValue{maps.Clone(v.hash), maps.Clone(v.scores), v.expires}
		}
		s.mu.Unlock()
		client(t, a, "new", "carol")
		synctest.Wait()
		readyAfter(t, func() { // Redis comes back with an old copy
			s.kill()
			s.mu.Lock()
			s.data = old
			s.mu.Unlock()
			s.start()
		}, a)
		time.Sleep(2 * keeperRetry)
		synctest.Wait()
		want = `conns ["new=carol@a/" "stays=bob@a/"] users ["bob=1" "carol=1"] groups ["g=1"] g=1["stays=bob@a/"] {Nodes:1 Connections:2 Users:2 Groups:1}`
		shows(t, s, func() string { return picture(t, a) }, want)
		s.forget()
		time.Sleep(renewal + keeperRetry)
		synctest.Wait()
		shows(t, s, func() string { return picture(t, a) }, want)
	})
}

func TestWithoutPresenceAFleetSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		r := s.node(t, Options{})
		ready(t, r)
		client(t, r, "c", "alice")
		f := r.Fleet()
		_, err := f.Nodes(t.Context())
		for _, err := range []error{err, f.CloseUser(t.Context(), "alice", "", false), f.CloseConnection(t.Context(), "c", "", false)} {
			if !errors.Is(err, ErrNoPresence) {
				t.Errorf("%v, want ErrNoPresence", err)
			}
		}
		for _, err := range f.Connections(t.Context()) {
			if !errors.Is(err, ErrNoPresence) {
				t.Errorf("Connections: %v, want ErrNoPresence", err)
			}
		}
		if online, err := f.UserOnline(t.Context(), "alice"); !online || err != nil {
			t.Errorf("UserOnline = %v, %v", online, err)
		}
		if n := s.handled("eval"); n != 0 {
			t.Errorf("%d scripts", n)
		}
	})
}

// BenchmarkUpkeepOfPresence has the figures for 100,000 members.
func TestUpkeepOfPresenceCostsPerNodeAndNotPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		var nodes []*Redis
		for i := range 3 {
			r := seenNode(t, s, fmt.Sprint("n", i), PresenceOptions{})
			for k := range 200 {
				id := fmt.Sprintf("%d-%d", i, k)
				client(t, r, id, fmt.Sprint("user ", k))
				succeed(t, r.AddToGroup(t.Context(), id, "g"))
			}
			nodes = append(nodes, r)
		}
		synctest.Wait()
		before := s.handled("eval")
		time.Sleep(time.Minute)
		if got, want := s.handled("eval")-before, len(nodes)*int(time.Minute/renewal); got < want-len(nodes) || got > want+len(nodes) {
			t.Errorf("%d scripts in a minute, want about %d", got, want)
		}
	})
}

func TestNodesSayWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		var state atomic.Pointer[string]
		says := func(text string) { state.Store(&text) }
		says("ready")
		a := seenNode(t, s, "a", PresenceOptions{Version: "v2", Report: func() (string, float64) { return *state.Load(), 0.5 }})
		seenNode(t, s, "b", PresenceOptions{Version: "v1", Report: func() (string, float64) { panic("no") }})
		client(t, a, "a1", "")
		says("draining")
		time.Sleep(2 * renewal)
		nodes, err := a.Fleet().Nodes(t.Context())
		if err != nil || len(nodes) != 2 {
			t.Fatalf("Nodes = %+v, %v", nodes, err)
		}
		for i, want := range []FleetNode{{"a", "v2", nodes[0].Started, "draining", 0.5, 1}, {"b", "v1", nodes[1].Started, "ready", 0, 0}} {
			if nodes[i] != want || want.Started.IsZero() {
				t.Errorf("%+v, want %+v", nodes[i], want)
			}
		}
	})
}

// An aloneHub has no methods.
type aloneHub struct{}

func TestConnectionsAreClosedOnWhicheverNodeTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		a, b := seenNode(t, s, "a", PresenceOptions{}), seenNode(t, s, "b", PresenceOptions{})
		na := hubtest.New(t, aloneHub{}, &server.Options{LifetimeManager: a})
		nb := hubtest.New(t, aloneHub{}, &server.Options{LifetimeManager: b})
		alice := hubtest.User(server.User{ID: "alice"})
		a1, b1, b2, bob := na.Connect(alice), nb.Connect(alice), nb.Connect(alice), nb.Connect(hubtest.User(server.User{ID: "bob"}))
		succeed(t, a.Fleet().CloseConnection(t.Context(), b2.ID(), "moved", true), a.Fleet().CloseConnection(t.Context(), "nobody", "", false))
		wantClose := func(c *hubtest.Client, reason string, allowReconnect bool) {
			t.Helper()
			var closed *hubtest.CloseError
			if err := c.Wait(); !errors.As(err, &closed) || closed.Text != reason || closed.AllowReconnect != allowReconnect {
				t.Errorf("the connection ended with %+v", err)
			}
		}
		wantClose(b2, "moved", true)
		succeed(t, b.Fleet().CloseUser(t.Context(), "alice", "not welcome", false))
		wantClose(a1, "not welcome", false)
		wantClose(b1, "not welcome", false)
		if _, open := nb.Hub().Connection(bob.ID()); !open {
			t.Error("the connection of another user was closed")
		}
		if a.Fleet().CloseUser(t.Context(), "", "", false) == nil {
			t.Error("CloseUser closes all that are anonymous")
		}
	})
}
