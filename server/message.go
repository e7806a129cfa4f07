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
	source  protocol.Message // nil: there are no forms but those that came
	mu      sync.Mutex
	first   form                 // in the first protocol; most are needed in no other
	second  atomic.Pointer[form] // in another one
	further map[string]*form     // in all others
	ready   atomic.Bool          // first never changes again

	// Set before anybody else knows the message.
	behind *behind   // not nil: the sender waits for receivers that are behind
	latest bool      // it is a send: a client that wants the latest only can do without it
	names  [1]string // of its Audience, where that is one
}

// A sentMessage is a Message and what it consists of, in one piece of memory.
type sentMessage struct {
	Message
	invocation protocol.Invocation
}

// newSend returns the message of a send.
func newSend(target string, args []any) *Message {
	m := &sentMessage{invocation: protocol.Invocation{Target: target, Arguments: args}}
	m.source, m.latest = &m.invocation, true
	return &m.Message
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
	memory := takeMemory()
	f := encodeInto(memory.buf, codec, m)
	if f.err == nil {
		f.frame = f.frame.Copy()
		memory.free()
	}
	return f
}

// encodingMemories have what messages are encoded into: all but very long ones, which get
// memory of their own, are copied from there. A message is mostly a fraction as long as
// what it would need to grow in.
var encodingMemories = sync.Pool{New: func() any { return &encodingMemory{buf: transport.NewCopyBuffer()} }}

type encodingMemory struct {
	buf        []byte
	completion protocol.Completion // what is encoded, of an answer that is one
}

func takeMemory() *encodingMemory { return encodingMemories.Get().(*encodingMemory) }

// free gives the memory back, with no completion in it. After an error it is not called:
// nobody knows who has the memory.
func (memory *encodingMemory) free() {
	encodingMemories.Put(memory)
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
	if m.ready.Load() && m.first.name == name {
		return &m.first
	}
	if f := m.second.Load(); f != nil && f.name == name {
		return f
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
	if !m.ready.Load() {
		m.first = f
		m.ready.Store(true)
		return &m.first
	}
	another := f // f itself stays on the stack
	if m.second.CompareAndSwap(nil, &another) {
		return &another
	}
	if m.further == nil {
		m.further = map[string]*form{}
	}
	m.further[f.name] = &another
	return &another
}
