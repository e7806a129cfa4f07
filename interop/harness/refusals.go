package harness

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// mostAgain is how often Again plays something again.
const mostAgain = 3

// Refusals returns arguments of interop/node, and a function that says how often the
// nodes with these arguments have answered 503.
func Refusals(t testing.TB) (args []string, refused func() int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "refusals")
	return []string{"--refusals", file}, func() int {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return 0
		}
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Size())
	}
}

// Again calls play, which says what has failed, or "". If something has, and refused
// has counted an answer of 503 meanwhile, it is played again: a node answers so when
// another one or Redis was too slow for it, on a machine that has other work.
func Again(t testing.TB, refused func() int, play func() (failed string)) {
	t.Helper()
	for left := mostAgain; ; left-- {
		before := refused()
		failed := play()
		count := refused() - before
		if failed == "" || count == 0 || left == 0 {
			return
		}
		t.Logf("played again, because nodes have answered 503 (%d times): %s", count, failed)
	}
}
