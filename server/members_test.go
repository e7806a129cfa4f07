package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A countedReceiver counts what is asked of it and sent to it.
type countedReceiver struct {
	id    string
	asked *atomic.Int64 // how often Codec was called, of all receivers
	onID  func()        // called by ID, if not nil
	onGot func()        // called by Send, if not nil
	got   int
}

func (c *countedReceiver) ID() string {
	if c.onID != nil {
		c.onID()
	}
	return c.id
}
func (c *countedReceiver) UserID() string           { return "" }
func (c *countedReceiver) Codec() protocol.Codec    { c.asked.Add(1); return protocol.JSON{} }
func (c *countedReceiver) Context() context.Context { return context.Background() }
func (c *countedReceiver) Send(*server.Message) error {
	c.got++
	if c.onGot != nil {
		c.onGot()
	}
	return nil
}

// Members that join while others send are not counted again by each send.
func TestJoinsBetweenSendsCostTheSameHoweverManyMembers(t *testing.T) {
	const n = 500
	m := server.NewLifetimeManager()
	var asked atomic.Int64
	receivers := make([]*countedReceiver, n)
	for i := range receivers {
		receivers[i] = &countedReceiver{id: fmt.Sprint(i), asked: &asked}
		if err := m.Connected(t.Context(), receivers[i]); err != nil {
			t.Fatal(err)
		}
		if err := m.AddToGroup(t.Context(), fmt.Sprint(i), "g"); err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range receivers {
		if c.got != n-i {
			t.Fatalf("member %d received %d messages, want %d", i, c.got, n-i)
		}
	}
	if got := asked.Load(); got > 4*n {
		t.Errorf("%d joins with a send after each looked at %d codecs", n, got)
	}
}

// A member that joins or leaves while a send walks the members changes nothing
// for it.
func TestASendReachesThoseWhoWereMembersWhenItBegan(t *testing.T) {
	const n = 20
	m := server.NewLifetimeManager()
	var asked atomic.Int64
	receivers := make([]*countedReceiver, n)
	for i := range receivers {
		receivers[i] = &countedReceiver{id: fmt.Sprint(i), asked: &asked}
		if err := m.Connected(t.Context(), receivers[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n / 2 {
		if err := m.AddToGroup(t.Context(), fmt.Sprint(i), "g"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n / 2 { // each leaves when the message comes, and another one joins
		receivers[i].onGot = func() {
			if err := m.RemoveFromGroup(t.Context(), fmt.Sprint(i), "g"); err != nil {
				t.Error(err)
			}
			if err := m.AddToGroup(t.Context(), fmt.Sprint(n/2+i), "g"); err != nil {
				t.Error(err)
			}
		}
	}
	for send := 1; send <= 2; send++ {
		if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Fatal(err)
		}
		for i, c := range receivers {
			if want := min(1, (send*n/2)/(i+1)); c.got != want {
				t.Errorf("receiver %d got %d messages of the first %d, want %d", i, c.got, send, want)
			}
		}
	}
}

// A send reaches exactly the members.
func TestMembersAreExactWhateverJoinsAndLeaves(t *testing.T) {
	m := server.NewLifetimeManager()
	var asked atomic.Int64
	all := map[string]*countedReceiver{}
	want := map[string]int{}
	members := map[string]bool{}
	for i := range 200 {
		id := fmt.Sprint(i * 7 % 20)
		if all[id] == nil {
			all[id] = &countedReceiver{id: id, asked: &asked}
			if err := m.Connected(t.Context(), all[id]); err != nil {
				t.Fatal(err)
			}
		}
		change := m.AddToGroup
		if members[id] = i%3 != 0; !members[id] {
			change = m.RemoveFromGroup
		}
		if err := change(t.Context(), id, "g"); err != nil {
			t.Fatal(err)
		}
		except := []string{fmt.Sprint(i % 20)}
		if i%2 == 0 { // more than are searched one by one
			for j := range 12 {
				except = append(except, fmt.Sprint((i+j)%20))
			}
		}
		for id, member := range members {
			if member && !slices.Contains(except, id) {
				want[id]++
			}
		}
		if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}, Except: except}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Fatal(err)
		}
		for id, c := range all {
			if c.got != want[id] {
				t.Fatalf("step %d: %s received %d messages, want %d", i, id, c.got, want[id])
			}
		}
	}
}

// A connection that leaves many groups lets others join and send meanwhile.
func TestOthersJoinAndSendWhileOneLeavesManyGroups(t *testing.T) {
	m := server.NewLifetimeManager()
	var asked atomic.Int64
	leaver := &countedReceiver{id: "leaver", asked: &asked}
	other := &countedReceiver{id: "other", asked: &asked}
	for _, c := range []*countedReceiver{leaver, other} {
		if err := m.Connected(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	const n = 1000
	for i := range n {
		if err := m.AddToGroup(t.Context(), "leaver", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	// Between two groups the manager asks who leaves; there others go on.
	steps := 0
	leaver.onID = func() {
		if steps++; steps < 10 {
			return
		}
		leaver.onID = nil
		if err := m.AddToGroup(t.Context(), "other", "g"); err != nil {
			t.Error(err)
		}
		if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Error(err)
		}
		if err := m.AddToGroup(t.Context(), "leaver", "g"); err != nil {
			t.Error(err)
		}
	}
	m.Disconnected(leaver)
	if steps < 10 {
		t.Errorf("nobody could go on while %d groups were left", n)
	}
	for i := range n {
		if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{fmt.Sprint(i)}}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Send(t.Context(), server.Audience{Kind: server.ToGroups, Names: []string{"g"}}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
		t.Fatal(err)
	}
	if leaver.got != 0 || other.got != 2 {
		t.Errorf("who has left received %d messages, the other %d, want 0 and 2", leaver.got, other.got)
	}
}
