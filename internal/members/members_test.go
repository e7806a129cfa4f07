package members_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/protocol"
)

type member struct {
	id    string
	codec protocol.Codec
}

func (m *member) ID() string            { return m.id }
func (m *member) Codec() protocol.Codec { return m.codec }

// A set is what a map would be, whatever happens to it; a list that was given out
// does not change.
func TestASetAgreesWithAMapAndListsThatWereGivenOutDoNotChange(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	codecs := []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}
	var set members.Set[*member]
	want := map[string]*member{}
	type given struct{ list, copy []*member }
	var lists []given
	for range 5000 {
		id := fmt.Sprint(random.Intn(20))
		switch random.Intn(5) {
		case 0, 1:
			m := &member{id, codecs[random.Intn(2)]}
			if added := set.Add(m); added != (want[id] == nil) {
				t.Fatalf("Add reports %v of a member %v", added, want[id] != nil)
			}
			want[id] = m
		case 2:
			if m := want[id]; m != nil && set.Add(m) {
				t.Fatal("a member is added again")
			}
		case 3:
			delete(want, id)
			if empty := set.Remove(id); empty != (len(want) == 0) {
				t.Fatalf("Remove reports %v, %d are left", empty, len(want))
			}
		}
		if set.Get(id) != want[id] || set.Len() != len(want) {
			t.Fatalf("Get = %v of %d, want %v of %d", set.Get(id), set.Len(), want[id], len(want))
		}
		list, spoken := set.All()
		lists = append(lists, given{list, slices.Clone(list)})
		speak := map[string]bool{}
		for _, m := range want {
			speak[m.codec.Name()] = true
			if !slices.Contains(list, m) {
				t.Fatalf("%s is missing", m.id)
			}
		}
		for _, codec := range spoken {
			delete(speak, codec.Name())
		}
		if len(list) != len(want) || len(speak) != 0 || len(spoken) > 2 {
			t.Fatalf("%d members, want %d; codecs %v, missing %v", len(list), len(want), spoken, speak)
		}
	}
	for i, g := range lists {
		if !slices.Equal(g.list, g.copy) {
			t.Fatalf("list %d has changed", i)
		}
	}
}

func TestExceptFindsFewAndManyIDs(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 100} {
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprint(i))
		}
		excepted := members.Except(ids)
		for i := range n + 1 {
			if got := excepted(fmt.Sprint(i)); got != (i < n) {
				t.Errorf("%d of %d: %v", i, n, got)
			}
		}
	}
}

var errFull = errors.New("full")

// upTo allows n in all.
func upTo(n int) func(own, others int) error {
	return func(own, others int) error {
		if own+others >= n {
			return errFull
		}
		return nil
	}
}

// add makes an invocation of client c pending, and returns the id of the one
// that was taken out for it.
func add(t *testing.T, r *members.Results, id, returnTo string, most int, want error) (oldest string) {
	t.Helper()
	p, err := r.Add(&members.Pending{ID: id, ConnectionID: "c", ReturnTo: returnTo}, upTo(most))
	if !errors.Is(err, want) {
		t.Errorf("Add(%s) = %v, want %v", id, err, want)
	}
	if p != nil {
		return p.ID
	}
	return ""
}

func TestWhatOtherNodesAskGivesWayAndWhatThisOneAsksDoesNot(t *testing.T) {
	var r members.Results
	add(t, &r, "own", "", 3, nil)
	add(t, &r, "1", "node", 3, nil)
	add(t, &r, "2", "node", 3, nil)
	if got := add(t, &r, "3", "node", 3, nil); got != "1" {
		t.Errorf("%q gave way, want the oldest", got)
	}
	if got := add(t, &r, "own2", "", 3, nil); got != "2" {
		t.Errorf("%q gave way, want the oldest", got)
	}
	add(t, &r, "3", "node", 9, members.ErrCollision)
	add(t, &r, "own3", "", 3, nil)
	add(t, &r, "own4", "", 3, errFull)
	add(t, &r, "4", "node", 3, errFull)
	if r.Len() != 3 {
		t.Errorf("%d are pending", r.Len())
	}
}

func TestAResultIsTakenFromTheClientThatWasAskedOnly(t *testing.T) {
	var r members.Results
	away := &members.Pending{ID: "away", ConnectionID: "far", Away: true}
	if _, err := r.Add(away, nil); err != nil {
		t.Fatal(err)
	}
	add(t, &r, "own", "", 9, nil)
	if p, wrong := r.Claim("own", "other"); p != nil || !wrong {
		t.Errorf("another client: %v, %v", p, wrong)
	}
	if p := r.ClaimAway("own"); p != nil {
		t.Error("another node has answered for a client of this one")
	}
	if p, wrong := r.Claim("unknown", "c"); p != nil || wrong {
		t.Errorf("unknown: %v, %v", p, wrong)
	}
	if p, wrong := r.Claim("own", "c"); p == nil || wrong {
		t.Errorf("the client itself: %v, %v", p, wrong)
	}
	if p, wrong := r.Claim("own", "c"); p != nil || wrong {
		t.Errorf("again: %v, %v", p, wrong)
	}
	if r.ClaimAway("away") != away || r.Len() != 0 {
		t.Error("the result from another node is not taken")
	}
	r.Remove(away) // it has gone already
}

func TestEachEndOfAWaitIsNamed(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx          context.Context
		client, node <-chan struct{}
		before       func(r *members.Results, p *members.Pending)
		want         members.End
	}{
		"an answer":               {t.Context(), nil, nil, func(_ *members.Results, p *members.Pending) { p.Answer(members.Result{Value: []byte("1")}) }, members.Answered},
		"an answer, then the end": {t.Context(), closed, nil, func(_ *members.Results, p *members.Pending) { p.Answer(members.Result{Value: []byte("1")}) }, members.Answered},
		"the client has gone":     {t.Context(), closed, nil, nil, members.Gone},
		"it is forgotten":         {t.Context(), nil, nil, func(r *members.Results, _ *members.Pending) { r.Disconnected("c") }, members.Gone},
		"the context is done":     {over, nil, nil, nil, members.Canceled},
		"the node ends":           {t.Context(), nil, closed, nil, members.NodeEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r members.Results
				p := &members.Pending{ID: "1", ConnectionID: "c"}
				if _, err := r.Add(p, upTo(1)); err != nil {
					t.Fatal(err)
				}
				if test.before != nil {
					time.AfterFunc(0, func() { test.before(&r, p) })
					synctest.Wait()
				}
				result, end := p.Await(test.ctx, test.client, test.node)
				if end != test.want || (string(result.Value) == "1") != (end == members.Answered) {
					t.Errorf("%q, %v, want %v", result.Value, end, test.want)
				}
				r.Remove(p)
				if r.Len() != 0 {
					t.Error("it is still pending")
				}
			})
		})
	}
}

func TestWhoLeavesFailsWhatOthersHaveAskedInOrder(t *testing.T) {
	var r members.Results
	for i := range 5 {
		add(t, &r, fmt.Sprint(i), "node", 9, nil)
	}
	add(t, &r, "own", "", 9, nil)
	r.Claim("2", "c")
	var got []string
	for _, p := range r.Disconnected("c") {
		got = append(got, p.ID)
	}
	if want := []string{"0", "1", "3", "4"}; !slices.Equal(got, want) || r.Len() != 0 {
		t.Errorf("%q, %d left, want %q", got, r.Len(), want)
	}
}
