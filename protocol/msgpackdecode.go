package protocol

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
)

// value decodes the next value into v, which can be set. depth containers are
// open.
func (r *mpReader) value(v reflect.Value, depth int) error {
	if depth > maxMessagePackDepth {
		return errTooDeep
	}
	switch v.Kind() {
	case reflect.Pointer:
		if r.Nil() {
			v.SetZero()
			return nil
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return r.value(v.Elem(), depth+1)
	case reflect.Interface:
		return r.intoInterface(v, depth)
	}
	m := mpTypeOf(v.Type())
	switch m.decode {
	case mpByRaw:
		raw, _ := r.Value()
		v.SetBytes(bytes.Clone(raw))
		return nil
	case mpByVendor:
		return r.vendor(v, depth)
	case mpByJSON:
		return r.viaJSON(v, depth)
	}
	if r.Nil() {
		return setNull(v)
	}
	switch m.decode {
	case mpByHelper:
		return v.Addr().Interface().(mpHelperReader).readMessagePack(r)
	case mpByEnum:
		return r.enum(v, m.enum)
	case mpByTime:
		return r.time(v)
	case mpByText:
		s, ok := r.Str()
		if !ok {
			return errKind
		}
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(mpText(s)))
	case mpByNumber:
		return r.number(v)
	}
	return r.kind(v, m, depth)
}

// setNull makes v nil. A string becomes empty, as a null string would be in
// .NET.
func setNull(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		v.SetZero()
		return nil
	}
	return errNull
}

// kind decodes into a v that has no encoding of its own and cannot be nil
// here.
func (r *mpReader) kind(v reflect.Value, m *mpType, depth int) error {
	ok := true
	switch v.Kind() {
	case reflect.Bool:
		var b bool
		if b, ok = r.Bool(); ok {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if n, ok = r.Signed(v.Type().Bits()); ok {
			v.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var u uint64
		if u, ok = r.Unsigned(v.Type().Bits()); ok {
			v.SetUint(u)
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, ok = r.Float(); ok {
			v.SetFloat(f)
		}
	case reflect.String:
		var s []byte
		if s, ok = r.Str(); ok {
			v.SetString(mpText(s))
		}
	case reflect.Slice:
		return r.slice(v, depth)
	case reflect.Array:
		return r.fixedArray(v, depth)
	case reflect.Map:
		return r.intoMap(v, depth)
	case reflect.Struct:
		return r.structure(v, m.fields(), depth)
	default:
		return unsupported(v.Type(), "decoded")
	}
	if !ok {
		return errKind
	}
	return nil
}

// byteString reads bytes; as MessagePack-CSharp does, also from a string or an
// array of integers.
func (r *mpReader) byteString() ([]byte, error) {
	if b, ok := r.Bin(); ok {
		return bytes.Clone(b), nil
	}
	if s, ok := r.Str(); ok {
		return bytes.Clone(s), nil
	}
	n, ok := r.Array()
	if !ok {
		return nil, errKind
	}
	b := make([]byte, n)
	for i := range b {
		u, ok := r.Unsigned(8)
		if !ok {
			return nil, errKind
		}
		b[i] = byte(u)
	}
	return b, nil
}

func (r *mpReader) slice(v reflect.Value, depth int) error {
	if isByte(v.Type().Elem()) {
		b, err := r.byteString()
		if err != nil {
			return err
		}
		v.SetBytes(b)
		return nil
	}
	n, ok := r.Array()
	if !ok {
		return errKind
	}
	// The elements may be far larger than their bytes: grow only as they come.
	v.Set(reflect.MakeSlice(v.Type(), 0, min(n, 16)))
	for i := range n {
		if i == v.Cap() {
			v.Grow(min(n-i, i))
		}
		v.SetLen(i + 1)
		v.Index(i).SetZero()
		if err := r.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) fixedArray(v reflect.Value, depth int) error {
	if isByte(v.Type().Elem()) {
		b, err := r.byteString()
		if err != nil {
			return err
		}
		if len(b) != v.Len() {
			return fmt.Errorf("%d bytes for an array of %d", len(b), v.Len())
		}
		reflect.Copy(v, reflect.ValueOf(b))
		return nil
	}
	n, ok := r.Array()
	if !ok {
		return errKind
	}
	if n != v.Len() {
		return fmt.Errorf("%d elements for an array of %d", n, v.Len())
	}
	for i := range n {
		if err := r.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) intoMap(v reflect.Value, depth int) error {
	n, ok := r.Map()
	if !ok {
		return errKind
	}
	t := v.Type()
	if v.IsNil() {
		v.Set(reflect.MakeMap(t))
	}
	for range n {
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := r.key(key, depth+1); err != nil {
			return err
		}
		if !key.Comparable() {
			return errKind
		}
		if err := r.value(value, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

// key decodes the key of a map. As in JSON, UnmarshalJSON does not count there.
func (r *mpReader) key(v reflect.Value, depth int) error {
	m := mpTypeOf(v.Type())
	if m.decode != mpByJSON {
		return r.value(v, depth)
	}
	if r.Nil() {
		return errNull
	}
	return r.kind(v, m, depth)
}

func (r *mpReader) structure(v reflect.Value, fs *mpFields, depth int) error {
	if fs.asArray {
		return r.positional(v, fs, depth)
	}
	n, ok := r.Map()
	if !ok {
		return errKind
	}
	for range n {
		name, ok := r.Str()
		if !ok {
			return errKind
		}
		i, known := fs.byName[string(name)]
		if !known {
			r.Skip(1) // Unmarshal has looked at the whole value
			continue
		}
		if err := r.member(v, &fs.list[i], depth); err != nil {
			return err
		}
	}
	return nil
}

// positional decodes an array into the members in their order. Members without
// an element stay as they are, elements without a member are skipped.
func (r *mpReader) positional(v reflect.Value, fs *mpFields, depth int) error {
	n, ok := r.Array()
	if !ok {
		return errKind
	}
	for i := range n {
		if i >= len(fs.list) {
			r.Skip(1)
		} else if err := r.member(v, &fs.list[i], depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) member(v reflect.Value, f *mpField, depth int) error {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer { // embedded
			if v.IsNil() {
				if !v.CanSet() {
					return &ValueError{Where: "member " + strconv.Quote(f.name), Err: errors.New("embedded pointer is not exported")}
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	if err := r.value(v, depth+1); err != nil {
		return &ValueError{Where: "member " + strconv.Quote(f.name), Err: err}
	}
	return nil
}

// vendor decodes into a v that decodes itself with vmihailenco/msgpack. That
// package reads what nests by recursion without a bound, and a stack that
// overflows cannot be recovered from: too deep values never get there.
func (r *mpReader) vendor(v reflect.Value, depth int) error {
	raw, ok := r.Shallow(maxMessagePackDepth - depth)
	if !ok {
		return errTooDeep
	}
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(raw))
	return dec.Decode(v.Addr().Interface())
}

// viaJSON decodes into a v that decodes itself from JSON and nothing else.
func (r *mpReader) viaJSON(v reflect.Value, depth int) error {
	x, err := r.any(depth)
	if err != nil {
		return err
	}
	text, err := JSON{}.appendValue(nil, x, maxJSONDepth)
	if err != nil {
		return err
	}
	return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text)
}

// number decodes a number into a json.Number.
func (r *mpReader) number(v reflect.Value) error {
	x, err := r.any(0)
	if err != nil {
		return err
	}
	switch reflect.ValueOf(x).Kind() {
	case reflect.String, reflect.Bool, reflect.Slice, reflect.Map, reflect.Struct:
		return errKind
	}
	text, err := JSON{}.appendValue(nil, x, 0)
	if err == nil {
		v.SetString(string(text))
	}
	return err
}

// intoInterface decodes into an interface, which must be able to hold any
// value.
func (r *mpReader) intoInterface(v reflect.Value, depth int) error {
	if v.NumMethod() > 0 {
		return unsupported(v.Type(), "decoded")
	}
	x, err := r.any(depth)
	if err != nil {
		return err
	}
	if x == nil {
		v.SetZero()
	} else {
		v.Set(reflect.ValueOf(x))
	}
	return nil
}
