// Package memnet is a network in memory for tests: a listener, connections with
// buffers of a bounded size, and what a real network does to them. It opens no
// port, and works inside a testing/synctest bubble: a goroutine that waits for
// bytes is durably blocked, and all times are those of the bubble.
package memnet
