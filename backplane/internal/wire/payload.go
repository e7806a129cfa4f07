package wire

import (
	"errors"
	"math"

	"github.com/hubwire/hubwire/internal/msgp"
)

// An Encoding is one hub message in one protocol, with its framing. One that
// was read aliases the payload.
type Encoding struct {
	Protocol string
	Bytes    []byte
}

// An Invocation travels on the channels of all, groups, users and connections.
type Invocation struct {
	Excluded  []string   // connection ids that do not get it
	Encodings []Encoding // in the order of the sender; a protocol may occur twice

	// A client result is wanted where InvocationID is not empty; it goes to
	// ReturnChannel, a logical name.
	InvocationID  string
	ReturnChannel string

	Extension *Extension // nil: none
}

// AppendInvocation appends m: four items with a return channel, else two.
func AppendInvocation(b []byte, m Invocation) []byte {
	n := 2
	if m.ReturnChannel != "" {
		n = 4
	}
	b = msgp.AppendArray(msgp.AppendArray(b, n), len(m.Excluded))
	for _, id := range m.Excluded {
		b = msgp.AppendString(b, id)
	}
	entries := len(m.Encodings)
	if m.Extension != nil {
		entries++
	}
	b = msgp.AppendMap(b, entries)
	for _, encoding := range m.Encodings {
		b = msgp.AppendBytes(msgp.AppendString(b, encoding.Protocol), encoding.Bytes)
	}
	if m.Extension != nil {
		b = appendExtension(b, m.Extension)
	}
	if n == 4 {
		b = msgp.AppendString(msgp.AppendString(b, m.InvocationID), m.ReturnChannel)
	}
	return b
}

func insufficient(what string) error {
	return errors.New("Insufficient items in " + what + " array.")
}

// ReadInvocation reads an invocation. Items after the fourth, and a third one
// alone, are ignored.
func ReadInvocation(p []byte) (m Invocation, err error) {
	r := newReader(p)
	n := r.array()
	if r.err == nil && n < 2 {
		return m, insufficient("Invocation")
	}
	if k := r.array(); k > 0 {
		m.Excluded = make([]string, 0, k)
		for range k {
			m.Excluded = append(m.Excluded, r.text())
		}
	}
	if k := r.mapping(); k > 0 {
		m.Encodings = make([]Encoding, 0, min(k, 8))
		for range k {
			name := r.text()
			bytes := r.bytes()
			if r.err != nil {
				break
			}
			if name == ExtensionName {
				m.Extension = readExtension(bytes)
				continue
			}
			m.Encodings = append(m.Encodings, Encoding{name, bytes})
		}
	}
	if n > 3 {
		m.InvocationID, m.ReturnChannel = r.text(), r.text()
	}
	return m, r.err
}

// Actions of a group command.
const (
	ActionAdd    = 1
	ActionRemove = 2
)

// A GroupCommand asks the node that owns a connection to add it to a group, or
// to remove it.
type GroupCommand struct {
	ID           int32
	Server       string // the node that sends it
	Action       uint8
	Group        string
	ConnectionID string
}

// AppendGroupCommand appends c.
func AppendGroupCommand(b []byte, c GroupCommand) []byte {
	b = msgp.AppendString(msgp.AppendInt(msgp.AppendArray(b, 5), int64(c.ID)), c.Server)
	b = msgp.AppendInt(b, int64(c.Action))
	return msgp.AppendString(msgp.AppendString(b, c.Group), c.ConnectionID)
}

// ReadGroupCommand reads a command.
func ReadGroupCommand(p []byte) (c GroupCommand, err error) {
	r := newReader(p)
	if n := r.array(); r.err == nil && n < 5 {
		return c, insufficient("GroupCommand")
	}
	c.ID = int32(r.integer(math.MinInt32, math.MaxInt32))
	c.Server = r.text()
	c.Action = uint8(r.integer(0, math.MaxUint8))
	c.Group = r.text()
	c.ConnectionID = r.text()
	return c, r.err
}

// AppendAck appends the acknowledgement of a command.
func AppendAck(b []byte, id int32) []byte { return msgp.AppendInt(msgp.AppendArray(b, 1), int64(id)) }

// ReadAck reads an acknowledgement.
func ReadAck(p []byte) (id int32, err error) {
	r := newReader(p)
	if n := r.array(); r.err == nil && n < 1 {
		return 0, insufficient("Ack")
	}
	return int32(r.integer(math.MinInt32, math.MaxInt32)), r.err
}

// AppendCompletion appends a client result, in the client's protocol.
func AppendCompletion(b []byte, c Encoding) []byte {
	return msgp.AppendBytes(msgp.AppendString(msgp.AppendArray(b, 2), c.Protocol), c.Bytes)
}

// ReadCompletion reads a client result.
func ReadCompletion(p []byte) (c Encoding, err error) {
	r := newReader(p)
	if n := r.array(); r.err == nil && n < 2 {
		return c, insufficient("CompletionMessage")
	}
	c.Protocol = r.text()
	c.Bytes = r.bytes()
	return c, r.err
}
