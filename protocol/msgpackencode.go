package protocol

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/internal/msgp"
	"github.com/vmihailenco/msgpack/v5"
)

var errTooDeep = errors.New("value nests too deeply, or contains itself")

// A mpEncoder appends Go values as MessagePack.
type mpEncoder struct {
	dst []byte
	// wide says that an interface was passed on the way to the value. There,
	// ASP.NET Core writes integers in the full width of their type.
	wide  bool
	depth int
}

// value appends v.
func (e *mpEncoder) value(v reflect.Value) error {
	if !v.IsValid() {
		e.dst = append(e.dst, msgp.Nil)
		return nil
	}
	m := mpTypeOf(v.Type())
	switch m.encode {
	case mpByHelper:
		return e.appended(v.Interface().(mpHelper).appendMessagePack(e.dst))
	case mpByEnum:
		e.dst = appendMPString(e.dst, m.enum.name(enumValue(v)))
		return nil
	case mpByTime:
		return e.appended(appendTimestamp(e.dst, v.Interface().(time.Time)))
	case mpByRaw:
		return e.raw(v.Bytes())
	case mpByVendor:
		return e.vendor(methods(v, m.encodePointer))
	case mpByText:
		return e.text(methods(v, m.encodePointer))
	case mpByNumber:
		return e.number(v.String())
	case mpByJSON:
		return e.viaJSON(methods(v, m.encodePointer))
	}
	return e.kind(v, m)
}

// key appends the key of a map. As in JSON, MarshalJSON does not count there.
func (e *mpEncoder) key(v reflect.Value) error {
	if m := mpTypeOf(v.Type()); m.encode == mpByJSON {
		return e.kind(v, m)
	}
	return e.value(v)
}

// methods returns v with all methods of its pointer, if those are needed.
func methods(v reflect.Value, pointer bool) reflect.Value {
	if !pointer {
		return v
	}
	if v.CanAddr() {
		return v.Addr()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}

// kind appends a v that has no encoding of its own.
func (e *mpEncoder) kind(v reflect.Value, m *mpType) error {
	switch v.Kind() {
	case reflect.Bool:
		e.dst = msgp.AppendBool(e.dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if e.wide {
			n := v.Int()
			e.dst = msgp.AppendWideInt(e.dst, n, mpWidth(v, n == int64(int32(n))))
		} else {
			e.dst = msgp.AppendInt(e.dst, v.Int())
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if e.wide {
			u := v.Uint()
			e.dst = msgp.AppendWideUint(e.dst, u, mpWidth(v, u <= math.MaxUint32))
		} else {
			e.dst = msgp.AppendUint(e.dst, v.Uint())
		}
	case reflect.Float32:
		e.dst = msgp.AppendFloat32(e.dst, float32(v.Float()))
	case reflect.Float64:
		e.dst = msgp.AppendFloat64(e.dst, v.Float())
	case reflect.String:
		e.dst = appendMPString(e.dst, v.String())
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return e.nested(v, m)
	default:
		return unsupported(v.Type(), "encoded")
	}
	return nil
}

// nested appends a v that others may be inside of.
func (e *mpEncoder) nested(v reflect.Value, m *mpType) error {
	if e.depth++; e.depth > maxMessagePackDepth {
		return errTooDeep
	}
	wide := e.wide
	err := e.container(v, m)
	e.depth--
	e.wide = wide
	return err
}

func (e *mpEncoder) container(v reflect.Value, m *mpType) error {
	switch v.Kind() {
	case reflect.Struct:
		return e.structure(v, m.fields())
	case reflect.Array:
		if isByte(v.Type().Elem()) {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			e.dst = appendMPBytes(e.dst, b)
			return nil
		}
		return e.array(v)
	}
	switch {
	case v.IsNil():
		e.dst = append(e.dst, msgp.Nil)
		return nil
	case v.Kind() == reflect.Pointer:
		return e.value(v.Elem())
	case v.Kind() == reflect.Interface:
		e.wide = true
		return e.value(v.Elem())
	case v.Kind() == reflect.Map:
		return e.dict(v)
	case isByte(v.Type().Elem()):
		e.dst = appendMPBytes(e.dst, v.Bytes())
		return nil
	}
	return e.array(v)
}

func (e *mpEncoder) array(v reflect.Value) error {
	n := v.Len()
	e.dst = msgp.AppendArray(e.dst, n)
	for i := range n {
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// dict appends a map in the order of its keys, so that equal maps are equal
// bytes. Numbers and strings have their own order, other keys that of their
// bytes.
func (e *mpEncoder) dict(v reflect.Value) error {
	keys := v.MapKeys()
	e.dst = msgp.AppendMap(e.dst, len(keys))
	switch kind := v.Type().Key().Kind(); {
	case kind == reflect.String:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	case kind >= reflect.Int && kind <= reflect.Int64:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.Int(), b.Int()) })
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.Uint(), b.Uint()) })
	default:
		return e.dictByBytes(v, keys)
	}
	for _, key := range keys {
		if err := e.key(key); err != nil {
			return err
		}
		if err := e.value(v.MapIndex(key)); err != nil {
			return err
		}
	}
	return nil
}

func (e *mpEncoder) dictByBytes(v reflect.Value, keys []reflect.Value) error {
	encoded := make([][]byte, len(keys))
	order := make([]int, len(keys))
	for i, key := range keys {
		one := mpEncoder{wide: e.wide, depth: e.depth}
		if err := one.key(key); err != nil {
			return err
		}
		encoded[i], order[i] = one.dst, i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(encoded[a], encoded[b]) })
	for _, i := range order {
		e.dst = append(e.dst, encoded[i]...)
		if err := e.value(v.MapIndex(keys[i])); err != nil {
			return err
		}
	}
	return nil
}

func (e *mpEncoder) structure(v reflect.Value, fs *mpFields) error {
	n := len(fs.list)
	if fs.asArray {
		e.dst = msgp.AppendArray(e.dst, n)
	} else {
		if fs.mayOmit {
			for i := range fs.list {
				if fs.list[i].omit(v) {
					n--
				}
			}
		}
		e.dst = msgp.AppendMap(e.dst, n)
	}
	for i := range fs.list {
		f := &fs.list[i]
		if !fs.asArray {
			if f.omit(v) {
				continue
			}
			e.dst = appendMPString(e.dst, f.name)
		}
		member, err := v.FieldByIndexErr(f.index)
		if err != nil { // behind an embedded pointer that is nil
			e.dst = append(e.dst, msgp.Nil)
			continue
		}
		if err := e.value(member); err != nil {
			return &ValueError{Where: "member " + strconv.Quote(f.name), Err: err}
		}
	}
	return nil
}

func (f *mpField) omit(v reflect.Value) bool {
	if !f.omitEmpty {
		return false
	}
	member, err := v.FieldByIndexErr(f.index)
	if err != nil {
		return true
	}
	switch member.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return member.Len() == 0
	}
	return member.IsZero()
}

// appended takes over what a function that appends has returned.
func (e *mpEncoder) appended(dst []byte, err error) error {
	e.dst = dst
	return err
}

func (e *mpEncoder) raw(raw Raw) error {
	if raw == nil {
		e.dst = append(e.dst, msgp.Nil)
		return nil
	}
	r := newMPReader(raw)
	if !r.Skip(1) || r.Left() > 0 {
		return errNoMessagePack
	}
	e.dst = append(e.dst, raw...)
	return nil
}

// vendor appends a v that encodes itself with vmihailenco/msgpack.
func (e *mpEncoder) vendor(v reflect.Value) error {
	start := len(e.dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset((*mpWriter)(&e.dst))
	enc.UseCompactInts(true)
	if err := enc.Encode(v.Interface()); err != nil {
		return err
	}
	r := newMPReader(e.dst[start:])
	if !r.Skip(1) || r.Left() > 0 {
		return errNoMessagePack
	}
	return nil
}

// A mpWriter appends to the slice that it is.
type mpWriter []byte

func (w *mpWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

func (w *mpWriter) WriteByte(c byte) error {
	*w = append(*w, c)
	return nil
}

// text appends a v that encodes itself as text: a string, as .NET writes such
// types.
func (e *mpEncoder) text(v reflect.Value) error {
	if v.Kind() == reflect.Map && v.IsNil() || v.Kind() == reflect.Slice && v.IsNil() {
		e.dst = append(e.dst, msgp.Nil)
		return nil
	}
	t, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return err
	}
	e.dst = appendMPString(e.dst, string(t))
	return nil
}

// viaJSON appends a v that has no other encoding of its own than JSON: what it
// hides or rewrites there, it means to hide here. A number is written in the
// shortest form, since its width is not known.
func (e *mpEncoder) viaJSON(v reflect.Value) error {
	text, err := v.Interface().(json.Marshaler).MarshalJSON()
	if err != nil {
		return err
	}
	s := jsonScanner{b: text}
	if !s.value(0) {
		return errNoJSON
	}
	d := json.NewDecoder(bytes.NewReader(text[:s.i]))
	d.UseNumber()
	var x any
	if s.next(); s.i != len(text) || d.Decode(&x) != nil {
		return errNoJSON
	}
	return e.value(reflect.ValueOf(x))
}

// number appends a json.Number: an integer if it is one, else a float64.
func (e *mpEncoder) number(text string) error {
	b, err := appendJSONNumber(nil, text)
	if err != nil {
		return err
	}
	if n, ok := parseInt(b, 64); ok {
		e.dst = msgp.AppendInt(e.dst, n)
		return nil
	}
	if u, ok := parseUint(b, 64); ok {
		e.dst = msgp.AppendUint(e.dst, u)
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return errRange
	}
	e.dst = msgp.AppendFloat64(e.dst, f)
	return nil
}

// mpWidth is how many bytes an integer of v's kind has inside an any. An int,
// which .NET does not have, is one of 32 bits if they suffice.
func mpWidth(v reflect.Value, fits32 bool) int {
	switch k := v.Kind(); {
	case (k == reflect.Int || k == reflect.Uint) && fits32:
		return 4
	case k == reflect.Int || k == reflect.Uint || k == reflect.Uintptr:
		return 8
	}
	return int(v.Type().Size())
}
