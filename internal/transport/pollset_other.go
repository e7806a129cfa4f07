//go:build !linux

package transport

// A pollSet would have the parked sockets of a shard; here none is parked.
type pollSet struct{}

type watch struct{}

func (*pollSet) add(*socket) bool  { return false }
func (*pollSet) keep(*socket) bool { return false }
func (*pollSet) end()              {}

func (*pollReader) run() {}
