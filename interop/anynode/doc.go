// Package anynode sends requests of raw long-polling and Server-Sent Events clients
// to random nodes of a fleet, whose processes are killed and started again at random,
// and accounts for every one: what was answered 200 is executed exactly once and in
// order, what the server has sent comes exactly once and in order, and no request
// waits for a node that is dead. docs/fleet.md has the figures of a million. It has
// tests only.
package anynode
