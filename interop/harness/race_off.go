//go:build !race

package harness

// buildFlags are those of the test itself: none without -race.
var buildFlags []string
