package js

import (
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) {
	harness.TestsWait()
	goleak.VerifyTestMain(m)
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
	harness.Long(t, "takes a minute")
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
	if strings.Contains(file, "redis") {
		env = append(env, "REDIS="+harness.Redis(t))
	}
	outcomes, err := harness.RunNodeTests(t, modules, file, env...)
	report(t, file, outcomes, err)
}

// report reports what RunNodeTests says of a file.
func report(t *testing.T, file string, outcomes []harness.Outcome, err error) {
	for _, o := range outcomes {
		t.Run(o.Name(), func(t *testing.T) {
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
	if err != nil && !t.Failed() {
		t.Errorf("%s: %v", file, err)
	}
}
