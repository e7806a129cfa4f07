package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodeTestsTime bounds the tests of one script.
const nodeTestsTime = 4 * time.Minute

// Abs returns the absolute path of a file of the package whose test runs.
func Abs(t testing.TB, file string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Script returns a command that runs a script in Node. Its working directory is
// modules, a folder with npm packages: see Modules. It skips the test as Need does.
func Script(t testing.TB, modules, file string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(Tool(t, "node"), append([]string{Abs(t, file)}, args...)...)
	cmd.Dir = modules
	return cmd
}

// LinkModules makes the npm packages of modules those of scripts in dir, too.
func LinkModules(t testing.TB, modules, dir string) {
	t.Helper()
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
}

// An Outcome is how a test of Node's own test runner has ended, as
// interop/js/lib/reporter.mjs says it.
type Outcome struct {
	Names   []string // of the suites and the test
	Passed  bool
	Skipped string // the reason; "" if it was played
	Error   string // "" if it passed
}

// Name returns the names, joined as Go joins those of subtests.
func (o Outcome) Name() string { return strings.Join(o.Names, "/") }

// RunNodeTests runs the tests of a script and returns how each has ended, in their
// order. env is added to the environment, as "NAME=value". A script without a test
// fails the Go test. The error is that of Run: Status is 1 if a test has failed.
func RunNodeTests(t testing.TB, modules, file string, env ...string) ([]Outcome, error) {
	t.Helper()
	cmd := exec.Command(Tool(t, "node"), "--test", "--test-reporter", Abs(t, "../js/lib/reporter.mjs"), Abs(t, file))
	cmd.Dir = modules
	cmd.Env = append(os.Environ(), env...)
	out, err := Run(t, cmd, nodeTestsTime)
	outcomes := JSONLines[Outcome](t, file, out)
	if len(outcomes) == 0 {
		t.Errorf("%s has no test", file)
	}
	return outcomes, err
}
