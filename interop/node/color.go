package main

import "github.com/hubwire/hubwire/protocol"

// A Color is an enum: a number in JSON, a name in MessagePack.
type Color int32

// The colors.
const (
	red   Color = 0
	green Color = 1
	blue  Color = 2
)

var _ protocol.Enum = red

// EnumNames implements protocol.Enum.
func (Color) EnumNames() map[int64]string {
	return map[int64]string{int64(red): "Red", int64(green): "Green", int64(blue): "Blue"}
}
