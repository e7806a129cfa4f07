package wire

import (
	"iter"
	"slices"
)

// maxKept is how large a buffer for the beginning of a frame is kept for the next.
const maxKept = 64 << 10

// A Reader puts frames together that come in pieces, such as the WebSocket
// messages of a service connection. The zero value is ready. It is for one
// goroutine.
type Reader struct {
	// MaxFrameSize bounds one frame, in bytes, its length included. Zero means
	// DefaultMaxFrameSize; negative means no bound but the protocol's own, 2 GiB.
	// What is kept of a frame grows with the bytes that came, not with the length
	// that it announces.
	MaxFrameSize int

	rest []byte // the beginning of a frame
	err  error  // ErrStuck, for good
}

// Messages returns the messages of the frames that end in chunk, in order.
// Unknown messages are passed over. Payloads alias chunk, or a buffer of the
// Reader: they are good until the loop goes on to the next message.
//
// A *FrameError stands in the place of a frame that holds no message; the loop
// may go on. ErrStuck is the last, and all that later calls return. A loop that
// ends early leaves the frames that it did not see to the next call.
func (r *Reader) Messages(chunk []byte) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for r.err == nil {
			frame, kept := chunk, len(r.rest) > 0
			if kept {
				chunk = r.complete(chunk)
				frame = r.rest
			}
			m, n, err := next(frame, r.MaxFrameSize)
			switch {
			case n > 0 && kept:
				r.forget()
			case n > 0:
				chunk = chunk[n:]
			case err != nil:
				r.rest, r.err = nil, err
				continue
			default:
				if !kept { // else rest has all of chunk
					r.rest = append(r.rest, chunk...)
				}
				return
			}
			if (m != nil || err != nil) && !yield(m, err) {
				r.rest = slices.Clone(chunk) // m may alias the buffer of before
				return
			}
		}
		yield(nil, r.err)
	}
}

// complete moves bytes from chunk to rest until the frame there is whole, and
// returns those left. Of chunk it copies no more, so that frames that chunk
// holds whole are read where they are.
func (r *Reader) complete(chunk []byte) []byte {
	for len(chunk) > 0 {
		size, err := FrameSize(r.rest, r.MaxFrameSize)
		if err != nil || size > 0 && len(r.rest) >= size {
			break
		}
		n := min(max(size-len(r.rest), 1), len(chunk))
		r.rest = append(r.rest, chunk[:n]...)
		chunk = chunk[n:]
	}
	return chunk
}

// forget drops the frame in rest. The message may still alias it.
func (r *Reader) forget() {
	if r.rest = r.rest[:0]; cap(r.rest) > maxKept {
		r.rest = nil
	}
}
