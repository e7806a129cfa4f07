package protocol

import "strings"

// A Room is memory for the messages that come most often. What NextIn returns
// for a Room is overwritten by the next call with the same one: whoever keeps
// a message must not reuse its Room. The zero value is ready. A Room must not be
// copied; it is for one goroutine at a time.
type Room struct {
	call   Invocation
	raws   [4]Raw
	target string          // the last one: clients call the same method again and again
	ids    strings.Builder // invocation ids one behind the other: many share one allocation
}

// idsSize is how much room for ids is made at once. An id that is kept keeps so
// much memory.
const idsSize = 512

// A RoomCodec is a Codec that can decode without new memory for each message.
type RoomCodec interface {
	Codec

	// NextIn is Next, with the message in room. A nil room makes it Next.
	NextIn(room *Room, buf []byte) (m Message, rest []byte, err error)
}

var (
	_ RoomCodec = JSON{}
	_ RoomCodec = MessagePack{}
)

func (r *Room) invocation() *Invocation {
	if r == nil {
		return &Invocation{}
	}
	r.call = Invocation{}
	return &r.call
}

// list returns a list of n arguments, not nil.
func (r *Room) list(n int) []Raw {
	if r == nil || n > len(r.raws) {
		return make([]Raw, n)
	}
	return r.raws[:n:n]
}

// id returns b as a string, for an invocation id.
func (r *Room) id(b []byte) string {
	if r == nil || len(b) > idsSize/8 {
		return string(b)
	}
	if r.ids.Cap()-r.ids.Len() < len(b) {
		r.ids = strings.Builder{}
		r.ids.Grow(idsSize)
	}
	start := r.ids.Len()
	r.ids.Write(b)
	return r.ids.String()[start:]
}

// text returns b as a string, for a target.
func (r *Room) text(b []byte) string {
	if r == nil {
		return string(b)
	}
	if string(b) != r.target { // does not allocate
		r.target = string(b)
	}
	return r.target
}
