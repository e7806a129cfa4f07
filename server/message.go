package server

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// A Message is one hub message on its way to any number of connections. It is
// encoded at most once for each hub protocol, when the first connection needs
// it; the bytes are shared by all. It is safe for concurrent use.
type Message struct {
	source  protocol.Message // nil: only what is in forms
	mu      sync.Mutex
	forms   [2]form       // the first two protocols, without a map
	ready   atomic.Uint32 // how many of forms never change again
	further map[string]*form

	// Set before anybody else knows the message.
	behind *behind   // not nil: the sender waits for receivers that are behind
	latest bool      // it is a send: a client that wants the latest only can do without it
	names  [1]string // of its Audience, where that is one
}

// form is a message in one protocol.
type form struct {
	name  string
	frame transport.Frame
	err   error
}

// NewMessage returns a message that is encoded when it is needed.
func NewMessage(m protocol.Message) *Message {
	inv, ok := m.(*protocol.Invocation)
	return &Message{source: m, latest: ok && inv.InvocationID == ""}
}

// An Encoded is one hub message in one protocol, framing included.
type Encoded struct {
	Protocol string // "json" or "messagepack"
	Bytes    []byte // copied
}

// NewEncodedMessage returns a message that was encoded elsewhere, for instance
// by another node. A connection whose protocol is missing cannot be sent it.
// Where a protocol occurs twice the first one counts.
func NewEncodedMessage(encoded ...Encoded) *Message {
	m := &Message{latest: true}
	for _, e := range encoded {
		if m.find(e.Protocol) != nil {
			continue
		}
		buf := append(transport.NewFrameBuffer(len(e.Bytes)), e.Bytes...)
		m.add(form{name: e.Protocol, frame: transport.BuildFrame(buf, e.Protocol != "json").As(transport.KindCall)})
	}
	return m
}

// Bytes returns the message in the protocol of codec, framing included. The
// bytes are shared and must not be changed. The error says which value cannot
// be encoded, or that the message came without this protocol.
func (m *Message) Bytes(codec protocol.Codec) ([]byte, error) {
	frame, err := m.frame(codec)
	if err != nil {
		return nil, err
	}
	return frame.Payload(), nil
}

// errProtocolMissing says that a message from another node came without the
// protocol of a connection that it is for.
var errProtocolMissing = WithErrorType("InvalidOperationException",
	fmt.Errorf("This message was received from another server that did not have the requested protocol available."))

func (m *Message) frame(codec protocol.Codec) (transport.Frame, error) {
	f := m.findReady(codec.Name())
	if f == nil {
		if f = m.form(codec); f == nil {
			return transport.Frame{}, errProtocolMissing
		}
	}
	if m.latest {
		return f.frame.Latest(), f.err
	}
	return f.frame, f.err
}

// form returns the form for codec, which is encoded if there is none; nil if it cannot be.
func (m *Message) form(codec protocol.Codec) *form {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.find(codec.Name()); f != nil || m.source == nil {
		return f
	}
	return m.add(encode(codec, m.source))
}

// encode encodes m, by methods of the values in it where they have some. A
// panic in one of them is an error.
func encode(codec protocol.Codec, m protocol.Message) form {
	return encodeInto(newFrameBuffer(), codec, m)
}

// newFrameBuffer returns an empty buffer for a short message.
func newFrameBuffer() []byte { return transport.NewFrameBuffer(192) }

// encodeInto is encode into buf, an empty buffer of a frame.
func encodeInto(buf []byte, codec protocol.Codec, m protocol.Message) (f form) {
	f.name = codec.Name()
	defer catch(&f.err)
	buf, err := codec.Append(buf, m)
	if err != nil {
		f.err = err
		return f
	}
	f.frame = transport.BuildFrame(buf, codec.Binary()).As(frameKind(m))
	return f
}

// findReady is find, without the lock, for the first two protocols: nearly all
// connections of a broadcast need no more, one after the other. A delivery takes 1.07
// times as long with the lock, 16 broadcasts in flight (docs/performance.md).
func (m *Message) findReady(name string) *form {
	for i := range m.ready.Load() {
		if m.forms[i].name == name {
			return &m.forms[i]
		}
	}
	return nil
}

// find returns the form with a name, or nil.
func (m *Message) find(name string) *form {
	if f := m.findReady(name); f != nil {
		return f
	}
	return m.further[name]
}

func (m *Message) add(f form) *form {
	if n := m.ready.Load(); int(n) < len(m.forms) {
		m.forms[n] = f
		m.ready.Store(n + 1)
		return &m.forms[n]
	}
	if m.further == nil {
		m.further = map[string]*form{}
	}
	further := f // f itself stays on the stack
	m.further[f.name] = &further
	return &further
}
