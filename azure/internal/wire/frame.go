package wire

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/hubwire/hubwire/internal/msgp"
)

// DefaultMaxFrameSize is the largest frame that is read, in bytes, if nothing
// else is said. A hub message stands in a frame once for each hub protocol, and
// Azure advises to keep messages below 16 MB.
const DefaultMaxFrameSize = 64 << 20

// ErrStuck is that a frame has a length that no frame has, or a larger one than
// is read. Nothing after it can be read.
var ErrStuck = errors.New("wire: a frame's length is impossible or too large")

// A FrameError is that a frame holds no message. The frame was passed over; those
// after it can be read.
type FrameError struct {
	Type int    // number of the message; 0: not even that
	Item string // the item that is not what it should be
}

func (e *FrameError) Error() string {
	if e.Type == 0 {
		return "wire: a frame without a message"
	}
	return fmt.Sprintf("wire: message %d: bad %s", e.Type, e.Item)
}

// Append appends m, its length before it, to dst and returns the longer slice.
// It allocates nothing for a ConnectionData if dst has room.
func Append(dst []byte, m Message) []byte {
	if m, ok := m.(*ConnectionData); ok {
		return appendData(dst, m)
	}
	start := len(dst)
	c := coder{out: append(dst, 0)}
	m.items(&c)
	return setLength(c.out, start, 1)
}

// appendData is Append without an interface, so that the coder stays on the stack,
// and without moving a payload to make room for its length.
func appendData(dst []byte, m *ConnectionData) []byte {
	start, width := len(dst), lengthSize(len(m.Payload)+len(m.ConnectionID)+8)
	c := coder{out: append(dst, "\x00\x00\x00\x00\x00"[:width]...)}
	m.items(&c)
	return setLength(c.out, start, width)
}

// setLength writes how long a frame is, for which width bytes were kept at start.
func setLength(b []byte, start, width int) []byte {
	n := len(b) - start - width
	if need := lengthSize(n); need != width {
		body := b[start+width:]
		b = append(b, "\x00\x00\x00\x00\x00"[:max(need-width, 0)]...)
		copy(b[start+need:], body)
		b = b[:start+need+n]
		width = need
	}
	for i := range width {
		b[start+i] = byte(n>>(7*i)) | 0x80
	}
	b[start+width-1] &^= 0x80
	return b
}

// lengthSize returns how many bytes the length n takes.
func lengthSize(n int) int {
	size := 1
	for n >>= 7; n > 0; n >>= 7 {
		size++
	}
	return size
}

// FrameSize returns how many bytes the first frame of buf has, its length
// included; 0 if buf ends within the length. limit bounds it, in bytes: zero
// means DefaultMaxFrameSize, negative none but the protocol's own, 2 GiB. The
// error is ErrStuck.
func FrameSize(buf []byte, limit int) (size int, err error) {
	size, _, err = frameSize(buf, limit)
	return size, err
}

func frameSize(buf []byte, limit int) (size, prefix int, err error) {
	if limit == 0 {
		limit = DefaultMaxFrameSize
	}
	n := 0
	for i, b := range buf {
		if i == 4 && b > 7 {
			return 0, 0, ErrStuck
		}
		n |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			if limit >= 0 && n > limit-i-1 || n > math.MaxInt32 {
				return 0, 0, ErrStuck
			}
			return i + 1 + n, i + 1, nil
		}
	}
	return 0, 0, nil
}

// Next reads the first frame of buf, of at most DefaultMaxFrameSize bytes, and
// returns its message and how many bytes it had. Payloads of the message alias
// buf; its texts do not.
//
//   - n = 0 without an error: buf ends within the frame. FrameSize says how many
//     bytes it will have.
//   - m = nil with n > 0 and no error: a type of message that is not known.
//   - n > 0 with an error, a *FrameError: the frame holds no message.
//   - n = 0 with an error, ErrStuck: nothing more can be read.
func Next(buf []byte) (m Message, n int, err error) { return next(buf, 0) }

func next(buf []byte, limit int) (m Message, n int, err error) {
	size, prefix, err := frameSize(buf, limit)
	if err != nil || size == 0 || size > len(buf) {
		return nil, 0, err
	}
	m, err = parse(buf[prefix:size:size])
	return m, size, err
}

// parse parses what a frame holds.
func parse(body []byte) (Message, error) {
	in := msgp.NewReader(body)
	length, ok := in.Array()
	if !ok {
		return nil, &FrameError{}
	}
	number, ok := in.Signed(32)
	switch {
	case !ok:
		return nil, &FrameError{}
	case number == TypeConnectionData:
		return parseData(in, length)
	}
	m := New(int(number))
	if m == nil {
		return nil, nil
	}
	c := coder{reading: true, in: in, length: length}
	if m.items(&c); c.bad != "" {
		return nil, &FrameError{Type: int(number), Item: c.bad}
	}
	return m, nil
}

// A dataFrame is a ConnectionData and room for its connection id: one allocation
// for both.
type dataFrame struct {
	ConnectionData
	id [48]byte
}

// parseData is parse for the message that there are most of.
func parseData(in msgp.Reader, length int) (Message, error) {
	d := &dataFrame{}
	m := &d.ConnectionData
	c := coder{reading: true, in: in, length: length}
	if id, ok := c.in.Str(); !ok {
		c.check(false, "connectionId")
	} else if n := copy(d.id[:], id); n > 0 && n == len(id) && ascii(id) {
		m.ConnectionID = unsafe.String(&d.id[0], n) // the room is written only here
	} else {
		m.ConnectionID = validText(id)
	}
	c.bytes("payload", &m.Payload)
	m.tail(&c)
	if c.bad != "" {
		return nil, &FrameError{Type: TypeConnectionData, Item: c.bad}
	}
	return m, nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
