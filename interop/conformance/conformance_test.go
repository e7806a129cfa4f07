package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

var (
	only    = flag.String("only", "", "play only scenarios whose name holds this word")
	against = flag.String("release", "", "compare with this release of ASP.NET Core only: 10 or 11")
)

// A release is an ASP.NET Core whose recordings a node is held against.
type release struct {
	name       string
	recordings string // folder
	list       string // where our node differs on purpose
}

var releases = []release{
	{"11", "recordings/11", "expected11.json"},
	{"10", "recordings", "expected.json"},
}

// chosenReleases are those that have a recording by the recorder. A server that
// HUBWIRE_NODE names is compared with one release: 11, or what -release says.
func chosenReleases(recorder string) []release {
	name := *against
	if name == "" && !harness.OwnNode() {
		name = "11"
	}
	return slices.DeleteFunc(slices.Clone(releases), func(r release) bool {
		_, err := os.Stat(filepath.Join(r.recordings, recorder+".json"))
		return err != nil || name != "" && name != r.name
	})
}

const (
	// recordLimit bounds one run of a recorder. The longest scenario watches a
	// silent client for 130 s.
	recordLimit = 10 * time.Minute
	// attempts is how often a scenario that differs is played. The scripts wait
	// fixed times, and on a machine that has other work an answer can come too
	// late for the script's next line.
	attempts = 6
	// mostAgain bounds what is played again: if more differs, it is not by chance.
	mostAgain = 40
)

// playing is held for reading by all that is played side by side, and for
// writing by what is played again: for that the machine should be quiet.
var playing sync.RWMutex

func TestHTTP(t *testing.T)      { conform(t, "http", 4) }
func TestRecords(t *testing.T)   { conform(t, "records", 4) }
func TestDialogues(t *testing.T) { conform(t, "dialogues", 4) }
func TestRefresh(t *testing.T)   { conform(t, "refresh", 4) }

// conform plays the scenarios of a recorder against the node under test,
// several nodes at once, beside other tests.
func conform(t *testing.T, recorder string, jobs int) {
	harness.Long(t, "takes minutes")
	t.Parallel()
	suite{recorder: recorder, without: []string{dotnetHalf}}.conform(t, jobs)
}

// conform plays the scenarios and compares them with each release. Where the
// node is another server, named by HUBWIRE_NODE, everything is played and
// nothing may differ.
func (s suite) conform(t *testing.T, jobs int) {
	s.modules = harness.Modules(t, ".")
	if s.command == "" {
		s.command = harness.NodeCommand(t)
	}
	chosen := chosenReleases(s.recorder)
	if len(chosen) == 0 {
		t.Skipf("release %s has no recording of %s", *against, s.recorder)
	}
	reports := make([]*report, len(chosen))
	for i, r := range chosen {
		reports[i] = s.newReport(t, r)
	}
	var names []string // nil: everything
	for attempt := range attempts {
		recording := s.record(t, names, jobs)
		again := []string{}
		for _, r := range reports {
			part := s.compare(t, recording, r.release, names)
			r.results = merge(r.results, part)
			unexpected := r.unexpected()
			t.Logf("attempt %d: %d scenarios compared with %s, unexpected differences in %d: %q",
				attempt+1, len(part), r.release.name, len(unexpected), unexpected)
			again = append(again, unexpected...)
		}
		slices.Sort(again)
		if names = slices.Compact(again); len(names) == 0 || len(names) > mostAgain {
			break
		}
		jobs = 1
	}
	for name := range s.races {
		if *only == "" && !slices.ContainsFunc(reports[0].results, func(r result) bool { return r.Name == name }) {
			t.Errorf("a scenario that may differ is not played: %s", name)
		}
	}
	for _, r := range reports {
		t.Run(r.release.name, r.run)
	}
}

// A report is the result of the comparison with one release.
type report struct {
	release  release
	results  []result
	expected map[string]string // reasons of scenarios that must differ
	races    map[string]string // and of those that may
}

func (s suite) newReport(t *testing.T, r release) *report {
	t.Helper()
	rep := &report{release: r}
	if harness.OwnNode() {
		list := loadExpectations(t, r.list)
		rep.expected, rep.races = list.differing(s.recorder), list.racing(s.recorder)
		maps.Copy(rep.races, s.races)
		// Another test plays it.
		maps.DeleteFunc(rep.expected, func(name, _ string) bool { return !s.chosen(name, nil) })
	}
	return rep
}

// unexpected are the scenarios that differ and are not listed, as the recorder
// knows them.
func (r *report) unexpected() (names []string) {
	for _, one := range r.results {
		if _, listed := r.expected[one.Name]; one.differs() && !listed && r.races[one.Name] == "" {
			names = append(names, one.Played)
		}
	}
	return names
}

// run makes a subtest of each scenario, and fails the listed ones that do not
// differ or were not played.
func (r *report) run(t *testing.T) {
	if len(r.results) == 0 {
		t.Fatal("nothing was played")
	}
	played := map[string]bool{}
	for _, one := range r.results {
		played[one.Name] = true
		t.Run(one.Name, func(t *testing.T) {
			reason, listed := r.expected[one.Name]
			switch {
			case listed && !one.differs():
				t.Errorf("does not differ any more; take it out of %s (%s)", r.release.list, reason)
			case one.differs() && r.races[one.Name] != "":
				t.Logf("may differ: %s%s", r.races[one.Name], one.text())
			case listed:
				t.Logf("differs as expected: %s", reason)
			case one.differs():
				t.Error(one.text())
			}
		})
	}
	for name := range r.expected {
		if !played[name] && *only == "" {
			t.Errorf("%s lists a scenario that is not played: %s", r.release.list, name)
		}
	}
}

// A suite plays one recorder against one node.
type suite struct {
	recorder string
	modules  string   // the folder with node_modules
	command  string   // starts the node; empty: harness.NodeCommand
	nodeB    string   // starts node B of a cluster; empty where there is one node
	without  []string // words of scenarios that are not played
	client   string   // the built dotnet-client, for dialogues; or empty

	races map[string]string // reasons of more scenarios that may differ
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

// record plays the scenarios with these names, or all if names is nil, and
// returns the file with what was recorded.
func (s suite) record(t *testing.T, names []string, jobs int) string {
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
	return got
}

// compare holds a recording against that of a release.
func (s suite) compare(t *testing.T, recording string, r release, names []string) []result {
	t.Helper()
	// The status says only whether something differs; the output says what.
	want := script(t, filepath.Join(r.recordings, s.recorder+".json"))
	out, err := s.node(t, script(t, "compare.mjs"), s.recorder, want, recording, "--json")
	var results []result
	if jsonErr := json.Unmarshal(out, &results); jsonErr != nil {
		t.Fatalf("compare.mjs: %v; output: %v", err, jsonErr)
	}
	return slices.DeleteFunc(results, func(r result) bool { return !s.chosen(r.Played, names) })
}

// chosen reports whether the scenario is one that the recorder plays.
func (s suite) chosen(name string, names []string) bool {
	left := func(word string) bool { return strings.Contains(name, word) }
	return strings.Contains(name, *only) && (names == nil || slices.Contains(names, name)) && !slices.ContainsFunc(s.without, left)
}

// node runs a script and returns what it prints.
func (s suite) node(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	cmd := harness.Script(t, s.modules, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "NODE_COMMAND="+s.command, "DOTNET_CLIENT_DLL="+s.client, "NODE_COMMAND_B="+s.nodeB)
	return harness.Run(t, cmd, recordLimit)
}

// script returns the absolute path of a file of this package.
func script(t *testing.T, name string) string {
	t.Helper()
	return harness.Abs(t, name)
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
