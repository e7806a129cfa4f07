// Package ws is what a server needs of RFC 6455 between a frame's header and
// its payload: which headers a client may send, and masks. It is so little that
// users of the library need no other module for it.
package ws

import "errors"

// An OpCode is the kind of a frame.
type OpCode byte

// The kinds of frames. Source: RFC 6455, section 5.2.
const (
	OpContinuation OpCode = 0
	OpText         OpCode = 1
	OpBinary       OpCode = 2
	OpClose        OpCode = 8
	OpPing         OpCode = 9
	OpPong         OpCode = 10
)

// IsControl reports whether such frames are no part of a message.
func (op OpCode) IsControl() bool { return op >= OpClose }

// A Header is what comes before a payload.
type Header struct {
	Fin    bool // the last frame of its message
	Rsv    byte // three bits for extensions, of which this package has none
	OpCode OpCode
	Masked bool
	Mask   [4]byte
	Length int64 // of the payload
}

// State is what earlier frames say about the next one.
type State byte

// States, as bits.
const (
	StateServerSide State = 1 << iota // frames come from a client
	StateFragmented                   // a message has begun and goes on
)

// Set returns s with v.
func (s State) Set(v State) State { return s | v }

// Clear returns s without v.
func (s State) Clear(v State) State { return s &^ v }

// maxControl is the longest payload of a control frame.
const maxControl = 125

// What a client has done against the protocol.
var (
	ErrHeaderLengthMSB           = errors.New("length of 64 bits with the highest one set")
	ErrProtocolStatusCodeUnknown = errors.New("close frame without a valid status code and reason")

	errOpCode       = errors.New("unknown opcode")
	errControlLong  = errors.New("control frame of more than 125 bytes")
	errControlParts = errors.New("control frame in parts")
	errRsv          = errors.New("reserved bits are set")
	errNoMask       = errors.New("frame of a client without a mask")
	errInside       = errors.New("new message inside another one")
	errOutside      = errors.New("continuation of no message")
)

// CheckHeader returns why a frame with header h may not come now.
// Source: RFC 6455, sections 5.1, 5.2, 5.4 and 5.5.
func CheckHeader(h Header, s State) error {
	control := h.OpCode.IsControl()
	switch {
	case h.OpCode > OpBinary && h.OpCode < OpClose || h.OpCode > OpPong:
		return errOpCode
	case control && h.Length > maxControl:
		return errControlLong
	case control && !h.Fin:
		return errControlParts
	case h.Rsv != 0:
		return errRsv
	case s&StateServerSide != 0 && !h.Masked:
		return errNoMask
	case control:
		return nil
	case s&StateFragmented != 0 && h.OpCode != OpContinuation:
		return errInside
	case s&StateFragmented == 0 && h.OpCode == OpContinuation:
		return errOutside
	}
	return nil
}
