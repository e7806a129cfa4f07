package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

var only = flag.String("only", "", "play only scenarios whose name holds this word")

const (
	// recordLimit bounds one run of a recorder. The longest scenario watches a
	// silent client for 130 s.
	recordLimit = 10 * time.Minute
	// attempts is how often a scenario that differs is played. The scripts wait
	// fixed times, and on a machine that has other work an answer can come too
	// late for the script's next line.
	attempts = 3
	// mostAgain bounds what is played again: more than that is no chance.
	mostAgain = 40
)

// playing is held for reading by all that is played side by side, and for
// writing by what is played again: for that the machine should be quiet.
var playing sync.RWMutex

func TestHTTP(t *testing.T)      { conform(t, "http", 4) }
func TestRecords(t *testing.T)   { conform(t, "records", 4) }
func TestDialogues(t *testing.T) { conform(t, "dialogues", 4) }

// conform plays the scenarios of a recorder against the node under test,
// several nodes at once, beside other tests.
func conform(t *testing.T, recorder string, jobs int) {
	if testing.Short() {
		t.Skip("takes minutes; not with -short")
	}
	t.Parallel()
	suite{recorder: recorder, without: []string{dotnetHalf}}.conform(t, jobs)
}

// conform plays the scenarios and compares. Where the node is another server,
// named by HUBWIRE_NODE, everything is played and nothing may differ.
func (s suite) conform(t *testing.T, jobs int) {
	s.modules, s.command = harness.Modules(t, "."), harness.NodeCommand(t)
	var expected, races map[string]string
	if harness.OwnNode() {
		list := loadExpectations(t)
		expected, races = list.differing(s.recorder), list.racing(s.recorder)
		// What another test plays is none of this one's business.
		maps.DeleteFunc(expected, func(name, _ string) bool { return !s.chosen(name, nil) })
	}
	var results []result
	again := []string(nil) // nil: everything
	for attempt := range attempts {
		part := s.play(t, again, jobs)
		results = merge(results, part)
		again = []string{}
		for _, r := range results {
			if _, listed := expected[r.Name]; r.differs() && !listed && races[r.Name] == "" && !slices.Contains(again, r.Played) {
				again = append(again, r.Played)
			}
		}
		t.Logf("attempt %d: %d scenarios played, unexpected differences in %d: %q", attempt+1, len(part), len(again), again)
		if len(again) == 0 || len(again) > mostAgain {
			break
		}
		jobs = 1
	}
	if len(results) == 0 {
		t.Fatal("nothing was played")
	}
	report(t, results, expected, races)
}

// report makes a subtest of each scenario, and fails the listed ones that do
// not differ or were not played.
func report(t *testing.T, results []result, expected, races map[string]string) {
	played := map[string]bool{}
	for _, r := range results {
		played[r.Name] = true
		t.Run(r.Name, func(t *testing.T) {
			reason, listed := expected[r.Name]
			switch {
			case listed && !r.differs():
				t.Errorf("does not differ any more; take it out of expected.json (%s)", reason)
			case r.differs() && races[r.Name] != "":
				t.Logf("may differ: %s", races[r.Name])
			case listed:
				t.Logf("differs as expected: %s", reason)
			case r.differs():
				t.Error(r.text())
			}
		})
	}
	for name := range expected {
		if !played[name] && *only == "" {
			t.Errorf("expected.json lists a scenario that is not played: %s", name)
		}
	}
}

// A suite plays one recorder against one node.
type suite struct {
	recorder string
	modules  string   // the folder with node_modules
	command  string   // starts the node
	nodeB    string   // starts node B of a cluster; empty where there is one node
	without  []string // words of scenarios that are not played
	client   string   // the built dotnet-client, for dialogues; or empty
}

// A result is what compare.mjs says of one scenario.
type result struct {
	Name        string `json:"name"`
	Played      string `json:"played"`
	Outcome     string `json:"outcome"`
	Differences []struct {
		Lane string `json:"lane"`
		Want string `json:"want"`
		Got  string `json:"got"`
	} `json:"differences"`
}

func (r result) differs() bool { return r.Outcome == "differs" }

func (r result) text() string {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "\n%s\n    want %s\n    got  %s", d.Lane, d.Want, d.Got)
	}
	return b.String()
}

// play records the scenarios with these names, or all if names is nil, and
// returns the comparison with ASP.NET Core's recording.
func (s suite) play(t *testing.T, names []string, jobs int) []result {
	t.Helper()
	if names == nil {
		playing.RLock()
		defer playing.RUnlock()
	} else {
		playing.Lock()
		defer playing.Unlock()
	}
	args := []string{script(t, s.recorder+".mjs"), "--jobs", strconv.Itoa(jobs)}
	for _, word := range s.without {
		args = append(args, "--without", word)
	}
	if names != nil {
		list, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "names.json")
		if err := os.WriteFile(file, list, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--names", file)
	}
	if *only != "" {
		args = append(args, *only)
	}
	start := time.Now()
	recording, err := s.node(t, args...)
	if err != nil {
		t.Fatalf("%s.mjs: %v", s.recorder, err)
	}
	t.Logf("recorded in %v", time.Since(start).Round(time.Second))
	got := filepath.Join(t.TempDir(), s.recorder+".json")
	if err := os.WriteFile(got, recording, 0o644); err != nil {
		t.Fatal(err)
	}
	// The status says only whether something differs; what, stands in the output.
	out, err := s.node(t, script(t, "compare.mjs"), s.recorder, script(t, "recordings/"+s.recorder+".json"), got, "--json")
	var results []result
	if jsonErr := json.Unmarshal(out, &results); jsonErr != nil {
		t.Fatalf("compare.mjs: %v; output: %v", err, jsonErr)
	}
	return slices.DeleteFunc(results, func(r result) bool { return !s.chosen(r.Played, names) })
}

// chosen reports whether the recorder was told to play a scenario.
func (s suite) chosen(name string, names []string) bool {
	left := func(word string) bool { return strings.Contains(name, word) }
	return strings.Contains(name, *only) && (names == nil || slices.Contains(names, name)) && !slices.ContainsFunc(s.without, left)
}

// node runs a script and returns what it prints.
func (s suite) node(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command(harness.Tool(t, "node"), args...)
	cmd.Dir = s.modules
	cmd.Env = append(os.Environ(), "NODE_COMMAND="+s.command, "DOTNET_CLIENT_DLL="+s.client, "NODE_COMMAND_B="+s.nodeB)
	return harness.Run(t, cmd, recordLimit)
}

// script returns the absolute path of a file of this package.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// merge puts the results of a later attempt in the place of earlier ones.
func merge(results, later []result) []result {
	for _, r := range later {
		i := slices.IndexFunc(results, func(old result) bool { return old.Name == r.Name })
		if i < 0 {
			results = append(results, r)
		} else {
			results[i] = r
		}
	}
	return results
}
