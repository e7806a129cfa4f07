package server

import "github.com/hubwire/hubwire/protocol"

// SetCodec makes codec what clients of the hub get for its name, without the
// guard that codecs of users have: its panics are those of the hub itself.
func (h *Hub) SetCodec(codec protocol.Codec) { h.codecs[codec.Name()] = codec }
