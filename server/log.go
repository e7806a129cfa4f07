package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// logFailure logs that user code, named by in, has failed: as an Error, but for
// a *HubError, which is an answer, and for the end of the call's own context.
func (c *connection) logFailure(in string, err error) {
	if p, ok := asError[*panicError](err); ok {
		c.hub.log.Error("panic in user code", "in", in, "connection", c.ID(), "panic", p.value, "stack", string(p.stack))
		return
	}
	ctx, level, message := context.Background(), slog.LevelError, "user code failed"
	switch _, hub := asError[*HubError](err); {
	case hub:
		level, message = slog.LevelInfo, "user code answered with an error"
	case c.Context().Err() != nil && isError(err, context.Canceled):
		level = slog.LevelDebug
	}
	if c.hub.log.Enabled(ctx, level) {
		c.hub.log.Log(ctx, level, message, "in", in, "type", fmt.Sprintf("%T", err), "connection", c.ID(), "error", describe(err).text)
	}
}

// logUnfit logs an argument, or a result of a stream, that does not fit. Its
// value does not belong in the log, so errors of the codec, which may quote it,
// are not logged.
func (c *connection) logUnfit(m *method, err error) {
	ctx := context.Background()
	if !c.hub.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	if unfit, ok := asError[*unfitError](err); ok {
		c.hub.log.Debug("argument does not fit", "method", m.name, "connection", c.ID(), "argument", unfit.index+1, "want", unfit.t.String(), "got", kindOf(c.codec, unfit.raw))
		return
	}
	c.hub.log.Debug("arguments do not fit", "method", m.name, "connection", c.ID(), "error", describe(err).text)
}

// kindOf says what raw is, but not its value.
func kindOf(codec protocol.Codec, raw protocol.Raw) string {
	if len(raw) == 0 {
		return "nothing"
	}
	b := raw[0]
	if codec.Binary() {
		return packedKind(b)
	}
	switch b {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// packedKind names what the first byte of a MessagePack value begins.
func packedKind(b byte) string {
	switch {
	case b <= 0x7f, b >= 0xe0, b >= 0xca && b <= 0xd3:
		return "number"
	case b <= 0x8f, b == 0xde, b == 0xdf:
		return "map"
	case b <= 0x9f, b == 0xdc, b == 0xdd:
		return "array"
	case b <= 0xbf, b >= 0xd9 && b <= 0xdb:
		return "string"
	case b == 0xc0:
		return "nil"
	case b == 0xc2, b == 0xc3:
		return "boolean"
	case b >= 0xc4 && b <= 0xc6:
		return "binary"
	}
	return "extension"
}

// short returns text of a client, which is of any length, for the log.
func short(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
