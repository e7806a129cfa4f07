package middleware

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// A play is one of play.mjs.
type play struct {
	Near            string `json:"near"`
	Far             string `json:"far,omitempty"`
	Transport       string `json:"transport"`
	Protocol        string `json:"protocol"`
	SkipNegotiation bool   `json:"skipNegotiation,omitempty"`
	Cut             bool   `json:"cut,omitempty"`
}

// mostAgain is how often a play is played again.
const mostAgain = 3

// run plays them, and returns what went wrong in each. A Go node answers 503 when
// another one or Redis was too slow for it, on a machine that has other work: clients
// are to try again then, and so does run.
func run(t *testing.T, plays []play, refused func(i int) (statuses []int)) (errors []string) {
	t.Helper()
	errors = runOnce(t, plays)
	for range mostAgain {
		var again []play
		var places []int
		for i, failed := range errors {
			if failed != "" && (strings.Contains(failed, "503") || slices.Contains(refused(i), http.StatusServiceUnavailable)) {
				t.Logf("played again: %+v: %s", plays[i], failed)
				again, places = append(again, plays[i]), append(places, i)
			}
		}
		if len(again) == 0 {
			break
		}
		for i, failed := range runOnce(t, again) {
			errors[places[i]] = failed
		}
	}
	return errors
}

// runOnce plays them, some side by side.
func runOnce(t *testing.T, plays []play) (errors []string) {
	t.Helper()
	list, err := json.Marshal(plays)
	if err != nil {
		t.Fatal(err)
	}
	out, err := harness.Run(t, harness.Script(t, harness.Modules(t, "../js"), "play.mjs", string(list)), 2*waitTime)
	if err == nil {
		err = json.Unmarshal(out, &errors)
	}
	if err != nil || len(errors) != len(plays) {
		t.Fatalf("%d plays: %v\n%s", len(plays), err, out)
	}
	return errors
}

// every is each transport with each protocol that it can carry.
var every = []play{
	{Transport: "WebSockets", Protocol: "json"},
	{Transport: "WebSockets", Protocol: "messagepack"},
	{Transport: "ServerSentEvents", Protocol: "json"},
	{Transport: "LongPolling", Protocol: "json"},
	{Transport: "LongPolling", Protocol: "messagepack"},
}

// Each request that names a connection gets a random node, in turn of the one kind and
// of the other; those that begin one get a Go node, as docs/fleet.md recommends.
func TestOfficialClientsThroughAFleetOfBothKinds(t *testing.T) {
	f := startFleet(t)
	aspNodes := []string{f.aspNode(t, harness.Net10), f.aspNode(t, harness.Net11)}
	var mu sync.Mutex
	turns := map[kind]int{}
	b := newBalancer(t, func(r *http.Request) string {
		what := kindOf(r)
		begins := r.URL.Query().Get("id") == "" && what != refresh
		mu.Lock()
		defer mu.Unlock()
		if !begins {
			turns[what]++
		}
		if begins || turns[what]%2 == 0 {
			return f.goNodes[rand.IntN(len(f.goNodes))]
		}
		return aspNodes[rand.IntN(len(aspNodes))]
	})
	t.Run("clients", func(t *testing.T) {
		t.Run("groups, users and client results", func(t *testing.T) {
			t.Parallel()
			groups(t, b.url)
		})
		t.Run("dotnet", func(t *testing.T) {
			t.Parallel()
			dotnet(t, b.url)
		})
	})
	for _, what := range []kind{webSocket, eventStream, poll, post, del} {
		if n := b.count(what, aspNodes...); n == 0 {
			t.Errorf("ASP.NET Core nodes have passed no %s on", what)
		} else {
			t.Logf("%s: %d passed on by ASP.NET Core nodes, %d at Go nodes", what, n, b.count(what, f.goNodes...))
		}
	}
}

// groups has two clients each play with each other: see play.mjs.
func groups(t *testing.T, url string) {
	var plays []play
	for _, p := range every {
		p.Near = url
		plays = append(plays, p, p, p)
	}
	for i, err := range run(t, plays, func(int) []int { return nil }) {
		if err != "" {
			t.Errorf("%s, %s: %s", plays[i].Transport, plays[i].Protocol, err)
		}
	}
}

// dotnet plays what is about the order of items and messages with the official .NET
// client 10. What fails is played once more: see run.
func dotnet(t *testing.T, url string) {
	for _, failed := range dotnetCases(t, url, "order", 20) {
		t.Logf("played again: %s: %s", failed.name(), failed.Error)
		for _, again := range dotnetCases(t, url, failed.name(), 1) {
			t.Errorf("%s: %s", again.name(), again.Error)
		}
	}
}

// A dotnetCase is a line of interop/dotnet/matrix.
type dotnetCase struct {
	Scenario, Transport, Protocol string
	OK                            bool
	Error                         string
}

func (c dotnetCase) name() string {
	return c.Scenario + " / " + c.Transport + " / " + c.Protocol
}

// dotnetCases plays the cases with these words in their names, want at least, and
// returns those that failed.
func dotnetCases(t *testing.T, url, only string, want int) (failed []dotnetCase) {
	t.Helper()
	program := harness.DotnetProgram(t, "../dotnet/matrix", harness.Net10.Property())
	cmd := exec.Command("dotnet", program, "--plain", url, "--detailed", url, "--impatient", url, "--only", only)
	out, err := harness.Run(t, cmd, 2*waitTime)
	played := harness.JSONLines[dotnetCase](t, "the .NET client", out)
	for _, c := range played {
		if !c.OK {
			failed = append(failed, c)
		}
	}
	if err != nil && len(failed) == 0 || len(played) < want {
		t.Errorf("%d cases were played: %v", len(played), err)
	}
	return failed
}
