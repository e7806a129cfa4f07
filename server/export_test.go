package server

import "github.com/hubwire/hubwire/protocol"

// DetachNothing lets calls keep their goroutines from now on, however long they take.
func (h *Hub) DetachNothing() { h.watch.running.Store(true) }

// SetLong makes calls of a method what they are after one that took long.
func (h *Hub) SetLong(method string) { h.methods.find(method).wasLong() }

// NeedsGoroutines reports whether calls of a method were often long.
func (h *Hub) NeedsGoroutines(method string) bool { return h.methods.find(method).blocks.Load() }

// SetCodec makes codec what clients of the hub get for its name, without the
// guard that codecs of users have: its panics are those of the hub itself.
func (h *Hub) SetCodec(codec protocol.Codec) { h.codecs[codec.Name()] = codec }

// IsWatching reports whether the goroutine of the hub's watch runs.
func (h *Hub) IsWatching() bool { return h.watch.running.Load() }
