package dotnet

import (
	"flag"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

var only = flag.String("only", "", "play only cases whose name, `scenario / transport / protocol`, holds this")

const (
	// playLimit bounds one run of the program: some 30 seconds on two cores.
	playLimit = 8 * time.Minute
	// jobs is how many cases are played at once: they wait for most of their time.
	jobs = "6"
	// mostAgain bounds what is played again, in all: if more fails, it is not by chance.
	mostAgain = 20
	// replays bounds how often each case is played again.
	replays = 3
)

// nodes are those that the program needs, by its flag.
var nodes = []struct {
	flag string
	args []string
}{
	{flag: "--plain"},
	{flag: "--detailed", args: []string{"--detailed", "true"}},
	{flag: "--impatient", args: []string{"--keepalive-ms", "300", "--client-timeout-ms", "1500", "--handshake-timeout-ms", "5000"}},
}

// A result is a line of the program: how one case ended.
type result struct {
	Scenario  string   `json:"scenario"`
	Transport string   `json:"transport"`
	Protocol  string   `json:"protocol"`
	OK        bool     `json:"ok"`
	Saw       []string `json:"saw"`
	Error     string   `json:"error"`
	MS        int      `json:"ms"`
}

func (r result) mode() string { return r.Transport + " / " + r.Protocol }
func (r result) name() string { return r.Scenario + " / " + r.mode() }

// playing says what is played, and on which nodes. The zero value is all cases on
// nodes without more arguments.
type playing struct {
	only    string            // cases whose name holds it; -only goes before it
	skip    string            // cases whose name holds it are not played; empty: none
	without map[string]string // scenarios that are left out, and why
	differs expectations      // those are not played again
	kill    bool              // the nodes are killed in the end: by themselves they take long
	more    func(flag string) []string
}

// play plays all cases against nodes of a command, several at once, and returns
// the results in the order of the program's list. A case that fails is played
// again by itself, a few times: many wait for something, and on a machine that
// has other work it can come too late.
func play(t *testing.T, program, command string) []result {
	t.Helper()
	return playOn(t, program, command, playing{})
}

// playOn is play for some cases, with more arguments for each node, by its flag.
func playOn(t *testing.T, program, command string, p playing) []result {
	t.Helper()
	if *only != "" {
		p.only = *only
	}
	var args []string
	for _, n := range nodes {
		var more []string
		if p.more != nil {
			more = p.more(n.flag)
		}
		node := harness.StartNode(t, command, append(more, n.args...)...)
		if p.kill {
			t.Cleanup(node.Kill)
		}
		args = append(args, n.flag, node.URL)
	}
	which := []string{"--only", p.only}
	if p.skip != "" {
		which = append(which, "--skip", p.skip)
	}
	list := run(t, program, append(which, "--list")...)
	for scenario := range p.without {
		if *only == "" && !slices.ContainsFunc(list, func(r result) bool { return r.Scenario == scenario }) {
			t.Errorf("there is no scenario to leave out: %q", scenario)
		}
	}
	for scenario := range p.without {
		which = append(which, "--skip", scenario+" / ")
	}
	list = slices.DeleteFunc(list, func(r result) bool { return p.without[r.Scenario] != "" })
	start := time.Now()
	played := byName(run(t, program, slices.Concat(args, which, []string{"--jobs", jobs})...))
	t.Logf("%d cases played in %v", len(played), time.Since(start).Round(time.Second))
	var failed []result
	for _, r := range played {
		if !r.OK && p.differs.of(r) == nil {
			failed = append(failed, r)
		}
	}
	left := mostAgain
	for round := 0; round < replays && len(failed) > 0; round++ {
		if left -= len(failed); left < 0 {
			t.Logf("%d cases failed, too many to play again", len(failed))
			break
		}
		var still []result
		for _, r := range failed {
			t.Logf("played again, because it failed: %s\n%s", r.name(), r.Error)
			// Another case's name may hold this one: all of them count.
			again := run(t, program, append(args, "--only", r.name(), "--jobs", "1")...)
			maps.Copy(played, byName(again))
			if i := slices.IndexFunc(again, func(r result) bool { return !r.OK }); i >= 0 {
				r.Error = again[i].Error
				still = append(still, r)
			}
		}
		failed = still
	}
	if len(list) == 0 || len(list) != len(played) {
		t.Fatalf("%d cases were played, %d are listed", len(played), len(list))
	}
	for i, r := range list {
		got, ok := played[r.name()]
		if !ok {
			t.Fatalf("not played: %s", r.name())
		}
		list[i] = got
	}
	return list
}

// run runs the program once and returns what it printed.
func run(t *testing.T, program string, args ...string) []result {
	t.Helper()
	out, err := harness.Run(t, exec.Command("dotnet", append([]string{program}, args...)...), playLimit)
	if status := harness.Status(err); status != 0 && status != 1 { // 1: a case failed
		t.Fatalf("matrix %q: %v\n%s", args, err, out)
	}
	return harness.JSONLines[result](t, "matrix", out)
}

func byName(results []result) map[string]result {
	m := make(map[string]result, len(results))
	for _, r := range results {
		m[r.name()] = r
	}
	return m
}

// report makes a subtest of each scenario, and in it one of each mode. A case
// must fail if it is expected to, and must not if it is not.
func report(t *testing.T, results []result, expected expectations) {
	for len(results) > 0 {
		scenario, n := results[0].Scenario, 1
		for n < len(results) && results[n].Scenario == scenario {
			n++
		}
		modes := results[:n]
		results = results[n:]
		t.Run(scenario, func(t *testing.T) {
			for _, r := range modes {
				t.Run(r.mode(), func(t *testing.T) { reportOne(t, r, expected) })
			}
		})
	}
	if *only == "" {
		for _, e := range expected {
			if !e.used {
				t.Error("the list of expected differences has what is not played: " + strconv.Quote(e.Scenario))
			}
		}
	}
}

func reportOne(t *testing.T, r result, expected expectations) {
	e := expected.of(r)
	switch {
	case e != nil && r.OK:
		t.Errorf("does not differ any more; take it out of the list of expected differences (%s)", e.Reason)
	case e != nil && !strings.Contains(r.Error, e.Error):
		t.Errorf("differs otherwise than expected (%s):\n%s", e.Reason, r.Error)
	case e != nil:
		t.Logf("differs as expected: %s\n%s", e.Reason, r.Error)
	case !r.OK:
		t.Errorf("%s\nthe client saw %q", r.Error, r.Saw)
	}
}

func TestOurNode(t *testing.T) {
	forEachClient(t, func(t *testing.T, _ harness.Release, program string) {
		report(t, play(t, program, harness.NodeCommand(t)), ownExpectations(t))
	})
}

// TestOurNodeInAMixedCluster plays everything against a Hubwire node that
// shares a Redis with an ASP.NET Core node of the client's release.
func TestOurNodeInAMixedCluster(t *testing.T) {
	forEachClient(t, func(t *testing.T, release harness.Release, program string) {
		addr, reference := harness.Redis(t), harness.ReferenceNode(t, release)
		cluster := func(flag string) []string { return []string{"--redis", addr, "--prefix", "matrix" + flag + ":"} }
		for _, n := range nodes {
			harness.StartNode(t, reference, append(cluster(n.flag), n.args...)...)
		}
		report(t, playOn(t, program, harness.NodeCommand(t), playing{more: cluster}), ownExpectations(t))
	})
}

// dependsOnTheNode are scenarios in which a client sees whether another one has the
// same node as it, and why. On any node that is left to chance.
var dependsOnTheNode = map[string]string{
	"the asked client goes away": "over Redis, as with ASP.NET Core nodes, who asks is told that the connection has ended; on one node he is not",
}

// TestOurNodeOnAnyNode plays each transport and protocol against three of our nodes,
// of which each request gets a random one.
func TestOurNodeOnAnyNode(t *testing.T) {
	protocols := map[harness.Release]string{harness.Net11: " / json", harness.Net10: " / messagepack"}
	forEachClient(t, func(t *testing.T, release harness.Release, program string) {
		report(t, playOn(t, program, harness.NodeCommand(t), playing{
			only: protocols[release], without: dependsOnTheNode, more: func(string) []string { return harness.AnyNode(t) },
		}), ownExpectations(t))
	})
}

// TestReferenceNode shows that the expectations are those of ASP.NET Core.
func TestReferenceNode(t *testing.T) {
	forEachClient(t, func(t *testing.T, release harness.Release, program string) {
		report(t, play(t, program, harness.ReferenceNode(t, release)), nil)
	})
}

// forEachClient calls f with the program built for each release of the client.
func forEachClient(t *testing.T, f func(t *testing.T, release harness.Release, program string)) {
	harness.Long(t, "takes minutes")
	harness.Dotnet(t)
	for _, release := range harness.Releases {
		t.Run("client "+string(release), func(t *testing.T) {
			f(t, release, harness.DotnetProgram(t, "matrix", release.Property()))
		})
	}
}

// ownExpectations are those of our node; for another one there are none.
func ownExpectations(t *testing.T) expectations {
	t.Helper()
	if !harness.OwnNode() {
		return nil
	}
	return loadExpectations(t, "expected.json")
}
