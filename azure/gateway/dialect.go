package gateway

import (
	"errors"
	"strings"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// A client's protocol is chosen by its handshake, and only app servers understand it.
// The gateway needs its name, to pick a payload; whether it is binary; and how to
// write a Close, for its own messages.

// dialectOf returns the codec of a hub protocol. The name is compared without
// case, as app servers do.
func dialectOf(name string) protocol.Codec {
	switch lower := strings.ToLower(name); lower {
	case "json":
		return protocol.JSON{}
	case "messagepack":
		return protocol.MessagePack{}
	case "blazorpack": // MessagePack with types of its own among the arguments
		return blazorPack{}
	default:
		return foreign{name: lower}
	}
}

type blazorPack struct{ protocol.MessagePack }

func (blazorPack) Name() string { return "blazorpack" }

// foreign is a protocol of which only the name is known.
type foreign struct {
	protocol.MessagePack
	name string
}

func (f foreign) Name() string { return f.name }

var errForeign = errors.New("gateway: unknown hub protocol")

func (foreign) Append(dst []byte, _ protocol.Message) ([]byte, error) { return dst, errForeign }

// closeFrame is the farewell of the gateway itself; ok is false for a protocol
// that it does not know.
func closeFrame(codec protocol.Codec, text string, allowReconnect bool) (f transport.Frame, ok bool) {
	m := &protocol.Close{Error: text, HasError: text != "", AllowReconnect: allowReconnect}
	b, err := codec.Append(transport.NewFrameBuffer(64), m)
	if err != nil {
		return f, false
	}
	return transport.BuildFrame(b, codec.Binary()), true
}

// A border tracks whether the forwarded bytes end between two hub messages.
type border struct {
	unknown bool
	binary  bool
	inside  bool  // a message has begun
	shift   uint8 // of the length that is being read
	left    uint64
}

func newBorder(codec protocol.Codec) border {
	_, unknown := codec.(foreign)
	return border{unknown: unknown, binary: codec.Binary()}
}

// reached reports whether all forwarded bytes are whole messages.
func (b *border) reached() bool { return !b.unknown && !b.inside }

// pass takes p, or only what comes before the first border in it, and returns how
// many bytes that is.
func (b *border) pass(p []byte, stop bool) int {
	switch {
	case b.unknown, len(p) == 0:
		return len(p)
	case b.binary:
		return b.passLengths(p, stop)
	case stop:
		for i, c := range p {
			if c == recordSeparator {
				b.inside = false
				return i + 1
			}
		}
	}
	b.inside = p[len(p)-1] != recordSeparator
	return len(p)
}

const recordSeparator = 0x1e

// passLengths is pass for messages behind their lengths. A length that no hub
// accepts makes the border unknown: the app server ends that client.
func (b *border) passLengths(p []byte, stop bool) int {
	for i := 0; i < len(p); {
		if b.inside && b.shift == 0 { // in the body
			n := min(b.left, uint64(len(p)-i))
			i += int(n)
			if b.left -= n; b.left > 0 {
				break
			}
			if b.inside = false; stop {
				return i
			}
			continue
		}
		b.inside = true
		b.left |= uint64(p[i]&0x7f) << b.shift
		if p[i] < 0x80 {
			b.shift = 0
			if b.left == 0 { // an empty message
				b.inside = false
			}
		} else if b.shift += 7; b.shift > 28 {
			b.unknown = true
			return len(p)
		}
		i++
	}
	return len(p)
}
