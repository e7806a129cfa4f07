package dotnet

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	// client11Limit bounds one run of client11: some 30 seconds a transport.
	client11Limit = 6 * time.Minute
	// client11Jobs is how many scenarios of a transport are played at once: they
	// wait for nine tenths of their time.
	client11Jobs = "3"
	// client11Attempts is how often a scenario that differs is played: the program
	// waits fixed times, prints times to half a second, and has 0.7 s for a start
	// before a life time in whole seconds is one less. With a load of 9 three were
	// too few once.
	client11Attempts = 6
)

// TestClient11OnOurNode plays what only the .NET client 11 can do. Each line that it
// prints must be that of ASP.NET Core 11, in client11/expected.txt.
func TestClient11OnOurNode(t *testing.T) {
	client11(t, harness.NodeCommand, client11Differences(t), everyTransport)
}

// TestClient11OnTheReferenceNode shows that expected.txt is what ASP.NET Core
// does.
func TestClient11OnTheReferenceNode(t *testing.T) {
	client11(t, func(t testing.TB) string { return harness.ReferenceNode(t, harness.Net11) }, nil, everyTransport)
}

// everyTransport are words of which the name of each scenario holds one.
var everyTransport = []string{" / WebSockets ", " / ServerSentEvents ", " / LongPolling "}

// onAnyNode are words of the scenarios whose requests may go to another node: the
// refresh of credentials, and polls with those of another user.
var onAnyNode = []string{"automatic refresh /", "manual refresh /", "refused refresh: ", "by another user", "cancelled stream /"}

// TestClient11OnAnyNode plays some scenarios against three of our nodes, of which each
// request gets a random one.
func TestClient11OnAnyNode(t *testing.T) {
	client11(t, harness.NodeCommand, client11Differences(t), onAnyNode, append(harness.AnyNode(t), "--direct", "true")...)
}

// facts are the lines of the scenarios, by their names.
type facts map[string][]string

// client11 plays the scenarios whose names hold one of the words against a node that
// gets more arguments.
func client11(t *testing.T, command func(testing.TB) string, reasons map[string]string, words []string, more ...string) {
	client11Read(t, command, reasons, words, func(output string) string { return output }, more...)
}

// client11Read is client11 with what the program has printed, now and then, changed by
// read before it is compared.
func client11Read(t *testing.T, command func(testing.TB) string, reasons map[string]string, words []string, read func(output string) string, more ...string) {
	if testing.Short() {
		t.Skip("takes minutes; not with -short")
	}
	harness.Dotnet(t)
	program := harness.DotnetProgram(t, "client11")
	file, err := os.ReadFile("client11/expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := parseFacts(read(string(file)))
	maps.DeleteFunc(want, func(name string, _ []string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
	})
	url := harness.StartNode(t, command(t), append(more, "--detailed", "true")...).URL
	got := parseFacts(read(playClient11(t, program, url, words...)))
	for attempt := 1; attempt < client11Attempts; attempt++ {
		var again []string
		for name := range want {
			if reasons[name] == "" && !slices.Equal(want[name], got[name]) {
				again = append(again, name)
			}
		}
		if len(again) == 0 || len(again) > mostAgain {
			break
		}
		slices.Sort(again)
		t.Logf("played again, because they differ: %q", again)
		for _, name := range again { // one by one: the machine should be quiet
			for name, lines := range parseFacts(read(playClient11(t, program, url, name))) {
				got[name] = lines
			}
		}
	}
	same := 0
	for name, lines := range want {
		t.Run(name, func(t *testing.T) {
			reason, equal := reasons[name], slices.Equal(lines, got[name])
			switch {
			case equal && reason != "":
				t.Errorf("does not differ any more; take it out of client11/differs.json (%s)", reason)
			case equal:
				same += len(lines)
			case reason != "":
				t.Logf("differs as expected: %s\n%s", reason, lineDiff(lines, got[name]))
			default:
				t.Error(lineDiff(lines, got[name]))
			}
		})
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("not in expected.txt: %s", name)
		}
	}
	t.Logf("%d lines are equal", same)
}

// playClient11 plays the scenarios whose names hold one of the words, those of
// different words at the same time, and returns what the program has printed.
func playClient11(t *testing.T, program, url string, words ...string) string {
	t.Helper()
	outputs, errs := make([]string, len(words)), make([]error, len(words))
	var playing sync.WaitGroup
	for i, word := range words {
		playing.Go(func() {
			out, err := harness.Run(t, exec.Command("dotnet", program, url, word, client11Jobs), client11Limit)
			outputs[i], errs[i] = string(out), err
		})
	}
	playing.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("client11 %q: %v", words[i], err)
		}
	}
	return strings.Join(outputs, "")
}

func parseFacts(text string) facts {
	all := facts{}
	for line := range strings.Lines(text) {
		name, fact, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " | ")
		all[name] = append(all[name], fact)
	}
	return all
}

// client11Differences are the reasons of the scenarios in which our node differs
// from ASP.NET Core 11 on purpose.
func client11Differences(t *testing.T) map[string]string {
	t.Helper()
	if !harness.OwnNode() {
		return nil
	}
	reasons := harness.ReadJSON[map[string]string](t, "client11/differs.json")
	for name, reason := range reasons {
		if reason == "" {
			t.Errorf("client11/differs.json gives no reason for %q", name)
		}
	}
	return reasons
}

// lineDiff shows the first line that differs.
func lineDiff(want, got []string) string {
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Sprintf("line %d of %d\nwant %s\ngot  %s", i+1, len(want), w, g)
		}
	}
	return "no difference"
}
