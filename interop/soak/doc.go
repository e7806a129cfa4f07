// Package soak runs two nodes on a real Redis for as long as it is told, with
// clients of all kinds that come, work and go in all ways, while Redis is killed
// and started again; then nothing of all that may be left: no goroutine, no
// descriptor, no subscription, no memory. docs/soak.md has the report of a long
// run. It has tests only.
package soak
