package protocol

import "errors"

// ErrIncomplete is what Next and ParseHandshakeRequest return while the
// buffer does not yet hold a whole message.
var ErrIncomplete = errors.New("protocol: message is incomplete")

// A Codec turns hub messages into bytes and back; SignalR calls it a hub
// protocol. Codecs hold no state and are safe for concurrent use. JSON and
// MessagePack are the two that exist.
type Codec interface {
	// Name is what clients call the codec in their handshake: "json" or
	// "messagepack".
	Name() string

	// Binary reports whether messages need a transport that carries bytes, and
	// binary WebSocket messages.
	Binary() bool

	// Append appends m, framing included, to dst and returns the longer slice.
	// On an error, which comes from a value that cannot be encoded, it returns
	// dst as it was.
	Append(dst []byte, m Message) ([]byte, error)

	// Next decodes the first message of buf and returns the bytes after it.
	// If buf ends inside a message it returns buf as rest and ErrIncomplete.
	// Any other error is an *Error; the connection cannot go on after it.
	// The Raw values of m alias buf.
	Next(buf []byte) (m Message, rest []byte, err error)

	// Unmarshal decodes raw into what the pointer v points to. It is as strict
	// as ASP.NET Core: no number from a string, no integer out of range, no
	// null for a value that cannot be nil. What it decodes is no part of raw.
	Unmarshal(raw Raw, v any) error

	// AppendValue appends the encoding of v, without any framing, to dst. What is
	// behind dst in its memory may be overwritten, beyond the result too; so it is
	// with Append.
	AppendValue(dst []byte, v any) ([]byte, error)
}

// A Framer is a Codec of another package that finds the end of a message
// without decoding it. A receiver needs that to read a long message that
// arrives in many pieces in a time that does not grow with their number. For
// JSON and MessagePack it needs no Framer: these have no method Missing, lest a
// codec that embeds one of them and has a Next of its own inherits a Missing
// that does not match. A codec that has their framing calls the function
// Missing from its method.
type Framer interface {
	Codec

	// Missing returns how many bytes, at least, must follow buf before Next can
	// return anything but ErrIncomplete; 0 where it may already. seen says that
	// Missing was more than 0 for the first seen bytes of buf, which then need
	// not be looked at again.
	Missing(buf []byte, seen int) int
}

// Missing returns what Framer's method of that name says of codec, which may be
// JSON or MessagePack, or a Framer. For any other codec known is false and n is
// 0.
func Missing(codec Codec, buf []byte, seen int) (n int, known bool) {
	switch codec := codec.(type) {
	case JSON:
		return missingJSON(buf, seen), true
	case MessagePack:
		return missingMessagePack(buf), true
	case Framer:
		return codec.Missing(buf, seen), true
	}
	return 0, false
}

// An Error is input that breaks the protocol. Type is the name of the .NET
// exception that ASP.NET Core reports it as; clients see it, with Text, when
// detailed errors are on.
type Error struct {
	Type string // as "InvalidDataException"
	Text string // as ASP.NET Core has it; the whole of Error()
}

func (e *Error) Error() string { return e.Text }

// ErrorType returns Type.
func (e *Error) ErrorType() string { return e.Type }
