//go:build race

package harness

import "os"

// buildFlags are those of the test itself: with -race, the node has it too.
var buildFlags = []string{"-race"}

// A program with the race detector sleeps for a second before it ends, for the sake of
// other threads that may still find something: the nodes of a test, hundreds in some
// packages, do not. A race that was found before is still the status they end with.
func init() {
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // the name is valid
	}
}
