package transport

import "sync"

// Frames that are copied are in memory that is used again once they have been written.
// Short ones stand together in a chunk. A longer one has memory of the next power of
// two, so that what waits takes about twice its bytes at most.
const (
	chunkSize = 4 << 10

	// CopyLimit is how long a frame may be, with its header, that Conn.SendCopy
	// copies: an answer as long as the longest message of a client, as a rule.
	CopyLimit = 8 * chunkSize
)

var (
	chunks   = sync.Pool{New: func() any { return new([chunkSize]byte) }}
	copies8  = sync.Pool{New: func() any { return new([2 * chunkSize]byte) }}
	copies16 = sync.Pool{New: func() any { return new([4 * chunkSize]byte) }}
	copies32 = sync.Pool{New: func() any { return new([8 * chunkSize]byte) }}
)

// takeCopy returns empty memory for n bytes, at most CopyLimit.
func takeCopy(n int) []byte {
	switch {
	case n <= chunkSize:
		return chunks.Get().(*[chunkSize]byte)[:0]
	case n <= 2*chunkSize:
		return copies8.Get().(*[2 * chunkSize]byte)[:0]
	case n <= 4*chunkSize:
		return copies16.Get().(*[4 * chunkSize]byte)[:0]
	default:
		return copies32.Get().(*[8 * chunkSize]byte)[:0]
	}
}

// recycle gives the memory of written copies back.
func recycle(written []Frame) {
	for _, f := range written {
		if !f.copied {
			continue
		}
		switch b := f.buf[:cap(f.buf)]; len(b) {
		case chunkSize:
			chunks.Put((*[chunkSize]byte)(b))
		case 2 * chunkSize:
			copies8.Put((*[2 * chunkSize]byte)(b))
		case 4 * chunkSize:
			copies16.Put((*[4 * chunkSize]byte)(b))
		case 8 * chunkSize:
			copies32.Put((*[8 * chunkSize]byte)(b))
		}
	}
}
