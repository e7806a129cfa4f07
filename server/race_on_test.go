//go:build race

package server_test

// raceDetector reports whether the race detector is on. It makes sync.Pool drop a
// quarter of what is put back.
const raceDetector = true
