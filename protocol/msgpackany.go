package protocol

import (
	"bytes"
	"math"
	"reflect"
)

// any decodes the next value without knowing what it is. As in .NET, integers
// get the type of their format: positive ones of a byte are a uint8, negative
// ones an int8, and so on up to uint64 and int64. Floats are float32 or
// float64, byte strings []byte, arrays []any, timestamps time.Time in UTC.
// Maps are map[string]any, or map[any]any if a key is no string.
func (r *mpReader) any(depth int) (any, error) {
	if depth > maxMessagePackDepth {
		return nil, errTooDeep
	}
	switch c := r.code(); {
	case c < mpFixMap || c >= mpNegative || c >= mpUint8 && c <= mpInt64:
		return r.anyInteger(), nil
	case c < mpFixArray || c == mpMap16 || c == mpMap32:
		return r.anyMap(depth)
	case c < mpFixStr || c == mpArray16 || c == mpArray32:
		return r.anyArray(depth)
	case c < mpNil || c >= mpStr8 && c <= mpStr32:
		s, _ := r.str()
		return mpText(s), nil
	case c == mpNil:
		r.i++
		return nil, nil
	case c == mpFalse || c == mpTrue:
		r.i++
		return c == mpTrue, nil
	case c >= mpBin8 && c <= mpBin32:
		b, _ := r.bin()
		return bytes.Clone(b), nil
	case c == mpFloat32:
		u, _ := r.uint(4)
		r.i += 5
		return math.Float32frombits(uint32(u)), nil
	case c == mpFloat64:
		f, _ := r.float()
		return f, nil
	}
	t, err := r.timestamp()
	return t, err
}

func (r *mpReader) anyInteger() any {
	c := r.code()
	u, _, _ := r.integer()
	switch {
	case c < mpFixMap || c == mpUint8:
		return uint8(u)
	case c >= mpNegative || c == mpInt8:
		return int8(u)
	case c == mpUint16:
		return uint16(u)
	case c == mpUint32:
		return uint32(u)
	case c == mpInt16:
		return int16(u)
	case c == mpInt32:
		return int32(u)
	case c == mpInt64:
		return int64(u)
	}
	return u
}

func (r *mpReader) anyArray(depth int) (any, error) {
	n, ok := r.array()
	if !ok {
		return nil, errKind
	}
	list := make([]any, 0, min(n, 1024))
	for range n {
		x, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func (r *mpReader) anyMap(depth int) (any, error) {
	n, ok := r.dict()
	if !ok {
		return nil, errKind
	}
	names := make(map[string]any)
	var mixed map[any]any
	for range n {
		key, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		value, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		name, isName := key.(string)
		switch {
		case isName && mixed == nil:
			names[name] = value
			continue
		case !reflect.ValueOf(key).IsValid() || !reflect.ValueOf(key).Comparable():
			return nil, errKind
		case mixed == nil:
			mixed = make(map[any]any, len(names)+1)
			for k, v := range names {
				mixed[k] = v
			}
		}
		mixed[key] = value
	}
	if mixed != nil {
		return mixed, nil
	}
	return names, nil
}
