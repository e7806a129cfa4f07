// Package rolling restarts every node of a fleet, one after the other, under load:
// official clients of all kinds behind haproxy, which finds out by health checks
// that a node drains.
package rolling
