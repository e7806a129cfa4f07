// Package wire is the protocol of Azure SignalR's service connections: what an
// app server and the service say to each other over one WebSocket. Bytes in,
// messages out: no goroutine, no clock, no logger.
//
// A frame is its length as a varint (7 bits a byte, low ones first) and one
// MessagePack array, whose first item is the message's type. WebSocket messages
// cut the stream of frames anywhere; Reader puts it together again.
//
// Decoding accepts what Microsoft.Azure.SignalR.Protocols 1.34.0 accepts and
// refuses the rest: arrays shorter than today's where an older SDK wrote them
// so, longer ones, unknown types. A frame that is refused is passed over; only a
// length that no frame has ends a stream (ErrStuck). Text that is not UTF-8 has
// U+FFFD in its place; nil among the values of a header reads as "".
//
// A nil *string is nil on the wire, which readers may tell from the empty text.
//
// Source: docs/azure.md; vectors in testdata/azure.
package wire
