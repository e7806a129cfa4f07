package js

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

// fileTime bounds the tests of one file.
const fileTime = 4 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what lib/reporter.mjs says of one test.
type outcome struct {
	Names   []string `json:"names"` // of the suites and the test
	Passed  bool     `json:"passed"`
	Skipped string   `json:"skipped"` // the reason
	Error   string   `json:"error"`
}

// lacked begins the reason of a skip that is right: the table of lib/modes.mjs
// says that the client has no such feature.
const lacked = "the client lacks it: "

func TestOfficialClients(t *testing.T) {
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	runAll(t, "current", files)
}

// TestOldOfficialClients plays what pages with an old script do: versions 7.x,
// 6.x, 3.1 and 1.1, the last under its old name @aspnet/signalr.
func TestOldOfficialClients(t *testing.T) {
	runAll(t, "old", []string{"calls.test.mjs", "groups.test.mjs", "results.test.mjs", "streams.test.mjs", "uploads.test.mjs"})
}

// runAll runs files with the modes that clients names in lib/modes.mjs.
func runAll(t *testing.T, clients string, files []string) {
	if testing.Short() {
		t.Skip("takes a minute; not with -short")
	}
	harness.Need(t, "node", "npm")
	modules, node := harness.Modules(t, "."), harness.NodeCommand(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			run(t, file, modules, "NODE_COMMAND="+node, "CLIENTS="+clients)
		})
	}
}

// run runs the tests of one file. Each is a subtest.
func run(t *testing.T, file, modules string, env ...string) {
	script, reporter := absolute(t, file), absolute(t, "lib/reporter.mjs")
	cmd := exec.Command("node", "--test", "--test-reporter", reporter, script)
	cmd.Dir = modules // the scripts find the npm packages there
	cmd.Env = append(os.Environ(), env...)
	if strings.Contains(file, "redis") {
		cmd.Env = append(cmd.Env, "REDIS="+harness.Redis(t))
	}
	out, runErr := harness.Run(t, cmd, fileTime)
	played := 0
	for line := range bytes.Lines(out) {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			t.Errorf("%s printed %q", file, line)
			continue
		}
		played++
		t.Run(strings.Join(o.Names, "/"), func(t *testing.T) {
			switch {
			case !o.Passed:
				t.Error(o.Error)
			case strings.HasPrefix(o.Skipped, lacked):
				t.Skip(o.Skipped)
			case o.Skipped != "":
				t.Errorf("skipped: %s", o.Skipped)
			}
		})
	}
	if runErr != nil && !t.Failed() {
		t.Errorf("%s: %v", file, runErr)
	}
	if played == 0 {
		t.Errorf("%s has no test", file)
	}
}

func absolute(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
