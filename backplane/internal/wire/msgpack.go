package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Writing, in the shortest forms, as ASP.NET Core does.

func appendArray(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n))
}

func appendMap(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x80|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xde), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdf), uint32(n))
}

func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	return append(b, s...)
}

func appendBytes(b, p []byte) []byte {
	switch n := len(p); {
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, p...)
}

func appendInt(b []byte, v int32) []byte {
	switch {
	case v >= 0 && v < 0x80:
		return append(b, byte(v))
	case v >= 0 && v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v >= 0 && v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v >= 0:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
}

// Errors of reading; the texts are those that ASP.NET Core logs.
var (
	errEnd      = errors.New("Attempted to read past the end of the stream.")
	errOverflow = errors.New("Arithmetic operation resulted in an overflow.")
)

func errCode(code byte) error { return fmt.Errorf("unexpected MessagePack code 0x%02x", code) }

// A reader reads MessagePack from b. The first error stays.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		r.fail(errEnd)
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) code() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0xc1
}

// number reads a big-endian number of n bytes.
func (r *reader) number(n int) uint64 {
	v := uint64(0)
	for _, x := range r.take(n) {
		v = v<<8 | uint64(x)
	}
	return v
}

// length checks what a header promises against what is left: each element
// takes at least each bytes.
func (r *reader) length(n uint64, each int) int {
	if r.err == nil && n > uint64(len(r.b)/each) {
		r.fail(errEnd)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) array() int {
	switch code := r.code(); {
	case code&0xf0 == 0x90:
		return r.length(uint64(code&0xf), 1)
	case code == 0xdc:
		return r.length(r.number(2), 1)
	case code == 0xdd:
		return r.length(r.number(4), 1)
	default:
		r.fail(errCode(code))
		return 0
	}
}

func (r *reader) mapping() int {
	switch code := r.code(); {
	case code&0xf0 == 0x80:
		return r.length(uint64(code&0xf), 2)
	case code == 0xde:
		return r.length(r.number(2), 2)
	case code == 0xdf:
		return r.length(r.number(4), 2)
	default:
		r.fail(errCode(code))
		return 0
	}
}

// text reads a string; nil is the empty one.
func (r *reader) text() string {
	switch code := r.code(); {
	case code == 0xc0:
		return ""
	case code&0xe0 == 0xa0:
		return string(r.take(int(code & 0x1f)))
	case code == 0xd9:
		return string(r.take(r.length(r.number(1), 1)))
	case code == 0xda:
		return string(r.take(r.length(r.number(2), 1)))
	case code == 0xdb:
		return string(r.take(r.length(r.number(4), 1)))
	default:
		r.fail(errCode(code))
		return ""
	}
}

// bytes reads a bin or, like ASP.NET Core, any string but str 8. It aliases b.
func (r *reader) bytes() []byte {
	switch code := r.code(); {
	case code == 0xc0:
		return nil
	case code == 0xc4:
		return r.take(r.length(r.number(1), 1))
	case code == 0xc5, code == 0xda:
		return r.take(r.length(r.number(2), 1))
	case code == 0xc6, code == 0xdb:
		return r.take(r.length(r.number(4), 1))
	case code&0xe0 == 0xa0:
		return r.take(int(code & 0x1f))
	default:
		r.fail(errCode(code))
		return nil
	}
}

// integer reads an integer of any width within the bounds.
func (r *reader) integer(least, most int64) int64 {
	var v int64
	switch code := r.code(); {
	case code < 0x80:
		v = int64(code)
	case code >= 0xe0:
		v = int64(int8(code))
	case code >= 0xcc && code <= 0xcf:
		u := r.number(1 << (code - 0xcc))
		if u > math.MaxInt64 {
			r.fail(errOverflow)
		}
		v = int64(u)
	case code == 0xd0:
		v = int64(int8(r.number(1)))
	case code == 0xd1:
		v = int64(int16(r.number(2)))
	case code == 0xd2:
		v = int64(int32(r.number(4)))
	case code == 0xd3:
		v = int64(r.number(8))
	default:
		r.fail(errCode(code))
	}
	if r.err == nil && (v < least || v > most) {
		r.fail(errOverflow)
	}
	return v
}
