package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A sessionHub says in which groups a connection was before OnConnected.
type sessionHub struct{ hub **server.Hub }

func (h sessionHub) OnConnected(call *server.Call) error {
	for c := range (*h.hub).Connections() {
		if c.ID == call.ConnectionID() {
			call.Items().Store("before", strings.Join(c.Groups(), " "))
		}
	}
	return nil
}

func (sessionHub) Before(call *server.Call) string {
	before, _ := call.Items().Load("before")
	return fmt.Sprintf("%v %v", call.Resumed(), before)
}

func (sessionHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (sessionHub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func sessionNode(t *testing.T, o server.SessionOptions) *hubtest.Node {
	t.Helper()
	var hub *server.Hub
	n := hubtest.New(t, sessionHub{&hub}, &server.Options{Sessions: &o})
	hub = n.Hub()
	return n
}

const someSession = "0b5c7f2e-8a51-4d0e-9f37"

func comesBack(t *testing.T, n *hubtest.Node, want string, opts ...hubtest.Option) *hubtest.Client {
	t.Helper()
	c := n.Connect(opts...)
	if got := hubtest.Result[string](c, "Before"); got != want {
		t.Errorf("Resumed and the groups before OnConnected are %q, want %q", got, want)
	}
	return c
}

func TestAClientThatComesBackIsInItsGroupsBeforeOnConnected(t *testing.T) {
	for _, user := range []server.User{{}, {ID: "alice"}} {
		for _, over := range []server.Transport{server.WebSockets, server.ServerSentEvents, server.LongPolling} {
			t.Run(fmt.Sprintf("%v, user %q", over, user.ID), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := sessionNode(t, server.SessionOptions{})
					as := []hubtest.Option{hubtest.User(user), hubtest.Over(over), hubtest.Query("session", someSession)}
					c := comesBack(t, n, "false ", as...)
					for _, group := range []string{"attic", "", "lobby", "gone"} {
						c.Do("Join", group)
					}
					c.Do("Leave", "gone")
					c.Close()
					time.Sleep(2*time.Minute - time.Second)
					c = comesBack(t, n, "true  attic lobby", as...)
					_ = n.Hub().Clients().Group("attic").Send(t.Context(), "Hello")
					c.Expect("Hello")
					time.Sleep(time.Hour) // a session does not end while it has a connection
					c.Close()
					synctest.Wait()
					c = comesBack(t, n, "true  attic lobby", as...)
					c.Close()
					time.Sleep(2*time.Minute + time.Second)
					comesBack(t, n, "false ", as...)
				})
			})
		}
	}
}

func TestASessionIsWorthNothingToAnotherUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{})
		session := hubtest.Query("session", someSession)
		alice := hubtest.User(server.User{ID: "alice"})
		c := n.Connect(alice, session)
		c.Do("Join", "secret")
		c.Close()
		for name, user := range map[string]server.User{
			"another user": {ID: "bob"}, "nobody": {}, "a user whose sub is alice": {ID: "bob", Claims: map[string]any{"sub": "alice"}},
			"a user without id": {Name: "alice"}, "a user whose upn is alice": {Claims: map[string]any{"upn": "alice"}},
		} {
			t.Log(name)
			comesBack(t, n, "false ", hubtest.User(user), session).Close()
		}
		comesBack(t, n, "true secret", alice, session)
	})
}

func TestNamesOfSessionsHaveBoundsAndTheAnonymousNeedLongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{MaximumKeyLength: 30})
		alice := hubtest.User(server.User{ID: "alice"})
		for _, test := range []struct {
			name string
			as   []hubtest.Option
			kept bool
		}{
			{strings.Repeat("x", 15), nil, false},
			{strings.Repeat("x", 16), nil, true},
			{strings.Repeat("x", 30), nil, true},
			{strings.Repeat("x", 31), nil, false},
			{"1", []hubtest.Option{alice}, true},
			{strings.Repeat("x", 31), []hubtest.Option{alice}, false},
			{"", []hubtest.Option{alice}, false},
			{"1", []hubtest.Option{hubtest.User(server.User{Name: "no id"})}, false},
		} {
			as := append(test.as, hubtest.Query("session", test.name))
			c := n.Connect(as...)
			c.Do("Join", "g")
			c.Close()
			want := "false "
			if test.kept {
				want = "true g"
			}
			t.Logf("a name of %d bytes", len(test.name))
			comesBack(t, n, want, as...).Close()
		}
	})
}

func TestConnectionsOfOneUserHaveOneSessionWhereTheUserIsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{Source: server.SessionUser})
		alice := hubtest.User(server.User{ID: "alice"})
		phone := comesBack(t, n, "false ", alice)
		phone.Do("Join", "a")
		laptop := comesBack(t, n, "true a", alice)
		laptop.Do("Join", "b")
		phone.Do("Join", "c")
		laptop.Do("Leave", "a") // the phone stays a member
		phone.Close()
		laptop.Close()
		comesBack(t, n, "true b c", alice)
		nobody := comesBack(t, n, "false ")
		nobody.Do("Join", "d")
		nobody.Close()
		comesBack(t, n, "false ")
	})
}

func TestASessionMayHaveOnlySoManyGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{MaximumGroups: 2})
		as := []hubtest.Option{hubtest.Query("session", someSession)}
		c, other := n.Connect(as...), n.Connect(as...)
		c.Do("Join", "a")
		other.Do("Join", "b")
		c.Do("Join", "b")
		if err := n.Hub().Groups().Add(t.Context(), c.ID(), "c"); !errors.Is(err, server.ErrTooManyGroups) {
			t.Errorf("Add = %v, want ErrTooManyGroups", err)
		}
		info, _ := n.Hub().Connection(c.ID())
		if got := info.Groups(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the connection is in %q", got)
		}
		c.Do("Leave", "a")
		c.Do("Join", "c")
		c.Close()
		other.Close()
		comesBack(t, n, "true b c", as...)
	})
}

func TestNoMoreSessionsAreKeptThanTheBoundAndNoneIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{MaximumSessions: 2})
		as := func(i int) hubtest.Option { return hubtest.Query("session", fmt.Sprintf("%s-%d", someSession, i)) }
		for i := range 3 {
			c := comesBack(t, n, "false ", as(i))
			c.Do("Join", fmt.Sprint(i))
			c.Close()
		}
		comesBack(t, n, "true 0", as(0)).Close()
		comesBack(t, n, "false ", as(2)).Close()
		time.Sleep(time.Minute)
		comesBack(t, n, "true 1", as(1)).Close()
		time.Sleep(90 * time.Second) // 0 is over, 1 is not
		comesBack(t, n, "false ", as(2)).Close()
		comesBack(t, n, "false ", as(0)).Close()
		comesBack(t, n, "true 1", as(1)).Close()
	})
}

func TestAGroupOfAUserHasAllConnectionsOfTheUserNowAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{})
		groups, alice := n.Hub().Groups(), hubtest.User(server.User{ID: "alice"})
		in := func(c *hubtest.Client, want ...string) {
			t.Helper()
			info, _ := n.Hub().Connection(c.ID())
			if got := info.Groups(); !slices.Equal(got, want) {
				t.Errorf("the connection is in %q, want %q", got, want)
			}
		}
		session := hubtest.Query("session", "s")
		first, bob := n.Connect(alice, session), n.Connect(hubtest.User(server.User{ID: "bob"}))
		first.Do("Join", "both")
		for group, ttl := range map[string]time.Duration{"g": 0, "short": time.Minute, "both": time.Minute, "longer": time.Minute} {
			if err := groups.AddUser(t.Context(), "alice", group, ttl); err != nil {
				t.Fatal(err)
			}
		}
		if err := groups.AddUser(t.Context(), "alice", "longer", time.Hour); err != nil {
			t.Fatal(err)
		}
		in(first, "both", "g", "longer", "short")
		in(bob)
		second := comesBack(t, n, "false both g longer short", alice)
		time.Sleep(time.Minute + time.Second)
		in(first, "both", "g", "longer") // it has joined both by itself
		in(second, "g", "longer")
		first.Close()
		first = comesBack(t, n, "true both g longer", alice, session)
		second.Do("Leave", "g")
		in(second, "longer")
		first.Close()
		if err := groups.RemoveUser(t.Context(), "alice", "both"); err != nil { // of a session that has no connection now
			t.Fatal(err)
		}
		if err := groups.RemoveUser(t.Context(), "alice", "g"); err != nil {
			t.Fatal(err)
		}
		comesBack(t, n, "true longer", alice, session)
		time.Sleep(time.Hour)
		in(second)
		in(bob)
	})
}

func TestTheGroupsOfUsersHaveBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessionNode(t, server.SessionOptions{MaximumSessions: 1, MaximumGroups: 1})
		add := func(user, group string, ttl time.Duration) error {
			return n.Hub().Groups().AddUser(context.Background(), user, group, ttl)
		}
		for _, test := range []struct {
			user, group string
			ttl         time.Duration
			want        error
		}{
			{"alice", "a", time.Minute, nil},
			{"alice", "b", 0, server.ErrTooManyGroups},
			{"alice", "a", 0, nil},
			{"bob", "a", 0, server.ErrTooManySessions},
			{"alice", strings.Repeat("x", 1025), 0, server.ErrGroupNameTooLong},
		} {
			if err := add(test.user, test.group, test.ttl); !errors.Is(err, test.want) {
				t.Errorf("AddUser(%q, %.10q) = %v, want %v", test.user, test.group, err, test.want)
			}
		}
		if add("", "a", 0) == nil || add("alice", "a", -1) == nil || n.Hub().Groups().RemoveUser(t.Context(), "", "a") == nil {
			t.Error("AddUser or RemoveUser takes what means nothing")
		}
	})
}

func TestAHubWithoutSessionsRefusesGroupsOfUsers(t *testing.T) {
	hub := server.MustHub(sessionHub{}, nil)
	if err := hub.Groups().AddUser(t.Context(), "alice", "g", 0); !errors.Is(err, server.ErrNoSessions) {
		t.Errorf("AddUser = %v", err)
	}
	if err := hub.Groups().RemoveUser(t.Context(), "alice", "g"); !errors.Is(err, server.ErrNoSessions) {
		t.Errorf("RemoveUser = %v", err)
	}
}

// A plainManager is no SessionKeeper.
type plainManager struct{ server.LifetimeManager }

func TestSessionsThatCannotBeAreErrorsOfNewHub(t *testing.T) {
	for want, opts := range map[string]server.Options{
		"Sessions.TTL is -1ns":                            {Sessions: &server.SessionOptions{TTL: -1}},
		"Sessions.TTL is 15ns; is its unit missing":       {Sessions: &server.SessionOptions{TTL: 15}},
		"Sessions.Source is 7":                            {Sessions: &server.SessionOptions{Source: 7}},
		"needs a LifetimeManager that is a SessionKeeper": {Sessions: &server.SessionOptions{}, LifetimeManager: plainManager{server.NewLifetimeManager()}},
	} {
		if _, err := server.NewHub(sessionHub{}, &opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewHub: %v, want %q", err, want)
		}
	}
}
