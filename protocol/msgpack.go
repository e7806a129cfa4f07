package protocol

import (
	"errors"
	"fmt"

	"github.com/hubwire/hubwire/internal/msgp"
)

// MessagePack is the codec "messagepack": one MessagePack array per message,
// with its length in front. The zero value is ready to use.
//
// Source: docs/reference/hub-protocol.md, section 3.
type MessagePack struct{}

// Name is "messagepack".
func (MessagePack) Name() string { return "messagepack" }

// Binary is true.
func (MessagePack) Binary() bool { return true }

// maxMessagePackSize is the largest body that a length may announce.
const maxMessagePackSize = 1<<31 - 1

// Errors of frames. Texts are those of ASP.NET Core.
var (
	errTooBig = &Error{"FormatException", "Messages over 2GB in size are not supported."}
	errEnd    = &Error{"EndOfStreamException", "Attempted to read past the end of the stream."}
)

// Next decodes the first message of buf; see Codec. A length that announces
// more bytes than buf has costs nothing.
func (MessagePack) Next(buf []byte) (m Message, rest []byte, err error) {
	return nextMessagePack(nil, buf)
}

func nextMessagePack(memory *scratch, buf []byte) (m Message, rest []byte, err error) {
	length, n, err := messagePackLength(buf)
	if err != nil {
		return nil, buf, err
	}
	if length > len(buf)-n {
		return nil, buf, ErrIncomplete
	}
	end := n + length
	m, err = readMessagePackMessage(buf[n:end:end], memory)
	return m, buf[end:], err
}

// missingMessagePack is Missing for MessagePack: the length in front of a
// message says it.
func missingMessagePack(buf []byte) int {
	length, n, err := messagePackLength(buf)
	switch {
	case errors.Is(err, ErrIncomplete):
		return 1
	case err != nil:
		return 0
	}
	return max(0, length-(len(buf)-n))
}

// messagePackLength reads the length in front of a message: seven bits per
// byte, the lowest first, n bytes. Longer forms than necessary are fine.
func messagePackLength(buf []byte) (length, n int, err error) {
	for n < len(buf) {
		c := buf[n]
		if n == 4 && c > 7 {
			return 0, 0, errTooBig
		}
		length |= int(c&0x7f) << (7 * n)
		n++
		if c < 0x80 {
			return length, n, nil
		}
	}
	return 0, 0, ErrIncomplete
}

// formatName names a code as .NET does in its errors.
func formatName(code byte) string {
	switch {
	case code < msgp.FixMap:
		return "positive fixint"
	case code < msgp.FixArray:
		return "fixmap"
	case code < msgp.FixStr:
		return "fixarray"
	case code < msgp.Nil:
		return "fixstr"
	case code >= msgp.Negative:
		return "negative fixint"
	}
	return [...]string{
		"nil", "(never used)", "false", "true", "bin 8", "bin 16", "bin 32", "ext 8", "ext 16", "ext 32",
		"float 32", "float 64", "uint 8", "uint 16", "uint 32", "uint 64", "int 8", "int 16", "int 32", "int 64",
		"fixext 1", "fixext 2", "fixext 4", "fixext 8", "fixext 16", "str 8", "str 16", "str 32",
		"array 16", "array 32", "map 16", "map 32",
	}[code-msgp.Nil]
}

// unexpectedCode is the error for a body that is no array.
func unexpectedCode(code byte) error {
	return &Error{"MessagePackSerializationException", fmt.Sprintf("Unexpected msgpack code %d (%s) encountered.", code, formatName(code))}
}
