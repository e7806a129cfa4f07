package protocol

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// into decodes the next value into v, which can be set and whose plan is p.
// depth containers are open.
func (r *mpReader) into(v reflect.Value, p *plan, depth int) error {
	if depth > maxMessagePackDepth {
		return errTooDeep
	}
	switch p.kind {
	case reflect.Pointer:
		if r.Nil() {
			v.SetZero()
			return nil
		}
		if v.IsNil() {
			v.Set(reflect.New(p.elem.typ))
		}
		return r.follow(v.Elem(), p.elem, depth)
	case reflect.Interface:
		return r.intoInterface(v, depth)
	}
	switch p.pack.decode {
	case byRaw:
		raw, _ := r.Value()
		v.SetBytes(bytes.Clone(raw))
		return nil
	case byCustom: // decides about nil itself
		return r.custom(v, depth)
	case byJSON:
		return r.viaJSON(v, depth)
	}
	if r.Nil() {
		return p.setNull(v)
	}
	switch p.pack.decode {
	case byOwn:
		behind, err := v.Addr().Interface().(packReader).readMessagePack(*r)
		*r = behind
		return err
	case byEnum:
		return r.enum(v, p.enum())
	case byTime:
		t, err := r.timestamp()
		if err == nil {
			*v.Addr().Interface().(*time.Time) = t
		}
		return err
	case byText:
		s, ok := r.Str()
		if !ok {
			return errKind
		}
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(mpBytes(s))
	case byNumber:
		return r.number(v)
	}
	return r.byKind(v, p, depth)
}

// follow decodes into v, which a pointer refers to.
func (r *mpReader) follow(v reflect.Value, p *plan, depth int) error {
	if r.hops++; r.hops > maxHops {
		return errTooDeep
	}
	err := r.into(v, p, depth)
	r.hops--
	return err
}

// byKind decodes into a v that does not decode itself. The value is not nil.
func (r *mpReader) byKind(v reflect.Value, p *plan, depth int) error {
	ok := true
	switch p.kind {
	case reflect.Bool:
		var b bool
		if b, ok = r.Bool(); ok {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if n, ok = r.Signed(p.typ.Bits()); ok {
			v.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var u uint64
		if u, ok = r.Unsigned(p.typ.Bits()); ok {
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
		return r.slice(v, p, depth)
	case reflect.Array:
		return r.fixedArray(v, p, depth)
	case reflect.Map:
		return r.intoMap(v, p, depth)
	case reflect.Struct:
		return r.structure(v, p.pack.members, depth)
	default:
		return unsupported(p.typ, "decoded")
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

func (r *mpReader) slice(v reflect.Value, p *plan, depth int) error {
	if p.pack.bytes {
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
	unread := r.Left()
	v.Set(p.empty) // what was in v may be in use
	for i := range n {
		if i == v.Cap() {
			v.Grow(growList(p.elem, i, n-i, unread-r.Left(), r.Left()))
		}
		v.SetLen(i + 1)
		x := v.Index(i)
		x.SetZero()
		if err := r.into(x, p.elem, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) fixedArray(v reflect.Value, p *plan, depth int) error {
	if p.pack.bytes {
		b, err := r.byteString()
		if err != nil {
			return err
		}
		if len(b) != v.Len() {
			return fmt.Errorf("%d bytes for an array of %d", len(b), v.Len())
		}
		copy(v.Bytes(), b)
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
		if err := r.into(v.Index(i), p.elem, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) intoMap(v reflect.Value, p *plan, depth int) error {
	n, ok := r.Map()
	if !ok {
		return errKind
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(p.typ))
	}
	key, value := reflect.New(p.key.typ).Elem(), reflect.New(p.elem.typ).Elem()
	for range n {
		key.SetZero()
		value.SetZero()
		if err := r.key(key, p.key, depth+1); err != nil {
			return err
		}
		if !key.Comparable() {
			return errKind
		}
		if err := r.into(value, p.elem, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

// key decodes the key of a map. As in JSON, UnmarshalJSON does not count there.
func (r *mpReader) key(v reflect.Value, p *plan, depth int) error {
	if p.pack.decode != byJSON {
		return r.into(v, p, depth)
	}
	if r.Nil() {
		return errNull
	}
	return r.byKind(v, p, depth)
}

func (r *mpReader) structure(v reflect.Value, ms *members, depth int) error {
	if ms.asArray {
		return r.positional(v, ms, depth)
	}
	n, ok := r.Map()
	if !ok {
		return errKind
	}
	var m *member
	at := 0
	for range n {
		name, ok := r.Str()
		if !ok {
			return errKind
		}
		if m, at = ms.find(name, at); m == nil {
			r.Skip(1) // Unmarshal has looked at the whole value
			continue
		}
		at++
		if err := r.member(v, m, depth); err != nil {
			return err
		}
	}
	return nil
}

// positional decodes an array into the members in their order. Members without
// an element stay as they are, elements without a member are skipped.
func (r *mpReader) positional(v reflect.Value, ms *members, depth int) error {
	n, ok := r.Array()
	if !ok {
		return errKind
	}
	for i := range n {
		if i >= len(ms.list) {
			r.Skip(1)
		} else if err := r.member(v, &ms.list[i], depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *mpReader) member(v reflect.Value, m *member, depth int) error {
	x, err := m.reach(v)
	if err != nil {
		return err
	}
	if err := r.into(x, m.plan, depth+1); err != nil {
		return m.failed(err)
	}
	return nil
}

// custom decodes into a v that decodes itself with vmihailenco/msgpack. That
// package reads what nests by recursion without a bound, and a stack that
// overflows cannot be recovered from: too deep values never get there.
func (r *mpReader) custom(v reflect.Value, depth int) error {
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
