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
	// wide says that an interface was passed on the way to the value. There,
	// ASP.NET Core writes integers in the full width of their type.
	wide  bool
	depth int // containers that are open
	hops  int // pointers passed
}

// value appends v, whose plan is p.
func (e *mpEncoder) value(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	switch p.pack.addressed {
	case byOwn:
		return withMethods(v).(packAppender).appendMessagePack(dst)
	case byEnum:
		return appendMPString(dst, p.enum().name(enumValue(v))), nil
	case byTime:
		if v.CanAddr() {
			return appendTimestamp(dst, *v.Addr().Interface().(*time.Time))
		}
		return appendTimestamp(dst, v.Interface().(time.Time))
	case byRaw:
		return e.raw(dst, v.Bytes())
	case byCustom:
		return e.custom(dst, e.methods(v, p))
	case byText:
		return e.text(dst, v, p)
	case byNumber:
		return e.number(dst, v.String())
	case byJSON:
		return e.viaJSON(dst, e.methods(v, p))
	}
	return e.byKind(dst, v, p)
}

// methods returns v with the methods that encode it, those of its pointer where
// it has none itself.
func (e *mpEncoder) methods(v reflect.Value, p *plan) any {
	if p.pack.encode == p.pack.addressed {
		return v.Interface()
	}
	return withPointerMethods(v)
}

// key appends the key of a map. As in JSON, MarshalJSON does not count there.
func (e *mpEncoder) key(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	if p.pack.addressed == byJSON {
		return e.byKind(dst, v, p)
	}
	return e.value(dst, v, p)
}

// any appends x, which is in an interface. Common types need no reflection:
// BenchmarkPayloads/document_without_a_type takes twice as long without.
func (e *mpEncoder) any(dst []byte, x any) ([]byte, error) {
	switch x := x.(type) {
	case nil:
		dst = append(dst, msgp.Nil)
	case string:
		dst = appendMPString(dst, x)
	case bool:
		dst = msgp.AppendBool(dst, x)
	case float64:
		dst = msgp.AppendFloat64(dst, x)
	case []any:
		return e.anyList(dst, x)
	case map[string]any:
		return e.anyDict(dst, x)
	default:
		return e.concrete(dst, reflect.ValueOf(x))
	}
	return dst, nil
}

// concrete appends what an interface holds.
func (e *mpEncoder) concrete(dst []byte, v reflect.Value) ([]byte, error) {
	return e.value(dst, v, planOf(v.Type()))
}

// anyList is array for elements of any type.
func (e *mpEncoder) anyList(dst []byte, list []any) (_ []byte, err error) {
	if e.depth++; e.depth > maxMessagePackDepth && len(list) > 0 {
		return nil, errTooDeep
	}
	if list == nil {
		dst = append(dst, msgp.Nil)
	} else {
		dst = msgp.AppendArray(dst, len(list))
	}
	for _, x := range list {
		if dst, err = e.element(dst, x); err != nil {
			return nil, err
		}
	}
	e.depth--
	return dst, nil
}

// anyDict is dict for a map of text and values of any type.
func (e *mpEncoder) anyDict(dst []byte, dict map[string]any) (_ []byte, err error) {
	if e.depth++; e.depth > maxMessagePackDepth && len(dict) > 0 {
		return nil, errTooDeep
	}
	if dict == nil {
		dst = append(dst, msgp.Nil)
		e.depth--
		return dst, nil
	}
	dst = msgp.AppendMap(dst, len(dict))
	keys := sortedKeys(dict)
	for _, key := range *keys {
		dst = appendMPString(dst, key)
		if dst, err = e.element(dst, dict[key]); err != nil {
			return nil, err // the list is no longer used
		}
	}
	freeKeys(keys)
	e.depth--
	return dst, nil
}

// element appends an element of a list or map of any type.
func (e *mpEncoder) element(dst []byte, x any) ([]byte, error) {
	wide := e.wide
	e.wide = true
	dst, err := e.any(dst, x)
	e.wide = wide
	return dst, err
}

// byKind appends a v that has no encoding of its own.
func (e *mpEncoder) byKind(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	switch p.kind {
	case reflect.Bool:
		dst = msgp.AppendBool(dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); e.wide {
			dst = msgp.AppendWideInt(dst, n, wideSize(p, n == int64(int32(n))))
		} else {
			dst = msgp.AppendInt(dst, n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if u := v.Uint(); e.wide {
			dst = msgp.AppendWideUint(dst, u, wideSize(p, u <= math.MaxUint32))
		} else {
			dst = msgp.AppendUint(dst, u)
		}
	case reflect.Float32:
		dst = msgp.AppendFloat32(dst, float32(v.Float()))
	case reflect.Float64:
		dst = msgp.AppendFloat64(dst, v.Float())
	case reflect.String:
		dst = appendMPString(dst, v.String())
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return e.nested(dst, v, p)
	case reflect.Pointer:
		return e.target(dst, v, p)
	case reflect.Interface: // is no deeper than what it holds
		wide := e.wide
		dst, err := e.held(dst, v, p)
		e.wide = wide
		return dst, err
	default:
		return nil, unsupported(p.typ, "encoded")
	}
	return dst, nil
}

// wideSize is how many bytes an integer has inside an any. An int, which .NET
// does not have, is one of 32 bits if they suffice.
func wideSize(p *plan, fits32 bool) int {
	switch p.kind {
	case reflect.Int, reflect.Uint:
		if fits32 {
			return 4
		}
		return 8
	case reflect.Uintptr:
		return 8
	}
	return p.typ.Bits() / 8
}

// nested appends a v that may contain other values. What is deepest may be a container
// without any, as where it is decoded.
func (e *mpEncoder) nested(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	if e.depth++; e.depth > maxMessagePackDepth && holdsValues(v, p) {
		return nil, errTooDeep
	}
	wide := e.wide
	dst, err := e.container(dst, v, p)
	e.depth--
	e.wide = wide
	return dst, err
}

// target appends what the pointer v refers to.
func (e *mpEncoder) target(dst []byte, v reflect.Value, p *plan) (_ []byte, err error) {
	if v.IsNil() {
		return append(dst, msgp.Nil), nil
	}
	if e.hops++; e.hops > maxHops {
		return nil, errTooDeep
	}
	dst, err = e.value(dst, v.Elem(), p.elem)
	e.hops--
	return dst, err
}

// held appends what the interface v holds.
func (e *mpEncoder) held(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	e.wide = true
	switch {
	case v.IsNil():
		return append(dst, msgp.Nil), nil
	case p.typ.NumMethod() == 0:
		return e.any(dst, v.Interface())
	}
	return e.concrete(dst, v.Elem())
}

// holdsValues reports whether there are others in v.
func holdsValues(v reflect.Value, p *plan) bool {
	if p.kind == reflect.Struct {
		return len(p.pack.members.list) > 0
	}
	return v.Len() > 0 && !p.pack.bytes
}

func (e *mpEncoder) container(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	switch p.kind {
	case reflect.Struct:
		return e.structure(dst, v, p.pack.members)
	case reflect.Array:
		if p.pack.bytes {
			if !v.CanAddr() {
				v = reflect.ValueOf(withPointerMethods(v)).Elem()
			}
			return appendMPBytes(dst, v.Bytes()), nil
		}
		return e.array(dst, v, p.elem)
	}
	switch {
	case v.IsNil():
		return append(dst, msgp.Nil), nil
	case p.kind == reflect.Map:
		return e.dict(dst, v, p)
	case p.pack.bytes:
		return appendMPBytes(dst, v.Bytes()), nil
	}
	return e.array(dst, v, p.elem)
}

func (e *mpEncoder) array(dst []byte, v reflect.Value, elem *plan) (_ []byte, err error) {
	n := v.Len()
	dst = msgp.AppendArray(dst, n)
	for i := range n {
		if elem.pack.alwaysByKind {
			dst, err = e.byKind(dst, v.Index(i), elem)
		} else {
			dst, err = e.value(dst, v.Index(i), elem)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// dict appends a map in the order of its keys, so that equal maps are equal
// bytes. Numbers and strings have their own order, other keys that of their
// bytes.
func (e *mpEncoder) dict(dst []byte, v reflect.Value, p *plan) (_ []byte, err error) {
	dst = msgp.AppendMap(dst, v.Len())
	if p.key.kind == reflect.String && p.key.pack.addressed == byKind {
		sorted, err := sortedEntries(v, p, nil)
		if err != nil {
			return nil, err
		}
		for _, x := range sorted.list {
			dst = appendMPString(dst, x.name)
			if dst, err = e.value(dst, sorted.value(x), p.elem); err != nil {
				return nil, err
			}
		}
		sorted.free(p)
		return dst, nil
	}
	all := pairsOf(v)
	switch kind := p.key.kind; {
	case kind == reflect.String:
		slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.key.String(), b.key.String()) })
	case kind >= reflect.Int && kind <= reflect.Int64:
		slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.key.Int(), b.key.Int()) })
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.key.Uint(), b.key.Uint()) })
	default:
		return e.dictByBytes(dst, all, p)
	}
	for _, one := range all {
		if dst, err = e.key(dst, one.key, p.key); err != nil {
			return nil, err
		}
		if dst, err = e.value(dst, one.value, p.elem); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// A pair is an entry of a map.
type pair struct{ key, value reflect.Value }

// pairsOf returns the entries of a map. A value cannot be found by its key: a NaN,
// alone or in an interface or struct, is no key that equals itself.
func pairsOf(v reflect.Value) []pair {
	all := make([]pair, 0, v.Len())
	for each := v.MapRange(); each.Next(); {
		all = append(all, pair{each.Key(), each.Value()})
	}
	return all
}

// dictByBytes appends entries in the order of their bytes, which is that of their
// keys: no encoded key is the beginning of another. Keys that have the same bytes,
// as two NaNs, are in the order of their values.
func (e *mpEncoder) dictByBytes(dst []byte, all []pair, p *plan) (_ []byte, err error) {
	encoded := make([][]byte, len(all))
	for i := range all {
		if encoded[i], err = e.key(nil, all[i].key, p.key); err != nil {
			return nil, err
		}
		if encoded[i], err = e.value(encoded[i], all[i].value, p.elem); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(encoded, bytes.Compare)
	for _, entry := range encoded {
		dst = append(dst, entry...)
	}
	return dst, nil
}

func (e *mpEncoder) structure(dst []byte, v reflect.Value, ms *members) (_ []byte, err error) {
	n := len(ms.list)
	if ms.asArray {
		dst = msgp.AppendArray(dst, n)
	} else {
		if ms.mayOmit {
			for i := range ms.list {
				if ms.list[i].leftOut(v) {
					n--
				}
			}
		}
		dst = msgp.AppendMap(dst, n)
	}
	for i := range ms.list {
		m := &ms.list[i]
		if !ms.asArray {
			if m.omit != nil && m.leftOut(v) {
				continue
			}
			dst = m.appendLabel(dst)
		}
		var x reflect.Value
		if m.field >= 0 {
			x = v.Field(m.field)
		} else {
			var ok bool
			if x, ok = m.embedded(v); !ok { // the embedded pointer is nil
				dst = append(dst, msgp.Nil)
				continue
			}
		}
		if m.byKind {
			dst, err = e.byKind(dst, x, m.plan)
		} else {
			dst, err = e.value(dst, x, m.plan)
		}
		if err != nil {
			return nil, m.failed(err)
		}
	}
	return dst, nil
}

// leftOut reports whether v is written without the member.
func (m *member) leftOut(v reflect.Value) bool {
	if m.omit == nil {
		return false
	}
	x, ok := m.of(v)
	return !ok || m.omit(x)
}

func (e *mpEncoder) raw(dst []byte, raw Raw) ([]byte, error) {
	if raw == nil {
		return append(dst, msgp.Nil), nil
	}
	r := newMPReader(raw)
	if !r.Skip(1) || r.Left() > 0 {
		return nil, errNoMessagePack
	}
	return append(dst, raw...), nil
}

// custom appends a v that encodes itself with vmihailenco/msgpack.
func (e *mpEncoder) custom(dst []byte, v any) ([]byte, error) {
	start := len(dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	w := mpWriter(dst)
	enc.Reset(&w)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	r := newMPReader(w[start:])
	if !r.Skip(1) || r.Left() > 0 {
		return nil, errNoMessagePack
	}
	return w, nil
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
func (e *mpEncoder) text(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	if (p.kind == reflect.Map || p.kind == reflect.Slice) && p.pack.encode == byText && v.IsNil() {
		return append(dst, msgp.Nil), nil
	}
	t, err := e.methods(v, p).(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return nil, err
	}
	return appendMPString(dst, string(t)), nil
}

// viaJSON appends a v that has no other encoding of its own than JSON: what it
// hides or rewrites there must not show here. A number is written in the
// shortest form, since its width is not known.
func (e *mpEncoder) viaJSON(dst []byte, v any) ([]byte, error) {
	text, err := v.(json.Marshaler).MarshalJSON()
	if err != nil {
		return nil, err
	}
	s := jsonScanner{b: text}
	if !s.value(0) {
		return nil, errNoJSON
	}
	d := json.NewDecoder(bytes.NewReader(text[:s.i]))
	d.UseNumber()
	var x any
	if s.next(); s.i != len(text) || d.Decode(&x) != nil {
		return nil, errNoJSON
	}
	if x == nil {
		return append(dst, msgp.Nil), nil
	}
	return e.concrete(dst, reflect.ValueOf(x))
}

// number appends a json.Number: an integer if it is one, else a float64.
func (e *mpEncoder) number(dst []byte, text string) ([]byte, error) {
	b, err := appendJSONNumber(nil, text)
	if err != nil {
		return nil, err
	}
	if n, ok := parseInt(b, 64); ok {
		return msgp.AppendInt(dst, n), nil
	}
	if u, ok := parseUint(b, 64); ok {
		return msgp.AppendUint(dst, u), nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return nil, errRange
	}
	return msgp.AppendFloat64(dst, f), nil
}
