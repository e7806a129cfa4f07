package msgp

import (
	"encoding/binary"
	"math"
)

// appendLength appends the header of a family: fix is its lowest fixed code,
// up to limit, and wide its code with 16 bits, before that with 32.
func appendLength(dst []byte, n int, fix byte, limit int, wide byte) []byte {
	switch {
	case n <= limit:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, wide+1), uint32(n))
}

// AppendArray appends the header of an array of n elements, which must follow.
func AppendArray(dst []byte, n int) []byte { return appendLength(dst, n, FixArray, 15, Array16) }

// AppendMap appends the header of a map of n entries, which must follow.
func AppendMap(dst []byte, n int) []byte { return appendLength(dst, n, FixMap, 15, Map16) }

// AppendString appends s as it is, UTF-8 or not.
func AppendString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, FixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, Str8, byte(n))
	default:
		dst = appendLength(dst, n, 0, -1, Str16)
	}
	return append(dst, s...)
}

// AppendBytes appends a byte string; nil is an empty one.
func AppendBytes(dst, b []byte) []byte {
	if len(b) <= math.MaxUint8 {
		dst = append(dst, Bin8, byte(len(b)))
	} else {
		dst = appendLength(dst, len(b), 0, -1, Bin16)
	}
	return append(dst, b...)
}

// AppendBool appends v.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, True)
	}
	return append(dst, False)
}

// AppendInt appends n in its shortest form; numbers that are not negative take
// the unsigned formats.
func AppendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return AppendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, Int8, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, Int16), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, Int32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, Int64), uint64(n))
}

// AppendUint appends u in its shortest form.
func AppendUint(dst []byte, u uint64) []byte {
	switch {
	case u < FixMap:
		return append(dst, byte(u))
	case u <= math.MaxUint8:
		return append(dst, Uint8, byte(u))
	case u <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, Uint16), uint16(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, Uint32), uint32(u))
	}
	return binary.BigEndian.AppendUint64(append(dst, Uint64), u)
}

// AppendWideInt appends n in the signed format of size bytes: 1, 2, 4 or 8.
func AppendWideInt(dst []byte, n int64, size int) []byte {
	switch size {
	case 1:
		return append(dst, Int8, byte(n))
	case 2:
		return binary.BigEndian.AppendUint16(append(dst, Int16), uint16(n))
	case 4:
		return binary.BigEndian.AppendUint32(append(dst, Int32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, Int64), uint64(n))
}

// AppendWideUint is AppendWideInt for the unsigned formats.
func AppendWideUint(dst []byte, u uint64, size int) []byte {
	switch size {
	case 1:
		return append(dst, Uint8, byte(u))
	case 2:
		return binary.BigEndian.AppendUint16(append(dst, Uint16), uint16(u))
	case 4:
		return binary.BigEndian.AppendUint32(append(dst, Uint32), uint32(u))
	}
	return binary.BigEndian.AppendUint64(append(dst, Uint64), u)
}

// AppendFloat32 appends f.
func AppendFloat32(dst []byte, f float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, Float32), math.Float32bits(f))
}

// AppendFloat64 appends f.
func AppendFloat64(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, Float64), math.Float64bits(f))
}
