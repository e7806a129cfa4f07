package wire

import (
	"math"

	"github.com/hubwire/hubwire/internal/msgp"
)

// ExtensionName is the key under which an invocation has what only Hubwire's
// nodes read: an entry of the map of encodings, of a protocol that no client
// speaks. ASP.NET Core's nodes ignore it.
// Source: scale-out.md, section 1, seen on ASP.NET Core 10.
const ExtensionName = "hubwire"

// An Extension is what one node of ours tells the others with an invocation.
type Extension struct {
	Time int64  // when it was sent, in Unix microseconds by the clock of its node
	Node string // that has sent it
}

// appendExtension appends e as a map with names, so that later versions can add
// to it.
func appendExtension(b []byte, e *Extension) []byte {
	inner := msgp.AppendMap(make([]byte, 0, 24+len(e.Node)), 2)
	inner = msgp.AppendInt(msgp.AppendString(inner, "time"), e.Time)
	inner = msgp.AppendString(msgp.AppendString(inner, "node"), e.Node)
	return msgp.AppendBytes(msgp.AppendString(b, ExtensionName), inner)
}

// readExtension reads what appendExtension has written; nil if it cannot. It is
// never worth a message.
func readExtension(p []byte) *Extension {
	r, e := newReader(p), &Extension{}
	for range r.mapping() {
		switch name := r.text(); name {
		case "time":
			e.Time = r.integer(math.MinInt64, math.MaxInt64)
		case "node":
			e.Node = r.text()
		default:
			if r.err == nil && !r.Skip(1) {
				r.failed()
			}
		}
		if r.err != nil {
			return nil
		}
	}
	if r.err != nil || e.Time == 0 {
		return nil
	}
	return e
}
