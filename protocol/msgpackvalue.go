package protocol

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/hubwire/hubwire/internal/msgp"
)

// AppendValue appends v as MessagePack, in the form in which ASP.NET Core
// writes it: integers as short as possible, structs as maps with the names of
// their fields, time.Time and DateTime as a timestamp, a type with MarshalText
// as a string, nil slices, maps and pointers as nil. Inside an any, integers
// keep the width of their type. Maps are written in the order of their keys.
//
// The struct tag is "msgpack", as in vmihailenco/msgpack: a name, omitempty,
// inline, noinline, alias:name, or "-"; and as_array on a field called
// _msgpack. Types that encode themselves with that package do so. What JSON
// hides is hidden here, too: a field with the tag json:"-" and none for
// MessagePack is left out, a type that has MarshalJSON and nothing else is
// written as the value that its JSON holds, a json.Number as the number. The
// other options of the json tag, and its names, are for JSON alone. At most 500
// values may be nested.
func (MessagePack) AppendValue(dst []byte, v any) ([]byte, error) {
	out, err := appendMPValue(dst, v)
	if err != nil {
		return dst, &ValueError{Where: fmt.Sprintf("encode %T as MessagePack", v), Err: err}
	}
	return out, nil
}

func appendMPValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, msgp.Nil), nil
	case string:
		return appendMPString(dst, v), nil
	case *string:
		if v == nil {
			return append(dst, msgp.Nil), nil
		}
		return appendMPString(dst, *v), nil
	case bool:
		return msgp.AppendBool(dst, v), nil
	case int:
		return msgp.AppendInt(dst, int64(v)), nil
	case int8:
		return msgp.AppendInt(dst, int64(v)), nil
	case int16:
		return msgp.AppendInt(dst, int64(v)), nil
	case int32:
		return msgp.AppendInt(dst, int64(v)), nil
	case int64:
		return msgp.AppendInt(dst, v), nil
	case uint:
		return msgp.AppendUint(dst, uint64(v)), nil
	case uint8:
		return msgp.AppendUint(dst, uint64(v)), nil
	case uint16:
		return msgp.AppendUint(dst, uint64(v)), nil
	case uint32:
		return msgp.AppendUint(dst, uint64(v)), nil
	case uint64:
		return msgp.AppendUint(dst, v), nil
	case float32:
		return msgp.AppendFloat32(dst, v), nil
	case float64:
		return msgp.AppendFloat64(dst, v), nil
	case []byte:
		return appendMPBytes(dst, v), nil
	}
	var e mpEncoder
	return e.any(dst, v)
}

// Unmarshal decodes raw into what v points to. It refuses what ASP.NET Core
// refuses: integers out of range, floats for integers (but not the other way
// round), byte strings for strings, nil for values that cannot be nil, deep
// nesting. nil is an empty string, as strings of .NET may be null. A []byte
// also takes a string or an array of integers. In an any, integers have the
// type of their format: 1 is a uint8, -1 an int8. Names of members match with
// their case; members without a field are skipped. A *Raw gets a copy. In an
// any, strings of at most 32 bytes share memory: one that is kept keeps at most
// 256 bytes.
//
// Types that decode themselves with vmihailenco/msgpack do so, and decide
// about nil; so do types with UnmarshalJSON and nothing else, which get the
// value as JSON.
func (MessagePack) Unmarshal(raw Raw, v any) error {
	if err := unmarshalMP(raw, v); err != nil {
		return &ValueError{Where: fmt.Sprintf("decode MessagePack into %T", v), Err: err}
	}
	return nil
}

// errTarget is for an Unmarshal into something that cannot be changed.
var errTarget = errors.New("target is not a pointer, or nil")

func unmarshalMP(raw Raw, v any) error {
	r := newMPReader(raw)
	if !r.Skip(1) || r.Left() > 0 {
		return errNoMessagePack
	}
	r = newMPReader(raw)
	null := r.Code() == msgp.Nil
	ok := true
	switch p := v.(type) {
	case *string:
		if null {
			*p = ""
			return nil
		}
		var s []byte
		if s, ok = r.Str(); ok {
			*p = mpText(s)
		}
	case **string: // like .NET's string, which may be null
		if null {
			*p = nil
			return nil
		}
		var s []byte
		if s, ok = r.Str(); ok {
			text := mpText(s)
			*p = &text
		}
	case *bool:
		var b bool
		if b, ok = r.Bool(); ok {
			*p = b
		}
	case *int:
		ok = readInt(&r, strconv.IntSize, p)
	case *int8:
		ok = readInt(&r, 8, p)
	case *int16:
		ok = readInt(&r, 16, p)
	case *int32:
		ok = readInt(&r, 32, p)
	case *int64:
		ok = readInt(&r, 64, p)
	case *uint:
		ok = readUint(&r, strconv.IntSize, p)
	case *uint8:
		ok = readUint(&r, 8, p)
	case *uint16:
		ok = readUint(&r, 16, p)
	case *uint32:
		ok = readUint(&r, 32, p)
	case *uint64:
		ok = readUint(&r, 64, p)
	case *float32:
		ok = readFloat(&r, p)
	case *float64:
		ok = readFloat(&r, p)
	default:
		return unmarshalMPAny(raw, v)
	}
	if !ok {
		if null {
			return errNull
		}
		return errKind
	}
	return nil
}

// unmarshalMPAny decodes into what v points to, whatever that is. It has a
// reader of its own, which must live on the heap.
func unmarshalMPAny(raw Raw, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return errTarget
	}
	r := newMPReader(raw)
	return r.into(target.Elem(), planOf(target.Type().Elem()), 0)
}

// readInt decodes an integer that fits into so many bits.
func readInt[T int | int8 | int16 | int32 | int64](r *mpReader, bits int, p *T) bool {
	n, ok := r.Signed(bits)
	if ok {
		*p = T(n)
	}
	return ok
}

func readUint[T uint | uint8 | uint16 | uint32 | uint64](r *mpReader, bits int, p *T) bool {
	u, ok := r.Unsigned(bits)
	if ok {
		*p = T(u)
	}
	return ok
}

func readFloat[T float32 | float64](r *mpReader, p *T) bool {
	f, ok := r.Float()
	if ok {
		*p = T(f)
	}
	return ok
}
