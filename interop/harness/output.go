package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Output runs cmd as Run does and returns its standard output. Unless cmd ends with
// status 0, the test ends here and shows the output.
func Output(t testing.TB, cmd *exec.Cmd, limit time.Duration) []byte {
	t.Helper()
	out, err := Run(t, cmd, limit)
	if err != nil {
		t.Fatalf("%s ended with %v and printed\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return out
}

// Prints runs cmd as Run does. The test fails unless cmd prints want, but for white
// space at the ends, and ends with status 0.
func Prints(t testing.TB, cmd *exec.Cmd, limit time.Duration, want string) {
	t.Helper()
	out, err := Run(t, cmd, limit)
	if got := string(out); err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s ended with %v and printed\n%s\nwant\n%s", strings.Join(cmd.Args, " "), err, got, want)
	}
}

// Status returns the exit status that the error of Run tells: 0 if it is nil, and -1
// if the program was killed or did not start.
func Status(err error) int {
	if err == nil {
		return 0
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// JSONLines returns the values that a program has printed, one a line. A line that is
// no T in JSON fails the test and is left out; program is named then.
func JSONLines[T any](t testing.TB, program string, out []byte) (all []T) {
	t.Helper()
	for line := range bytes.Lines(out) {
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			t.Errorf("%s printed %q: %v", program, line, err)
			continue
		}
		all = append(all, one)
	}
	return all
}

// ReadJSON returns what a file has. A field that T does not have ends the test.
func ReadJSON[T any](t testing.TB, file string) (value T) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return value
}
