// Package testport keeps ports of 127.0.0.1 for servers that a test starts, kills
// and starts again.
package testport

import (
	"strconv"
	"testing"
)

// Hold returns a port of 127.0.0.1 that is the test's own until it ends. A server
// may listen on it, as often as the test likes; while none does, connections are
// refused. No other program gets it meanwhile, neither to listen on nor for a
// connection of its own: without that, a port that was free a moment ago may be
// taken when the server starts.
//
// The server must set SO_REUSEADDR, as redis-server and package net do. Only Linux
// keeps a port so; elsewhere it is one that is free now.
func Hold(tb testing.TB) string {
	tb.Helper()
	port, release, err := hold()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return strconv.Itoa(port)
}
