package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/protocol"
)

// receivers sends m, then a mark to everybody, and returns which clients were
// called before the mark.
func (w *world) receivers(s *fakeServer, m wire.Message, clients map[string]*client) []string {
	w.Helper()
	s.send(m, &wire.BroadcastData{Payloads: both("mark")})
	var names []string
	for name, c := range clients {
		for target := c.next(w); target != "mark"; target = c.next(w) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestASendReachesWhomItIsFor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		one, two := w.server("server-1"), w.server("server-2")
		clients := map[string]*client{
			"ann":  w.client("ann"),
			"ann2": w.clientWith("ann", clientOptions{codec: protocol.MessagePack{}}),
			"bob":  w.client("bob"),
			"none": w.client(""),
		}
		elsewhere := w.clientWith("ann", clientOptions{hub: "chat"})
		elsewhere.Abort()
		ann, bob := clients["ann"].ID(), clients["bob"].ID()
		for _, id := range []string{ann, clients["ann2"].ID(), clients["none"].ID()} {
			if status := one.ask(&wire.JoinGroupWithAck{ConnectionID: id, GroupName: "g", AckID: 1}); status != wire.AckOK {
				t.Fatalf("the join is answered %d", status)
			}
		}
		two.send(&wire.JoinGroup{ConnectionID: bob, GroupName: "h"})
		two.ask(&wire.CheckGroupExistenceWithAck{GroupName: "h", AckID: 1})
		for _, test := range []struct {
			send wire.Message
			want string
		}{
			{&wire.BroadcastData{Payloads: both("m")}, "[ann ann2 bob none]"},
			{&wire.BroadcastData{Payloads: both("m"), ExcludedList: []string{ann, "unknown"}}, "[ann2 bob none]"},
			{&wire.MultiConnectionData{Payloads: both("m"), ConnectionList: []string{bob, "unknown", ann}}, "[ann bob]"},
			{&wire.UserData{Payloads: both("m"), UserID: "ann"}, "[ann ann2]"},
			{&wire.UserData{Payloads: both("m"), UserID: ""}, "[]"},
			{&wire.MultiUserData{Payloads: both("m"), UserList: []string{"ann", "bob", "eve"}}, "[ann ann2 bob]"},
			{&wire.GroupBroadcastData{Payloads: both("m"), GroupName: "g"}, "[ann ann2 none]"},
			{&wire.GroupBroadcastData{Payloads: both("m"), GroupName: "g", ExcludedList: []string{ann}}, "[ann2 none]"},
			{&wire.GroupBroadcastData{Payloads: both("m"), GroupName: "g", ExcludedUserList: []string{"ann"}}, "[none]"},
			{&wire.GroupBroadcastData{Payloads: both("m"), GroupName: "unknown"}, "[]"},
			{&wire.MultiGroupBroadcastData{Payloads: both("m"), GroupList: []string{"g", "h"}}, "[ann ann2 bob none]"},
			{&wire.BroadcastData{Payloads: both("m")[:1]}, "[ann bob none]"}, // nothing for MessagePack
		} {
			for _, s := range []*fakeServer{one, two} {
				if got := fmt.Sprint(w.receivers(s, test.send, clients)); got != test.want {
					t.Errorf("%T %+v of %s reaches %s, want %s", test.send, test.send, s.id, got, test.want)
				}
			}
		}
	})
}

func TestHubsKnowNothingOfEachOther(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		chat, news := w.server("s"), w.serverWith("s", serverOptions{hub: "news"})
		a, b := w.client("ann"), w.clientWith("ann", clientOptions{hub: "news"})
		chat.send(&wire.UserData{UserID: "ann", Payloads: both("chat")})
		if got := chat.ask(&wire.CheckConnectionExistenceWithAck{ConnectionID: b.ID(), AckID: 1}); got != wire.AckNotFound {
			t.Errorf("a client of another hub is there: %d", got)
		}
		news.send(&wire.UserData{UserID: "ann", Payloads: both("news")})
		if x, y := a.next(w), b.next(w); x != "chat" || y != "news" {
			t.Errorf("the clients got %s and %s", x, y)
		}
	})
}

func TestEveryAskedMessageIsAnsweredByAnAck(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		ann := w.client("ann")
		reason := "reason"
		group, unknown := "g", "unknown"
		for i, test := range []struct {
			ask  wire.Message
			want int
		}{
			{&wire.JoinGroupWithAck{ConnectionID: "unknown", GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.CheckUserInGroupWithAck{UserID: "ann", GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.CheckUserInGroupWithAck{UserID: "ann", GroupName: "h", AckID: 7}, wire.AckNotFound},
			{&wire.CheckUserInGroupWithAck{UserID: "bob", GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.CheckConnectionExistenceWithAck{ConnectionID: ann.ID(), AckID: 7}, wire.AckOK},
			{&wire.CheckConnectionExistenceWithAck{ConnectionID: "unknown", AckID: 7}, wire.AckNotFound},
			{&wire.CheckUserExistenceWithAck{UserID: "ann", AckID: 7}, wire.AckOK},
			{&wire.CheckUserExistenceWithAck{UserID: "bob", AckID: 7}, wire.AckNotFound},
			{&wire.LeaveGroupWithAck{ConnectionID: ann.ID(), GroupName: &unknown, AckID: 7}, wire.AckOK},
			{&wire.LeaveGroupWithAck{ConnectionID: ann.ID(), GroupName: &group, AckID: 7}, wire.AckOK},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.LeaveGroupWithAck{ConnectionID: ann.ID(), AckID: 7}, wire.AckOK},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.LeaveGroupWithAck{ConnectionID: "unknown", AckID: 7}, wire.AckNotFound},
			{&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckOK},
			{&wire.UserLeaveGroupWithAck{UserID: "ann", GroupName: &group, AckID: 7}, wire.AckOK},
			{&wire.UserLeaveGroupWithAck{UserID: "eve", AckID: 7}, wire.AckOK},
			{&wire.CheckGroupExistenceWithAck{GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.CloseConnectionWithAck{ConnectionID: "unknown", AckID: 7}, wire.AckNotFound},
			{&wire.CloseUserConnectionsWithAck{UserID: "eve", AckID: 7}, wire.AckNotFound},
			{&wire.CloseGroupConnectionsWithAck{GroupName: "g", AckID: 7}, wire.AckNotFound},
			{&wire.RefreshAuth{ConnectionToken: "unknown", ExpireTime: wire.NoExpiry, AckID: 7}, wire.AckNotFound},
			{&wire.GetConnectionClaims{ConnectionToken: "unknown", AckID: 7}, wire.AckNotFound},
			{&wire.CloseConnectionsWithAck{AckID: 7, ExcludedList: []string{ann.ID()}}, wire.AckOK},
			{&wire.CheckConnectionExistenceWithAck{ConnectionID: ann.ID(), AckID: 7}, wire.AckOK},
			{&wire.CloseUserConnectionsWithAck{UserID: "ann", Reason: &reason, AckID: 7}, wire.AckOK},
			{&wire.CheckConnectionExistenceWithAck{ConnectionID: ann.ID(), AckID: 7}, wire.AckNotFound},
			{&wire.CheckUserExistenceWithAck{UserID: "ann", AckID: 7}, wire.AckNotFound},
			{&wire.CloseConnectionsWithAck{AckID: 7}, wire.AckNotFound},
		} {
			s.send(test.ask)
			ack := await[*wire.Ack](s)
			if ack.AckID != 7 || ack.Status != test.want {
				t.Errorf("%d: %T is answered %+v, want %d", i, test.ask, ack, test.want)
			}
		}
		<-ann.Done()
		if closed, ok := ann.Err().(interface{ Error() string }); !ok || closed.Error() == "" {
			t.Errorf("the client that was closed ended with %v", ann.Err())
		}
	})
}

func TestAUserIsInAGroupForItsTimeWhoeverConnects(t *testing.T) {
	inWorld(t, &gateway.Options{MaximumUserGroups: 2}, func(w *world) {
		s := w.server("server-1")
		minute, now := 60, 0
		first := w.client("ann")
		s.ask(&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "g", TTL: &minute, AckID: 1})
		s.ask(&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "now", TTL: &now, AckID: 2})
		second := w.client("ann")
		s.ask(&wire.JoinGroupWithAck{ConnectionID: second.ID(), GroupName: "g", AckID: 3})
		clients := map[string]*client{"first": first, "second": second}
		check := func(group, want string) {
			t.Helper()
			if got := fmt.Sprint(w.receivers(s, &wire.GroupBroadcastData{GroupName: group, Payloads: both("m")}, clients)); got != want {
				t.Errorf("group %s is %s, want %s", group, got, want)
			}
		}
		check("g", "[first second]")
		check("now", "[first]") // the clients of then only
		time.Sleep(59 * time.Second)
		check("g", "[first second]")
		time.Sleep(2 * time.Second)
		check("g", "[second]") // it has joined by itself
		third := w.client("ann")
		clients["third"] = third
		check("g", "[second]")
		s.ask(&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "a", AckID: 4})
		clients["fourth"] = w.client("ann")
		check("a", "[first fourth second third]") // who comes later, too
		s.ask(&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "b", AckID: 5})
		if got := s.ask(&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "c", AckID: 6}); got != wire.AckForbidden {
			t.Errorf("one group more than MaximumUserGroups is answered %d", got)
		}
		s.ask(&wire.UserLeaveGroupWithAck{UserID: "ann", AckID: 7})
		for _, group := range []string{"g", "now", "a", "b"} {
			check(group, "[]")
		}
	})
}

func TestTheMembersOfAGroupAreListedPageByPage(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := w.server("server-1")
		want := map[string]string{}
		for i := range 7 {
			user := []string{"ann", ""}[i%2]
			c := w.client(user)
			want[c.ID()] = user
			s.ask(&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g", AckID: 1})
		}
		page := func(m *wire.GroupMemberQuery) wire.GroupMembers {
			t.Helper()
			s.send(m)
			ack := await[*wire.Ack](s)
			page, err := wire.ParseGroupMembers(ack.Payload)
			if err != nil || ack.Status != wire.AckOK {
				t.Fatalf("%+v, %v", ack, err)
			}
			return page
		}
		got, size, pages := map[string]string{}, 3, 0
		m := &wire.GroupMemberQuery{GroupName: "g", AckID: 1, MaxPageSize: &size}
		for more := true; more; pages++ {
			p := page(m)
			for _, member := range p.Members {
				got[member.ConnectionID] = wire.Text(member.UserID)
			}
			m.ContinuationToken = p.ContinuationToken
			more = p.ContinuationToken != nil
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || pages != 3 {
			t.Errorf("%d pages list %v, want 3 of %v", pages, got, want)
		}
		top := 2
		if p := page(&wire.GroupMemberQuery{GroupName: "g", AckID: 1, Top: &top}); len(p.Members) != 2 || p.ContinuationToken != nil {
			t.Errorf("the first two are %+v", p)
		}
		if p := page(&wire.GroupMemberQuery{GroupName: "unknown", AckID: 1}); len(p.Members) != 0 || p.ContinuationToken != nil {
			t.Errorf("a group of nobody has %+v", p)
		}
	})
}
