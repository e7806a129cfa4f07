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
	Skipped bool     `json:"skipped"`
	Error   string   `json:"error"`
}

func TestOfficialClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; not with -short")
	}
	harness.Need(t, "node", "npm")
	modules, node := harness.Modules(t, "."), harness.NodeCommand(t)
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			run(t, file, modules, node)
		})
	}
}

// run runs the tests of one file. Each is a subtest.
func run(t *testing.T, file, modules, node string) {
	script, reporter := absolute(t, file), absolute(t, "lib/reporter.mjs")
	cmd := exec.Command("node", "--test", "--test-reporter", reporter, script)
	cmd.Dir = modules // the scripts find the npm packages there
	cmd.Env = append(os.Environ(), "NODE_COMMAND="+node)
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
			case o.Skipped:
				t.Error("skipped")
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
