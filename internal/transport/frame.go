package transport

import "slices"

// headroom is how many bytes stay free in front of a payload: the longest
// header of a WebSocket frame that a server sends.
const headroom = 10

// A Frame is one or several whole hub messages, ready for every transport: the
// payload, and right in front of it the header of a WebSocket frame. It is
// never modified once it is built and may be queued at many connections.
type Frame struct {
	buf     []byte // header and payload
	head    uint8  // length of the header
	latest  bool   // see Latest
	counted bool   // in a queue: it is counted by the Limit
	copied  bool   // in an outbox: buf is memory of copies.go, with one frame or several
	kind    Kind
}

// A Kind is what a frame is to the server that holds the client of a virtual
// connection.
type Kind uint8

// The kinds of frames.
const (
	KindOther     Kind = iota // a ping, an Ack, a Sequence
	KindHandshake             // the answer to the handshake
	KindCall                  // an invocation, a stream item, a completion
	KindClose                 // the farewell
)

// As returns f as a frame of kind k.
func (f Frame) As(k Kind) Frame {
	f.kind = k
	return f
}

// Kind returns what f is; see As.
func (f Frame) Kind() Kind { return f.kind }

// Latest returns f marked as one that a client which only wants the latest can
// do without; see Conn.DropOldest.
func (f Frame) Latest() Frame {
	f.latest = true
	return f
}

// NewCopyBuffer is NewFrameBuffer for frames that Conn.SendCopy copies: of a longer
// one nothing is in that memory.
func NewCopyBuffer() []byte { return make([]byte, headroom, CopyLimit) }

// Copy returns f in memory of its own, if it has no more than CopyLimit bytes.
func (f Frame) Copy() Frame {
	if len(f.buf) <= CopyLimit {
		f.buf = slices.Clone(f.buf)
	}
	return f
}

// NewFrameBuffer returns an empty slice with space for a WebSocket header and
// for size bytes of payload after it. Append the payload to it, then call
// BuildFrame.
func NewFrameBuffer(size int) []byte { return make([]byte, headroom, headroom+size) }

// BuildFrame makes buf, which began as the result of NewFrameBuffer, a Frame.
// binary selects the opcode of the WebSocket message.
func BuildFrame(buf []byte, binary bool) Frame {
	n := len(buf) - headroom
	head := 2
	switch {
	case n > 0xffff:
		head = 10
	case n > 125:
		head = 4
	}
	b := buf[headroom-head:]
	b[0] = 0x81
	if binary {
		b[0] = 0x82
	}
	switch head {
	case 2:
		b[1] = byte(n)
	case 4:
		b[1], b[2], b[3] = 126, byte(n>>8), byte(n)
	default:
		b[1] = 127
		for i := range 8 {
			b[2+i] = byte(uint64(n) >> (56 - 8*i))
		}
	}
	return Frame{buf: b, head: uint8(head)}
}

// Payload returns the hub messages, as SSE and long polling send them.
func (f Frame) Payload() []byte { return f.buf[f.head:] }

// WebSocket returns the whole WebSocket frame, header included.
func (f Frame) WebSocket() []byte { return f.buf }

// Len returns the number of payload bytes.
func (f Frame) Len() int { return len(f.buf) - int(f.head) }
