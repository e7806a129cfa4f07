//go:build !race

// Package race tells tests of the race detector.
package race

// Enabled reports whether the race detector is on. It allocates, and makes sync.Pool
// drop a quarter of what is put back.
const Enabled = false
