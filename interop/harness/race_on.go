//go:build race

package harness

// buildFlags are those of the test itself: with -race, the node has it too.
var buildFlags = []string{"-race"}
