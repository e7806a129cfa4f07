package backplane

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/server"
)

// A fleetModel is a fleet to which everything happens at random: connections,
// groups, nodes that are killed, cut off and started again, a Redis that breaks,
// restarts, and comes back empty or with an old copy. What is true is what the
// living nodes have themselves.
type fleetModel struct {
	t      *testing.T
	random *rand.Rand
	redis  *memoryRedis
	nodes  []*modelNode // by slot
	ids    int          // given out
	log    []string     // what has happened
	copy   map[string]*memoryValue
}

// A modelNode is what runs, or has run, in a slot.
type modelNode struct {
	*Redis
	line    *memoryLine
	cut     bool
	clients map[string]*fakeClient
	list    *eventList
}

// shut cuts n off. Nothing is under way then: a connection that is lost in the middle
// of its first command stops the clock, see memoryLine.shut.
func (n *modelNode) shut() {
	synctest.Wait()
	n.line.shut(true)
}

// An eventList is who is online as one thinks who follows the events of a node, and
// asks in OnEvent whenever events may have been missed.
type eventList struct {
	turn   chan struct{} // a lock whose waiting does not stop the clock
	node   atomic.Pointer[Redis]
	online map[string]bool
	asked  bool // since the last reset
}

func newEventList() *eventList {
	return &eventList{turn: make(chan struct{}, 1), online: map[string]bool{}}
}

func (l *eventList) add(e PresenceEvent) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	switch e.Kind {
	case PresenceReset:
		l.asked = false
	case PresenceOnline:
		l.online[e.UserID] = true
	case PresenceOffline:
		delete(l.online, e.UserID)
	}
	l.askLocked()
}

// ask tries once more what could not be asked when the events were missed.
func (l *eventList) ask() map[string]bool {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.askLocked()
	return maps.Clone(l.online)
}

func (l *eventList) askLocked() {
	node := l.node.Load()
	if l.asked || node == nil {
		return
	}
	online := map[string]bool{}
	for user, err := range node.Fleet().Users(context.Background()) {
		if err != nil {
			return
		}
		online[user.Name] = true
	}
	l.online, l.asked = online, true
}

// The steps of the model. Each returns what it has done, or "" if there was nothing to do.
var modelSteps = []struct {
	weight int
	do     func(*fleetModel) string
}{
	{8, (*fleetModel).connect},
	{5, (*fleetModel).disconnect},
	{8, (*fleetModel).join},
	{4, (*fleetModel).leave},
	{2, (*fleetModel).killNode},
	{2, (*fleetModel).closeNode},
	{4, (*fleetModel).startNode},
	{2, (*fleetModel).partition},
	{2, (*fleetModel).strand},
	{4, (*fleetModel).heal},
	{1, (*fleetModel).restartRedis},
	{2, (*fleetModel).flush},
	{1, (*fleetModel).killSubscribers},
	{12, (*fleetModel).pass},
}

const modelSlots = 3

// Whatever has happened to a fleet, everybody gets what is for them a minute later, once,
// and no picture of the fleet stays wrong.
func TestAFleetIsRightAfterWhateverHasHappened(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playFleet(t, seed) })
		})
	}
}

func playFleet(t *testing.T, seed uint64) {
	m := &fleetModel{t: t, random: rand.New(rand.NewPCG(seed, 17)), redis: newMemoryRedis(t), nodes: make([]*modelNode, modelSlots)}
	t.Cleanup(func() { time.Sleep(2 * time.Second) }) // for a dial of go-redis' pool, which ends by itself
	total := 0
	for _, s := range modelSteps {
		total += s.weight
	}
	for range 3 {
		for range 40 {
			n := m.random.IntN(total)
			for _, s := range modelSteps {
				if n -= s.weight; n < 0 {
					if did := s.do(m); did != "" {
						m.log = append(m.log, did)
					}
					for _, n := range m.nodes {
						if n != nil {
							n.list.ask()
						}
					}
					break
				}
			}
		}
		m.quiet()
		m.compare()
		if m.deliver(); t.Failed() {
			t.Logf("what has happened:\n%s", strings.Join(m.log, "\n"))
			return
		}
	}
}

// quiet mends everything and gives the fleet the time that docs/fleet.md promises.
func (m *fleetModel) quiet() {
	for _, n := range m.nodes {
		if n != nil && n.cut {
			n.line.shut(false)
			n.cut = false
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	m.log = append(m.log, "-- all is whole for a minute")
}

// compare wants each living node to see what is true.
func (m *fleetModel) compare() {
	truth, users := m.truth()
	for _, n := range m.nodes {
		if n == nil {
			continue
		}
		if h := n.Health(); h.State != Ready {
			m.t.Errorf("node %s: health %+v", n.opts.ServerName, h)
			continue
		}
		// The connections of go-redis' pool that carry nothing any more are found when
		// they are used.
		for range 20 {
			if _, err := n.Fleet().Counts(m.t.Context()); err == nil {
				break
			}
		}
		if got := picture(m.t, n.Redis); got != truth {
			m.t.Errorf("node %s sees\n%s\nbut true is\n%s", n.opts.ServerName, got, truth)
		}
		if online := n.list.ask(); !maps.Equal(online, users) {
			m.t.Errorf("the events of node %s say %v, but true is %v", n.opts.ServerName, online, users)
		}
	}
}

// deliver sends from each living node to all, to each group, user and connection, and
// wants everybody to get what is for them, once.
func (m *fleetModel) deliver() {
	for _, n := range m.nodes {
		if n == nil {
			continue
		}
		targets := map[string]server.Audience{"all": toAll()}
		for _, group := range []string{"g", "h", "1:i"} {
			targets["group "+group] = toGroups(group)
		}
		want := map[string][]string{}
		for _, other := range m.nodes {
			if other == nil {
				continue
			}
			for id, c := range other.clients {
				targets["connection "+id] = toConnections(id)
				is := []string{"all", "connection " + id}
				if c.user != "" {
					targets["user "+c.user] = toUsers(c.user)
					is = append(is, "user "+c.user)
				}
				for _, group := range other.GroupsOf(id) {
					is = append(is, "group "+group)
				}
				slices.Sort(is)
				want[id] = is
			}
		}
		for name, to := range targets {
			if err := n.Send(m.t.Context(), to, message(name)); err != nil {
				m.t.Errorf("node %s sends to %s: %v", n.opts.ServerName, name, err)
			}
		}
		synctest.Wait()
		for _, other := range m.nodes {
			if other == nil {
				continue
			}
			for id, c := range other.clients {
				var got []string
				for len(c.got) > 0 {
					name, _, _ := strings.Cut(c.next(m.t), `"`)
					got = append(got, name)
				}
				if slices.Sort(got); !slices.Equal(got, want[id]) {
					m.t.Errorf("node %s has sent, and %s of node %s has got %q, want %q", n.opts.ServerName, id, other.opts.ServerName, got, want[id])
				}
			}
		}
	}
}

// truth is a picture, made of what the nodes have themselves, and who is online.
func (m *fleetModel) truth() (text string, users map[string]bool) {
	var conns []string
	members, byUser, counts := map[string][]string{}, map[string]int{}, FleetCounts{}
	for _, n := range m.nodes {
		if n == nil {
			continue
		}
		counts.Nodes++
		for id, c := range n.clients {
			entry := id + "=" + c.user + "@" + n.opts.ServerName + "/"
			conns = append(conns, entry)
			if c.user != "" {
				byUser[c.user]++
			}
			for _, group := range n.GroupsOf(id) {
				members[group] = append(members[group], entry)
			}
		}
	}
	users = map[string]bool{}
	var userCounts, groupCounts []string
	for user, n := range byUser {
		users[user] = true
		userCounts = append(userCounts, fmt.Sprintf("%s=%d", user, n))
	}
	var details string
	for _, group := range slices.Sorted(maps.Keys(members)) {
		list := members[group]
		slices.Sort(list)
		groupCounts = append(groupCounts, fmt.Sprintf("%s=%d", group, len(list)))
		details += fmt.Sprintf(" %s=%d%q", group, len(list), list)
	}
	slices.Sort(conns)
	slices.Sort(userCounts)
	counts.Connections, counts.Users, counts.Groups = len(conns), len(byUser), len(members)
	return fmt.Sprintf("conns %q users %q groups %q%s %+v", conns, userCounts, groupCounts, details, counts), users
}

// node returns a living node, or nil.
func (m *fleetModel) node(ok func(*modelNode) bool) *modelNode {
	for _, i := range m.random.Perm(modelSlots) {
		if n := m.nodes[i]; n != nil && ok(n) {
			return n
		}
	}
	return nil
}

// client returns a connection of a living node.
func (m *fleetModel) client() (*modelNode, string) {
	n := m.node(func(n *modelNode) bool { return len(n.clients) > 0 })
	if n == nil {
		return nil, ""
	}
	ids := slices.Sorted(maps.Keys(n.clients))
	return n, ids[m.random.IntN(len(ids))]
}

func (m *fleetModel) connect() string {
	n := m.node(func(*modelNode) bool { return true })
	if n == nil {
		return ""
	}
	m.ids++
	id, user := fmt.Sprint("c", m.ids), []string{"", "alice", "bob", "carol"}[m.random.IntN(4)]
	c := newClient(id, user)
	if err := n.Connected(m.t.Context(), c); err != nil { // Redis is away
		goes(n.Redis, c) // an error ends the connection
		return id + " is not connected: " + err.Error()
	}
	n.clients[id] = c
	return fmt.Sprintf("%s of %q connects to %s", id, user, n.opts.ServerName)
}

func (m *fleetModel) disconnect() string {
	n, id := m.client()
	if n == nil {
		return ""
	}
	goes(n.Redis, n.clients[id])
	delete(n.clients, id)
	return id + " disconnects"
}

func (m *fleetModel) join() string {
	n, id := m.client()
	if n == nil {
		return ""
	}
	group := []string{"g", "h", "1:i"}[m.random.IntN(3)]
	return fmt.Sprint(id, " joins ", group, ": ", n.AddToGroup(m.t.Context(), id, group))
}

func (m *fleetModel) leave() string {
	n, id := m.client()
	if n == nil {
		return ""
	}
	groups := n.GroupsOf(id)
	if len(groups) == 0 {
		return ""
	}
	group := groups[m.random.IntN(len(groups))]
	return fmt.Sprint(id, " leaves ", group, ": ", n.RemoveFromGroup(m.t.Context(), id, group))
}

// killNode ends a node as SIGKILL does: nothing of it reaches Redis any more.
func (m *fleetModel) killNode() string {
	i := m.random.IntN(modelSlots)
	n := m.nodes[i]
	if n == nil {
		return ""
	}
	m.nodes[i] = nil
	n.shut()
	return n.opts.ServerName + " is killed"
}

func (m *fleetModel) closeNode() string {
	i := m.random.IntN(modelSlots)
	n := m.nodes[i]
	if n == nil {
		return ""
	}
	m.nodes[i] = nil
	_ = n.Close() // an error means that what is on Redis goes with the lease
	return n.opts.ServerName + " is closed"
}

// startNode starts a node, now and then with the name of the one before.
func (m *fleetModel) startNode() string {
	i := m.random.IntN(modelSlots)
	if m.nodes[i] != nil {
		return ""
	}
	name := fmt.Sprint("node", i)
	if m.random.IntN(2) == 0 {
		m.ids++
		name += fmt.Sprint("-", m.ids)
	}
	n := &modelNode{line: m.redis.line().(*memoryLine), clients: map[string]*fakeClient{}, list: newEventList()}
	n.Redis = node(m.t, n.line, Options{ServerName: name, Presence: &PresenceOptions{OnEvent: n.list.add}})
	n.list.node.Store(n.Redis)
	m.nodes[i] = n
	return name + " is started"
}

func (m *fleetModel) partition() string {
	n := m.node(func(n *modelNode) bool { return !n.cut })
	if n == nil {
		return ""
	}
	n.shut()
	n.cut = true
	return n.opts.ServerName + " is cut off"
}

func (m *fleetModel) strand() string {
	n := m.node(func(*modelNode) bool { return true })
	if n == nil {
		return ""
	}
	synctest.Wait()
	n.line.strand()
	return "the connections of " + n.opts.ServerName + " carry nothing any more"
}

func (m *fleetModel) heal() string {
	n := m.node(func(n *modelNode) bool { return n.cut })
	if n == nil {
		return ""
	}
	n.line.shut(false)
	n.cut = false
	return n.opts.ServerName + " is not cut off any more"
}

// restartRedis has Redis break, and come back as it was, or empty, or with an old
// copy of its data.
func (m *fleetModel) restartRedis() string {
	synctest.Wait() // see shut
	m.redis.kill()
	time.Sleep(time.Duration(m.random.IntN(20)) * time.Second)
	how := []string{"as it was", "empty", "with an old copy"}[m.random.IntN(3)]
	m.redis.mu.Lock()
	now := copyOf(m.redis.data)
	switch how {
	case "empty":
		m.redis.data = map[string]*memoryValue{}
	case "with an old copy":
		m.redis.data = copyOf(m.copy)
	}
	m.copy = now
	m.redis.mu.Unlock()
	m.redis.start()
	return "Redis has restarted " + how
}

func (m *fleetModel) flush() string {
	m.redis.forget()
	return "Redis loses its data"
}

func copyOf(data map[string]*memoryValue) map[string]*memoryValue {
	all := map[string]*memoryValue{}
	for key, v := range data {
		all[key] = &memoryValue{maps.Clone(v.hash), maps.Clone(v.scores), v.expires}
	}
	return all
}

func (m *fleetModel) killSubscribers() string {
	synctest.Wait() // see shut
	m.redis.killSubscribers()
	return "Redis drops its subscribers"
}

// pass lets time pass: mostly little, now and then longer than a lease.
func (m *fleetModel) pass() string {
	d := time.Duration(m.random.IntN(1000)) * time.Millisecond
	if m.random.IntN(4) == 0 {
		d *= 15
	}
	time.Sleep(d)
	return fmt.Sprint(d, " pass")
}
