package server_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A groupHub sends to everybody whom a hub can address.
type groupHub struct{}

func (groupHub) ID(call *server.Call) string { return call.ConnectionID() }

func (groupHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (groupHub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func (groupHub) SendTo(call *server.Call, whom string, names []string, text string) error {
	clients := call.Clients()
	to, ok := map[string]func() server.ClientProxy{
		"all":             func() server.ClientProxy { return clients.All() },
		"all but":         func() server.ClientProxy { return clients.AllExcept(names...) },
		"others":          func() server.ClientProxy { return clients.Others() },
		"caller":          func() server.ClientProxy { return clients.Caller() },
		"client":          func() server.ClientProxy { return clients.Client(names[0]) },
		"clients":         func() server.ClientProxy { return clients.Clients(names...) },
		"group":           func() server.ClientProxy { return clients.Group(names[0]) },
		"group but":       func() server.ClientProxy { return clients.GroupExcept(names[0], names[1:]...) },
		"groups":          func() server.ClientProxy { return clients.Groups(names...) },
		"others in group": func() server.ClientProxy { return clients.OthersInGroup(names[0]) },
		"user":            func() server.ClientProxy { return clients.User(names[0]) },
		"users":           func() server.ClientProxy { return clients.Users(names...) },
	}[whom]
	if !ok {
		return server.NewHubError("nobody is called %s", whom)
	}
	return to().Send(call.Context(), "M", text)
}

// mixedClients connects a client in each mode to one hub, the i-th as user
// names[i%len(names)], where a name is not empty.
func mixedClients(t *testing.T, n *hubtest.Node, names ...string) (all []*hubtest.Client) {
	t.Helper()
	for i, m := range modes {
		var user []hubtest.Option
		if name := names[i%len(names)]; name != "" {
			user = append(user, hubtest.User(server.User{ID: name}))
		}
		all = append(all, m.connect(n, user...))
	}
	return all
}

// A message reaches those for whom it is, over whatever transport and in
// whatever protocol each of them has, and nobody else.
func TestAMessageReachesThoseForWhomItIs(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, groupHub{}, nil)
		clients := mixedClients(t, n, "alice", "bob", "")
		ids := make([]string, len(clients))
		for i, c := range clients {
			ids[i] = hubtest.Result[string](c, "ID")
			if i%2 == 0 {
				c.Do("Join", "even")
			}
			if i < 4 {
				c.Do("Join", "first")
			}
		}
		const sender = 4 // even, and not of the first
		user := func(i int) string { return []string{"alice", "bob", ""}[i%3] }
		for _, test := range []struct {
			whom  string
			names []string
			times func(i int) int // how often client i gets it
		}{
			{"all", nil, func(int) int { return 1 }},
			{"all but", []string{ids[0], ids[3], "nobody"}, func(i int) int { return count(i != 0 && i != 3) }},
			{"others", nil, func(i int) int { return count(i != sender) }},
			{"caller", nil, func(i int) int { return count(i == sender) }},
			{"client", ids[2:3], func(i int) int { return count(i == 2) }},
			{"client", []string{"nobody"}, func(int) int { return 0 }},
			{"clients", []string{ids[0], ids[2], ids[0], "none"}, func(i int) int { return count(i == 0 || i == 2) }},
			{"group", []string{"even"}, func(i int) int { return count(i%2 == 0) }},
			{"group", []string{"Even"}, func(int) int { return 0 }},
			{"group but", []string{"even", ids[0], ids[1]}, func(i int) int { return count(i%2 == 0 && i != 0) }},
			{"groups", []string{"even", "first", "none"}, func(i int) int { return count(i%2 == 0) + count(i < 4) }},
			{"others in group", []string{"even"}, func(i int) int { return count(i%2 == 0 && i != sender) }},
			{"user", []string{"alice"}, func(i int) int { return count(user(i) == "alice") }},
			{"users", []string{"alice", "bob", "carol"}, func(i int) int { return count(user(i) != "") }},
			{"user", []string{""}, func(int) int { return 0 }},
		} {
			text := test.whom + fmt.Sprint(test.names)
			clients[sender].Do("SendTo", test.whom, test.names, text)
			for i, c := range clients {
				for range test.times(i) {
					c.Expect("M", text)
				}
			}
		}
		for _, c := range clients {
			c.ExpectNone()
		}
	})
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Whatever joins and leaves, a send that begins after a change has returned is
// for the members that there are then.
func TestASendReachesTheMembersThatThereAre(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, groupHub{}, nil)
		clients := mixedClients(t, n, "")
		r := rand.New(rand.NewPCG(1, 2))
		groups := []string{"a", "b", "c"}
		members := map[string]map[int]bool{"a": {}, "b": {}, "c": {}}
		for step := range 25 {
			group, i := groups[r.IntN(len(groups))], r.IntN(len(clients))
			switch {
			case r.IntN(12) == 0: // it comes back as another connection, which is in no group
				clients[i].Close()
				clients[i] = modes[i].connect(n)
				for _, in := range members {
					delete(in, i)
				}
				time.Sleep(time.Minute) // over long polling the farewell takes its time
			case r.IntN(3) == 0:
				clients[i].Do("Leave", group)
				delete(members[group], i)
			default:
				clients[i].Do("Join", group)
				members[group][i] = true
			}
			if err := n.Hub().Clients().Group(group).Send(t.Context(), "M", step); err != nil {
				t.Fatal(err)
			}
			for i, c := range clients {
				if members[group][i] {
					c.Expect("M", step)
				} else {
					c.ExpectNone()
				}
			}
		}
	})
}

// Messages of one sender to one audience arrive in their order, with several
// senders at a time, and so does what comes between.
func TestMessagesOfOneSenderKeepTheirOrder(t *testing.T) {
	const senders, each = 4, 50
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, groupHub{}, nil)
		c := m.connect(n)
		c.Do("Join", "g")
		done := make(chan error, senders)
		for sender := range senders {
			to := []server.ClientProxy{n.Hub().Clients().All(), n.Hub().Clients().Group("g")}[sender%2]
			go func() {
				for i := range each {
					if err := to.Send(t.Context(), "M", sender, i); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range senders {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		next := make([]int, senders)
		for range senders * each {
			var sender, i int
			c.Next().Scan(&sender, &i)
			if i != next[sender] {
				t.Fatalf("message %d of sender %d comes when %d is next", i, sender, next[sender])
			}
			next[sender]++
		}
		c.ExpectNone()
	})
}

// What one protocol cannot encode reaches nobody, and harms no one.
func TestAMessageThatCannotBeEncodedReachesNobody(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, groupHub{}, nil)
		clients := mixedClients(t, n, "alice")
		to := n.Hub().Clients()
		for name, proxy := range map[string]server.ClientProxy{"all": to.All(), "a user": to.User("alice"), "a client": to.Client(clients[0].ID())} {
			if err := proxy.Send(t.Context(), "M", func() {}); err == nil {
				t.Errorf("%s is sent a func", name)
			}
		}
		for _, c := range clients {
			c.ExpectNone()
			wantResult(t, c, c.ID(), "ID")
		}
	})
}

// A user is all of its connections, for as long as each lasts.
func TestAUserIsAllOfItsConnections(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, groupHub{}, nil)
		alice := func() *hubtest.Client { return m.connect(n, hubtest.User(server.User{ID: "alice"})) }
		send := func(text string) {
			if err := n.Hub().Clients().User("alice").Send(t.Context(), "M", text); err != nil {
				t.Error(err)
			}
		}
		first, second, bob := alice(), alice(), m.connect(n, hubtest.User(server.User{ID: "Alice"}))
		send("both")
		first.Expect("M", "both")
		second.Expect("M", "both")
		first.Close()
		send("one")
		second.Expect("M", "one")
		third := alice()
		send("two again")
		for _, c := range []*hubtest.Client{second, third} {
			c.Expect("M", "two again")
			c.ExpectNone()
		}
		bob.ExpectNone()
	})
}
