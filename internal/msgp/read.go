package msgp

import (
	"encoding/binary"
	"math"
)

// A Reader reads values one after the other. Its methods report false, and pass
// nothing, if something else comes, or if it is longer than the bytes that are
// left. What they return aliases those bytes. A copy of a Reader reads on from
// the same place. A Reader is for one goroutine at a time.
type Reader struct {
	b []byte
	i int
}

// NewReader returns a Reader of b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Code returns the next byte without passing it; Never at the end.
func (r *Reader) Code() byte {
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return Never
}

// Left returns how many bytes are left.
func (r *Reader) Left() int { return len(r.b) - r.i }

// Again returns the last n bytes that were passed and all that are left.
func (r *Reader) Again(n int) []byte { return r.b[r.i-n:] }

// Rest passes all bytes that are left and returns them.
func (r *Reader) Rest() []byte {
	rest := r.b[r.i:len(r.b):len(r.b)]
	r.i = len(r.b)
	return rest
}

// uint reads a big-endian number of size bytes after the next code. It passes
// nothing.
func (r *Reader) uint(size int) (uint64, bool) {
	if r.Left() <= size {
		return 0, false
	}
	b := r.b[r.i+1:]
	switch size {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), true
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), true
	}
	return binary.BigEndian.Uint64(b), true
}

// length reads the header of a family: fix is its lowest fixed code, of mask
// lengths, wide its code with the shortest length, of size bytes, that is
// followed by those of twice and four times it.
func (r *Reader) length(fix, mask, wide byte, size int) (n int, ok bool) {
	c := r.Code()
	if mask != 0 && c&^mask == fix {
		r.i++
		return int(c & mask), true
	}
	for ; size <= 4; size, wide = size*2, wide+1 {
		if c == wide {
			u, ok := r.uint(size)
			if !ok || u > math.MaxInt32 {
				return 0, false
			}
			r.i += 1 + size
			return int(u), true
		}
	}
	return 0, false
}

// Array passes the header of an array and returns its length, which is no
// larger than the number of bytes left.
func (r *Reader) Array() (n int, ok bool) {
	start := r.i
	n, ok = r.length(FixArray, 0x0f, Array16, 2)
	if !ok || n > r.Left() {
		r.i = start
		return 0, false
	}
	return n, true
}

// Map passes the header of a map; each of its n entries is two values, which
// the bytes left allow.
func (r *Reader) Map() (n int, ok bool) {
	start := r.i
	n, ok = r.length(FixMap, 0x0f, Map16, 2)
	if !ok || n > r.Left()/2 {
		r.i = start
		return 0, false
	}
	return n, true
}

// Str passes a string and returns its bytes, which may be no UTF-8.
func (r *Reader) Str() (s []byte, ok bool) {
	start := r.i
	if c := r.Code(); c&^0x1f == FixStr { // most are short: without, BenchmarkPayloads/presence_of_100_users takes 1.1 times as long to decode
		r.i++
		return r.take(start, int(c&0x1f), true)
	}
	n, ok := r.length(FixStr, 0x1f, Str8, 1)
	return r.take(start, n, ok)
}

// Bin passes a byte string and returns its bytes.
func (r *Reader) Bin() (b []byte, ok bool) {
	start := r.i
	n, ok := r.length(0, 0, Bin8, 1)
	return r.take(start, n, ok)
}

// take passes n bytes, or goes back to start.
func (r *Reader) take(start, n int, ok bool) ([]byte, bool) {
	if !ok || n > r.Left() {
		r.i = start
		return nil, false
	}
	r.i += n
	return r.b[r.i-n : r.i : r.i], true
}

// Ext passes an extension and returns its type and bytes.
func (r *Reader) Ext() (kind int8, data []byte, ok bool) {
	start, c := r.i, r.Code()
	var n int
	if c >= FixExt1 && c <= FixExt16 {
		n, ok = 1<<(c-FixExt1), true
		r.i++
	} else {
		n, ok = r.length(0, 0, Ext8, 1)
	}
	data, ok = r.take(start, n+1, ok)
	if !ok {
		return 0, nil, false
	}
	return int8(data[0]), data[1:], true
}

// Nil passes nil.
func (r *Reader) Nil() bool {
	if r.Code() != Nil {
		return false
	}
	r.i++
	return true
}

// Bool passes true or false.
func (r *Reader) Bool() (v, ok bool) {
	c := r.Code()
	if c != False && c != True {
		return false, false
	}
	r.i++
	return c == True, true
}

// Integer passes an integer of any format. negative tells -1 from 2^64-1; u
// holds the bits.
func (r *Reader) Integer() (u uint64, negative, ok bool) {
	c := r.Code()
	switch {
	case c < FixMap:
		r.i++
		return uint64(c), false, true
	case c >= Negative:
		r.i++
		return uint64(int8(c)), true, true
	case c < Uint8 || c > Int64:
		return 0, false, false
	}
	size := 1 << ((c - Uint8) & 3)
	if u, ok = r.uint(size); !ok {
		return 0, false, false
	}
	r.i += 1 + size
	if c >= Int8 {
		shift := 64 - 8*size
		u = uint64(int64(u<<shift) >> shift)
		negative = int64(u) < 0
	}
	return u, negative, true
}

// Signed passes an integer that fits into so many bits.
func (r *Reader) Signed(bits int) (n int64, ok bool) {
	start := r.i
	u, negative, ok := r.Integer()
	n = int64(u)
	if !ok || negative != (n < 0) || n<<(64-bits)>>(64-bits) != n {
		r.i = start
		return 0, false
	}
	return n, true
}

// Unsigned passes an integer that fits into so many bits and is not negative.
func (r *Reader) Unsigned(bits int) (u uint64, ok bool) {
	start := r.i
	u, negative, ok := r.Integer()
	if !ok || negative || bits < 64 && u>>bits != 0 {
		r.i = start
		return 0, false
	}
	return u, true
}

// Float32 passes a number of 32 bits, with the very bits that it has.
func (r *Reader) Float32() (f float32, ok bool) {
	if r.Code() != Float32 {
		return 0, false
	}
	u, ok := r.uint(4)
	if ok {
		r.i += 5
	}
	return math.Float32frombits(uint32(u)), ok
}

// Float passes a number; integers are accepted.
func (r *Reader) Float() (f float64, ok bool) {
	switch r.Code() {
	case Float32:
		f, ok := r.Float32()
		return float64(f), ok
	case Float64:
		u, ok := r.uint(8)
		if ok {
			r.i += 9
		}
		return math.Float64frombits(u), ok
	}
	u, negative, ok := r.Integer()
	if negative {
		return float64(int64(u)), ok
	}
	return float64(u), ok
}

// Skip passes n values, whatever they are and however deep they nest, without
// recursion.
func (r *Reader) Skip(n int) bool {
	start := r.i
	for ; n > 0; n-- {
		more, ok := r.skipOne()
		if n += more; !ok || n-1 > r.Left() {
			r.i = start
			return false
		}
	}
	return true
}

// Value passes one value and returns its bytes.
func (r *Reader) Value() (raw []byte, ok bool) {
	start := r.i
	if !r.Skip(1) {
		return nil, false
	}
	return r.b[start:r.i:r.i], true
}

// Shallow passes one value that nests no deeper than depth containers and
// returns its bytes.
func (r *Reader) Shallow(depth int) (raw []byte, ok bool) {
	start := r.i
	open := make([]int, 1, 16) // values that are still to come, of each open container
	open[0] = 1
	for len(open) > 0 {
		last := len(open) - 1
		if open[last] == 0 {
			open = open[:last]
			continue
		}
		open[last]--
		more, ok := r.skipOne()
		if !ok || more > 0 && len(open) > depth {
			r.i = start
			return nil, false
		}
		if more > 0 {
			open = append(open, more)
		}
	}
	return r.b[start:r.i:r.i], true
}

// skipOne passes one value, or the header of a container and returns how many
// values follow.
func (r *Reader) skipOne() (more int, ok bool) {
	switch KindOf(r.Code()) {
	case KindInteger:
		_, _, ok = r.Integer()
	case KindMap:
		more, ok = r.Map()
		more *= 2
	case KindArray:
		more, ok = r.Array()
	case KindStr:
		_, ok = r.Str()
	case KindNil:
		ok = r.Nil()
	case KindBool:
		_, ok = r.Bool()
	case KindBin:
		_, ok = r.Bin()
	case KindFloat:
		_, ok = r.Float()
	case KindExt:
		_, _, ok = r.Ext()
	}
	return more, ok
}
