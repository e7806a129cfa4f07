package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// arrival is how long a message may take on a machine that has other work.
const arrival = time.Minute

// A player is one official client on one node.
type player struct {
	name, id, user string
	node           string // URL
	driver         *driver

	want map[string]int // texts that it must have received, and how often
}

// A stage is a mixed cluster with every sort of player: of both
// kinds, with both protocols, on both nodes. Users and groups are spread so
// that each has a player on each node.
type stage struct {
	prefix  string
	stamps  bool      // our node puts times on Redis, which ASP.NET Core's ignores
	nodes   [2]string // Hubwire's, and ASP.NET Core's
	players []*player
}

// TestClientsOfBothKindsOnNodesOfBothKindsAreOneHub plays two mixed clusters on
// one Redis, without and with a ChannelPrefix, at the same time and with the
// same names of users and groups. In the second one our node puts the time of each
// send on Redis. What the nodes put on Redis is compared in
// interop/conformance; here it is what the users of official clients see.
func TestClientsOfBothKindsOnNodesOfBothKindsAreOneHub(t *testing.T) {
	harness.Long(t, "takes a minute")
	harness.Dotnet(t)
	for _, release := range harness.Releases {
		t.Run("with ASP.NET Core "+string(release), func(t *testing.T) { mixed(t, release) })
	}
}

func mixed(t *testing.T, release harness.Release) {
	reference, hubwire, addr := harness.ReferenceNode(t, release), harness.NodeCommand(t), harness.Redis(t)
	drivers := []*driver{startJavaScript(t), startDotnet(t, release)}
	var stages []*stage
	for _, prefix := range []string{"", "BlogApp:SignalR:"} {
		args := []string{"--redis", addr, "--detailed", "true", "--parallel", "2"}
		if prefix != "" {
			args = append(args, "--prefix", prefix)
		}
		s := &stage{prefix: prefix, stamps: prefix != "" && harness.OwnNode()}
		own := args
		if s.stamps {
			own = append(slices.Clone(args), "--stamps", "true")
		}
		s.nodes = [2]string{harness.StartNode(t, hubwire, own...).URL, harness.StartNode(t, reference, args...).URL}
		s.connect(t, drivers)
		stages = append(stages, s)
	}
	for _, s := range stages {
		name := "with prefix"
		if s.prefix == "" {
			name = "without prefix"
		}
		t.Run(name+"/sends", s.testSends)
		t.Run(name+"/events from outside a call", s.testEvents)
		t.Run(name+"/groups are changed from another node", s.testGroups)
		t.Run(name+"/client results", s.testResults)
	}
	t.Run("the two apps do not see each other", func(t *testing.T) { testIsolation(t, stages) })
	for _, s := range stages {
		s.expect(t)
		s.checkStamps(t)
		for _, p := range s.players {
			p.do(t, command{Name: "stop"}, nil)
		}
	}
}

// connect starts the eight players; those with an even number are on our node.
func (s *stage) connect(t *testing.T, drivers []*driver) {
	t.Helper()
	for _, d := range drivers {
		for _, protocol := range []string{"json", "messagepack"} {
			for i, kind := range []string{"ours", "reference"} {
				p := &player{
					name: fmt.Sprintf("%s%s %s on %s", s.prefix, d.kind, protocol, kind),
					user: "user of " + protocol + " ü", node: s.nodes[i], driver: d, want: map[string]int{},
				}
				p.do(t, command{Name: "connect", URL: p.node, Protocol: protocol, User: p.user}, &p.id)
				p.invoke(t, nil, "Join", "group of "+d.kind)
				s.players = append(s.players, p)
			}
		}
	}
}

// checkStamps checks that our node has put the time on Redis, and has found it in
// what itself has sent and nothing else: the other node has none.
func (s *stage) checkStamps(t *testing.T) {
	t.Helper()
	if !s.stamps {
		return
	}
	answer, err := http.Get(s.nodes[0] + "/api/deliveries")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var came struct{ Own, Other int }
	if err := json.NewDecoder(answer.Body).Decode(&came); err != nil || came.Own == 0 || came.Other != 0 {
		t.Errorf("deliveries with a time: %+v, %v; want some of its own, and none of the other node", came, err)
	}
}

func (p *player) group() string { return "group of " + p.driver.kind }

func (p *player) do(t *testing.T, c command, result any) {
	t.Helper()
	c.Client = p.name
	if err := p.driver.do(c, result); err != nil {
		t.Errorf("%s: %s %s: %v", p.name, c.Name, c.Method, err)
	}
}

func (p *player) invoke(t *testing.T, result any, method string, args ...any) {
	t.Helper()
	p.do(t, command{Name: "invoke", Method: method, Args: args}, result)
}

// must notes that text has to arrive once more at each player for which it holds.
func (s *stage) must(text string, reaches func(*player) bool) {
	for _, p := range s.players {
		if reaches(p) {
			p.want[text]++
		}
	}
}

// expect waits until each player has received what it must, and nothing else.
func (s *stage) expect(t *testing.T) {
	t.Helper()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	deadline := time.Now().Add(arrival)
	for _, p := range s.players {
		got := p.received(t)
		for !maps.Equal(got, p.want) && time.Now().Before(deadline) && !t.Failed() {
			<-retry.C
			got = p.received(t)
		}
		for _, text := range slices.Sorted(maps.Keys(p.want)) {
			if got[text] != p.want[text] {
				t.Errorf("%s has received %q %d times, not %d", p.name, text, got[text], p.want[text])
			}
		}
		for text, n := range got {
			if p.want[text] == 0 {
				t.Errorf("%s has received %q %d times, but it is not for it", p.name, text, n)
			}
		}
	}
}

// received returns how often the player has received each text.
func (p *player) received(t *testing.T) map[string]int {
	t.Helper()
	var list []string
	p.do(t, command{Name: "received"}, &list)
	got := map[string]int{}
	for _, text := range list {
		got[text]++
	}
	return got
}

// testSends has every player send in every form. The second receiver is on the
// other node, has the other protocol and is of the other kind.
func (s *stage) testSends(t *testing.T) {
	for i, from := range s.players {
		to := s.players[len(s.players)-1-i]
		all := func(*player) bool { return true }
		send := func(method string, reaches func(*player) bool, args ...any) {
			text := fmt.Sprintf("%s by %s", method, from.name)
			from.invoke(t, nil, method, append(args, "M", text)...)
			s.must(text, reaches)
		}
		is := func(p *player) func(*player) bool { return func(q *player) bool { return p == q } }
		mates := func(p *player) bool { return p.group() == to.group() }
		send("SendAll", all)
		send("SendAllExcept", func(p *player) bool { return p != to }, []string{to.id})
		send("SendOthers", func(p *player) bool { return p != from })
		send("SendCaller", is(from))
		send("SendClient", is(to), to.id)
		send("SendClients", func(p *player) bool { return p == to || p == from }, []string{to.id, from.id})
		send("SendGroup", mates, to.group())
		send("SendGroups", all, []string{to.group(), from.group(), "nobody's"})
		send("SendGroupExcept", func(p *player) bool { return mates(p) && p != to }, to.group(), []string{to.id})
		send("SendOthersInGroup", func(p *player) bool { return p.group() == from.group() && p != from }, from.group())
		send("SendUser", func(p *player) bool { return p.user == to.user }, to.user)
		send("SendUsers", all, []string{to.user, from.user})
	}
	s.expect(t)
}

// testEvents has both nodes send an event that no client has asked for.
func (s *stage) testEvents(t *testing.T) {
	for i, node := range s.nodes {
		post := fmt.Sprint(41 + i)
		answer, err := http.Post(node+"/api/posts/"+post+"/publish", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close() != nil || answer.StatusCode != http.StatusAccepted {
			t.Errorf("publishing is answered with %s", answer.Status)
		}
		s.must("post "+post, func(*player) bool { return true })
	}
	s.expect(t)
}

// testGroups has every player add one of the other node to a group and remove
// it again.
func (s *stage) testGroups(t *testing.T) {
	for i, from := range s.players {
		to := s.players[len(s.players)-1-i]
		if from.node == to.node {
			t.Fatalf("%s and %s are on one node", from.name, to.name)
		}
		group := "of " + to.name + " *? 🚀"
		from.invoke(t, nil, "AddToGroup", to.id, group)
		text := "to the group of " + to.name
		from.invoke(t, nil, "SendGroup", group, "M", text)
		s.must(text, func(p *player) bool { return p == to })
		// ASP.NET Core handles each channel by itself: a command may overtake a message.
		s.expect(t)
		from.invoke(t, nil, "RemoveFromGroup", to.id, group)
		from.invoke(t, nil, "SendGroup", group, "M", "not to be received")
	}
	s.expect(t)
}

// testResults has every player ask every player for a client result.
func (s *stage) testResults(t *testing.T) {
	for _, from := range s.players {
		for _, to := range s.players {
			if from == to {
				continue // it would wait for itself: official clients answer after the call
			}
			from.expectResult(t, fmt.Sprintf("%q", to.name+" answers what"), "Ask", to.id, "Ask", "what")
			from.expectResult(t, "42", "AskInt", to.id, "AskInt")
			from.expectResult(t, "null", "Ask", to.id, "AskNull", "what")
			from.expectError(t, "HubException", to.name+" says no", "Ask", to.id, "AskFails", "what")
		}
		from.expectError(t, "IOException", "Connection 'nobody' does not exist.", "Ask", "nobody", "Ask", "what")
	}
}

func (p *player) expectResult(t *testing.T, want, method string, args ...any) {
	t.Helper()
	var got json.RawMessage
	p.invoke(t, &got, method, args...)
	if string(got) != want && !(len(got) == 0 && want == "null") {
		t.Errorf("%s: %s%q gives %s, not %s", p.name, method, args, got, want)
	}
}

func (p *player) expectError(t *testing.T, kind, text, method string, args ...any) {
	t.Helper()
	err := p.driver.do(command{Name: "invoke", Client: p.name, Method: method, Args: args}, nil)
	if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), kind) {
		t.Errorf("%s: %s%q ends with %v, not with %s: %s", p.name, method, args, err, kind, text)
	}
}

// testIsolation has each app name the connections of the other one. Users and
// groups have had the same names all the time: a client that hears the other app
// shows it by the texts that it has received, which hold the sender's name.
func testIsolation(t *testing.T, stages []*stage) {
	var asking sync.WaitGroup
	for i, s := range stages {
		stranger := stages[1-i].players[2*i]
		for _, from := range s.players {
			asking.Go(func() {
				from.expectError(t, "IOException", "Connection '"+stranger.id+"' does not exist.", "Ask", stranger.id, "Ask", "what")
				from.invoke(t, nil, "SendClient", stranger.id, "M", "from another app")
			})
		}
	}
	asking.Wait()
	for _, s := range stages {
		// What has been sent to a connection before is there when this is.
		var ids []string
		for _, p := range s.players {
			ids = append(ids, p.id)
		}
		for _, from := range s.players[:2] { // one on each node
			text := "to everybody by name, by " + from.name
			from.invoke(t, nil, "SendClients", ids, "M", text)
			s.must(text, func(*player) bool { return true })
		}
		s.expect(t)
	}
}
