package protocol

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// Codes of MessagePack. Those of the fixed families are their lowest.
const (
	mpFixMap   = 0x80
	mpFixArray = 0x90
	mpFixStr   = 0xa0
	mpNil      = 0xc0
	mpFalse    = 0xc2
	mpTrue     = 0xc3
	mpBin8     = 0xc4
	mpBin16    = 0xc5
	mpBin32    = 0xc6
	mpExt8     = 0xc7
	mpExt16    = 0xc8
	mpExt32    = 0xc9
	mpFloat32  = 0xca
	mpFloat64  = 0xcb
	mpUint8    = 0xcc
	mpUint16   = 0xcd
	mpUint32   = 0xce
	mpUint64   = 0xcf
	mpInt8     = 0xd0
	mpInt16    = 0xd1
	mpInt32    = 0xd2
	mpInt64    = 0xd3
	mpFixExt1  = 0xd4
	mpFixExt16 = 0xd8
	mpStr8     = 0xd9
	mpStr16    = 0xda
	mpStr32    = 0xdb
	mpArray16  = 0xdc
	mpArray32  = 0xdd
	mpMap16    = 0xde
	mpMap32    = 0xdf
	mpNegative = 0xe0
)

// A mpReader reads the primitives of MessagePack. Its methods report false,
// and then stand where they stood, if something else comes, or if it is longer
// than the bytes that are left.
type mpReader struct {
	b []byte
	i int
}

// code returns the next byte without passing it; 0xC1, which is no code, at
// the end.
func (r *mpReader) code() byte {
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return 0xc1
}

func (r *mpReader) left() int { return len(r.b) - r.i }

// uint reads a big-endian number of size bytes at distance 1 from i. It passes
// nothing.
func (r *mpReader) uint(size int) (uint64, bool) {
	if r.left() <= size {
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
func (r *mpReader) length(fix, mask, wide byte, size int) (n int, ok bool) {
	c := r.code()
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

// array passes the header of an array and returns its length, which is no
// larger than the number of bytes left.
func (r *mpReader) array() (n int, ok bool) {
	start := r.i
	n, ok = r.length(mpFixArray, 0x0f, mpArray16, 2)
	if !ok || n > r.left() {
		r.i = start
		return 0, false
	}
	return n, true
}

// dict passes the header of a map; each of its n entries is two values, which
// the bytes left allow.
func (r *mpReader) dict() (n int, ok bool) {
	start := r.i
	n, ok = r.length(mpFixMap, 0x0f, mpMap16, 2)
	if !ok || n > r.left()/2 {
		r.i = start
		return 0, false
	}
	return n, true
}

// str passes a string and returns its bytes.
func (r *mpReader) str() (s []byte, ok bool) {
	start := r.i
	n, ok := r.length(mpFixStr, 0x1f, mpStr8, 1)
	return r.take(start, n, ok)
}

// bin passes a byte string and returns its bytes.
func (r *mpReader) bin() (b []byte, ok bool) {
	start := r.i
	n, ok := r.length(0, 0, mpBin8, 1)
	return r.take(start, n, ok)
}

// take passes n bytes, or goes back to start.
func (r *mpReader) take(start, n int, ok bool) ([]byte, bool) {
	if !ok || n > r.left() {
		r.i = start
		return nil, false
	}
	r.i += n
	return r.b[r.i-n : r.i : r.i], true
}

// ext passes an extension and returns its type and bytes.
func (r *mpReader) ext() (kind int8, data []byte, ok bool) {
	start, c := r.i, r.code()
	var n int
	if c >= mpFixExt1 && c <= mpFixExt16 {
		n, ok = 1<<(c-mpFixExt1), true
		r.i++
	} else {
		n, ok = r.length(0, 0, mpExt8, 1)
	}
	data, ok = r.take(start, n+1, ok)
	if !ok {
		return 0, nil, false
	}
	return int8(data[0]), data[1:], true
}

func (r *mpReader) null() bool {
	if r.code() != mpNil {
		return false
	}
	r.i++
	return true
}

func (r *mpReader) boolean() (v, ok bool) {
	c := r.code()
	if c != mpFalse && c != mpTrue {
		return false, false
	}
	r.i++
	return c == mpTrue, true
}

// integer passes an integer of any format. negative tells -1 from 2^64-1; u
// holds the bits.
func (r *mpReader) integer() (u uint64, negative, ok bool) {
	c := r.code()
	switch {
	case c < 0x80:
		r.i++
		return uint64(c), false, true
	case c >= mpNegative:
		r.i++
		return uint64(int8(c)), true, true
	case c < mpUint8 || c > mpInt64:
		return 0, false, false
	}
	size := 1 << ((c - mpUint8) & 3)
	if u, ok = r.uint(size); !ok {
		return 0, false, false
	}
	r.i += 1 + size
	if c >= mpInt8 {
		shift := 64 - 8*size
		u = uint64(int64(u<<shift) >> shift)
		negative = int64(u) < 0
	}
	return u, negative, true
}

// signed passes an integer that fits into so many bits.
func (r *mpReader) signed(bits int) (n int64, ok bool) {
	start := r.i
	u, negative, ok := r.integer()
	n = int64(u)
	if !ok || negative != (n < 0) || n<<(64-bits)>>(64-bits) != n {
		r.i = start
		return 0, false
	}
	return n, true
}

// unsigned passes an integer that fits into so many bits and is not negative.
func (r *mpReader) unsigned(bits int) (u uint64, ok bool) {
	start := r.i
	u, negative, ok := r.integer()
	if !ok || negative || bits < 64 && u>>bits != 0 {
		r.i = start
		return 0, false
	}
	return u, true
}

// float passes a number; integers are accepted.
func (r *mpReader) float() (f float64, ok bool) {
	switch r.code() {
	case mpFloat32:
		u, ok := r.uint(4)
		if ok {
			r.i += 5
		}
		return float64(math.Float32frombits(uint32(u))), ok
	case mpFloat64:
		u, ok := r.uint(8)
		if ok {
			r.i += 9
		}
		return math.Float64frombits(u), ok
	}
	u, negative, ok := r.integer()
	if negative {
		return float64(int64(u)), ok
	}
	return float64(u), ok
}

// skip passes n values, whatever they are and however deep they nest, without
// recursion.
func (r *mpReader) skip(n int) bool {
	start := r.i
	for ; n > 0; n-- {
		more, ok := r.skipOne()
		if n += more; !ok || n-1 > r.left() {
			r.i = start
			return false
		}
	}
	return true
}

// skipBounded passes one value that nests no deeper than depth containers. It
// stands somewhere inside the value where that is not so.
func (r *mpReader) skipBounded(depth int) bool {
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
		if !ok {
			return false
		}
		if more > 0 {
			if len(open) > depth {
				return false
			}
			open = append(open, more)
		}
	}
	return true
}

// skipOne passes one value, or the header of a container and returns how many
// values follow.
func (r *mpReader) skipOne() (more int, ok bool) {
	switch c := r.code(); {
	case c < mpFixMap || c >= mpNegative || c >= mpUint8 && c <= mpInt64:
		_, _, ok = r.integer()
	case c < mpFixArray || c == mpMap16 || c == mpMap32:
		more, ok = r.dict()
		more *= 2
	case c < mpFixStr || c == mpArray16 || c == mpArray32:
		more, ok = r.array()
	case c < mpNil || c >= mpStr8 && c <= mpStr32:
		_, ok = r.str()
	case c == mpNil:
		ok = r.null()
	case c == mpFalse || c == mpTrue:
		_, ok = r.boolean()
	case c >= mpBin8 && c <= mpBin32:
		_, ok = r.bin()
	case c == mpFloat32 || c == mpFloat64:
		_, ok = r.float()
	default:
		_, _, ok = r.ext()
	}
	return more, ok
}

// mpText makes a string of the bytes of one. As .NET does, it puts U+FFFD for
// what is not UTF-8, so that the text can go on to JSON clients.
func mpText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
