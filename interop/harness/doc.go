// Package harness is what the tests of interop share: it finds outside tools,
// installs npm packages, runs scripts and programs, the node under test and Redis, and
// ends what it started.
//
// # Skips
//
// A tool that is missing skips a test and says why, so that "go test ./..."
// passes on a machine that has only Go. With HUBWIRE_REQUIRE_TOOLS=1, as in
// CI, a missing tool is a failure, so that no skip goes unnoticed.
//
// # The node under test
//
// It is interop/node, built for the test and with the race detector if the
// test has it. HUBWIRE_NODE puts another program in its place, words divided
// by blanks, for example "dotnet path/to/reference.dll". A node takes --urls
// and the flags of the reference node, prints "READY <url>" when it accepts
// connections, and ends with status 0 on SIGTERM.
package harness
