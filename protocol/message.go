package protocol

import "bytes"

// Message is one hub message: a pointer to one of the types of this file.
// Messages are not safe for concurrent use while one of their users changes them.
type Message interface{ hubMessage() }

// Header is one entry of a message's headers. SignalR passes headers on and
// gives them no meaning; order is that of the wire.
type Header struct{ Name, Value string }

// Raw is one value still in its codec's encoding: JSON text, or the bytes of
// one MessagePack value. A Raw that was decoded aliases the buffer it was
// decoded from and is valid only as long as that buffer is not reused. It does
// not say which codec it is of: as an argument it suits hubs of one protocol, since
// in the other it is an error, or means something else.
type Raw []byte

// MarshalJSON lets a Raw be part of a value that the JSON codec encodes; nil is
// null.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON makes r a copy of b.
func (r *Raw) UnmarshalJSON(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// Invocation asks the peer to call Target. It is answered by a Completion if
// it has an InvocationID, else never.
type Invocation struct {
	Headers      []Header
	InvocationID string // empty: no answer is wanted
	Target       string // the method's name; SignalR servers compare it without case

	// Arguments are Go values to encode. They are used only where
	// RawArguments is nil.
	Arguments []any
	// RawArguments are the arguments as received, not yet decoded. It is not
	// nil, though maybe empty, in every Invocation that Next returns without
	// an ArgumentsErr.
	RawArguments []Raw
	// ArgumentsErr says why arguments could not be read though the message
	// could (MessagePack only). Such a call fails; the connection lives on.
	// Append refuses such a message with this error.
	ArgumentsErr error

	// StreamIDs name the streams that the caller is about to send. Nil is
	// "absent", which JSON tells apart from an empty list.
	StreamIDs []string
}

// StreamInvocation asks the peer to call Target and to send back its results
// as StreamItems that end with a Completion. InvocationID is never empty.
type StreamInvocation struct{ Invocation }

// StreamItem is one item of the stream InvocationID, in either direction.
type StreamItem struct {
	Headers      []Header
	InvocationID string // of the StreamInvocation, or of an upload: one of StreamIDs
	Item         any    // to encode, where RawItem is nil
	RawItem      Raw    // as received; in MessagePack it may be invalid: then decoding it fails
}

// ResultKind says what a Completion carries; the numbers are those of the
// MessagePack encoding.
type ResultKind uint8

const (
	ResultError ResultKind = 1 // Error
	ResultVoid  ResultKind = 2 // nothing: the end of a stream
	ResultValue ResultKind = 3 // Result or RawResult; also nil for a method without result
)

// Completion ends an invocation or a stream.
type Completion struct {
	Headers      []Header
	InvocationID string // of what it ends
	Kind         ResultKind
	Error        string // of ResultError, as the user of the peer sees it
	Result       any    // to encode, where RawResult is nil
	RawResult    Raw    // as received; see RawItem
}

// CancelInvocation asks the peer to stop the stream, or call, InvocationID.
type CancelInvocation struct {
	Headers      []Header
	InvocationID string
}

// Ping says that the sender is alive.
type Ping struct{}

// Close says that the sender is about to end the connection.
type Close struct {
	Error          string // what the peer is told of the reason
	HasError       bool   // tells an empty error from an absent one
	AllowReconnect bool   // a client that reconnects by itself may do so
}

// Ack says that every message up to SequenceID has been received.
type Ack struct{ SequenceID int64 }

// Sequence says, after a stateful reconnect, which number the next message has.
type Sequence struct{ SequenceID int64 }

// Unknown is a well-formed message of a type that this package does not know.
// Receivers skip it.
type Unknown struct {
	Type int64 // its number on the wire
}

func (*Invocation) hubMessage()       {}
func (*StreamItem) hubMessage()       {}
func (*Completion) hubMessage()       {}
func (*CancelInvocation) hubMessage() {}
func (*Ping) hubMessage()             {}
func (*Close) hubMessage()            {}
func (*Ack) hubMessage()              {}
func (*Sequence) hubMessage()         {}
func (*Unknown) hubMessage()          {}
