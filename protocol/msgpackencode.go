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

// value appends v, whose plan is p.
func (e *mpEncoder) value(v reflect.Value, p *plan) error {
	switch p.pack.addressed {
	case byOwn:
		return e.appended(withMethods(v).(packAppender).appendMessagePack(e.dst))
	case byEnum:
		e.dst = appendMPString(e.dst, p.enum().name(enumValue(v)))
		return nil
	case byTime:
		if v.CanAddr() {
			return e.appended(appendTimestamp(e.dst, *v.Addr().Interface().(*time.Time)))
		}
		return e.appended(appendTimestamp(e.dst, v.Interface().(time.Time)))
	case byRaw:
		return e.raw(v.Bytes())
	case byCustom:
		return e.custom(e.methods(v, p))
	case byText:
		return e.text(v, p)
	case byNumber:
		return e.number(v.String())
	case byJSON:
		return e.viaJSON(e.methods(v, p))
	}
	return e.byKind(v, p)
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
func (e *mpEncoder) key(v reflect.Value, p *plan) error {
	if p.pack.addressed == byJSON {
		return e.byKind(v, p)
	}
	return e.value(v, p)
}

// any appends x, which is in an interface. Common types need no reflection:
// BenchmarkPayloads/document_without_a_type takes twice as long without.
func (e *mpEncoder) any(x any) error {
	switch x := x.(type) {
	case nil:
		e.dst = append(e.dst, msgp.Nil)
	case string:
		e.dst = appendMPString(e.dst, x)
	case bool:
		e.dst = msgp.AppendBool(e.dst, x)
	case float64:
		e.dst = msgp.AppendFloat64(e.dst, x)
	case []any:
		return e.anyList(x)
	case map[string]any:
		return e.anyDict(x)
	default:
		return e.concrete(reflect.ValueOf(x))
	}
	return nil
}

// concrete appends what an interface holds.
func (e *mpEncoder) concrete(v reflect.Value) error { return e.value(v, planOf(v.Type())) }

// anyList is array for elements of any type.
func (e *mpEncoder) anyList(list []any) error {
	if e.depth++; e.depth > maxMessagePackDepth {
		return errTooDeep
	}
	if list == nil {
		e.dst = append(e.dst, msgp.Nil)
	} else {
		e.dst = msgp.AppendArray(e.dst, len(list))
	}
	for _, x := range list {
		if err := e.element(x); err != nil {
			return err
		}
	}
	e.depth--
	return nil
}

// anyDict is dict for a map of text and values of any type.
func (e *mpEncoder) anyDict(dict map[string]any) error {
	if e.depth++; e.depth > maxMessagePackDepth {
		return errTooDeep
	}
	if dict == nil {
		e.dst = append(e.dst, msgp.Nil)
		e.depth--
		return nil
	}
	e.dst = msgp.AppendMap(e.dst, len(dict))
	keys := sortedKeys(dict)
	for _, key := range *keys {
		e.dst = appendMPString(e.dst, key)
		if err := e.element(dict[key]); err != nil {
			return err // the list is no longer used
		}
	}
	freeKeys(keys)
	e.depth--
	return nil
}

// element appends an element of a list or map of any type: an interface, which is as
// deep as a container.
func (e *mpEncoder) element(x any) error {
	if e.depth++; e.depth > maxMessagePackDepth {
		return errTooDeep
	}
	wide := e.wide
	e.wide = true
	err := e.any(x)
	e.wide = wide
	e.depth--
	return err
}

// byKind appends a v that has no encoding of its own.
func (e *mpEncoder) byKind(v reflect.Value, p *plan) error {
	switch p.kind {
	case reflect.Bool:
		e.dst = msgp.AppendBool(e.dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); e.wide {
			e.dst = msgp.AppendWideInt(e.dst, n, wideSize(p, n == int64(int32(n))))
		} else {
			e.dst = msgp.AppendInt(e.dst, n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if u := v.Uint(); e.wide {
			e.dst = msgp.AppendWideUint(e.dst, u, wideSize(p, u <= math.MaxUint32))
		} else {
			e.dst = msgp.AppendUint(e.dst, u)
		}
	case reflect.Float32:
		e.dst = msgp.AppendFloat32(e.dst, float32(v.Float()))
	case reflect.Float64:
		e.dst = msgp.AppendFloat64(e.dst, v.Float())
	case reflect.String:
		e.dst = appendMPString(e.dst, v.String())
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return e.nested(v, p)
	default:
		return unsupported(p.typ, "encoded")
	}
	return nil
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

// nested appends a v that may contain other values.
func (e *mpEncoder) nested(v reflect.Value, p *plan) error {
	if e.depth++; e.depth > maxMessagePackDepth {
		return errTooDeep
	}
	wide := e.wide
	err := e.container(v, p)
	e.depth--
	e.wide = wide
	return err
}

func (e *mpEncoder) container(v reflect.Value, p *plan) error {
	switch p.kind {
	case reflect.Struct:
		return e.structure(v, p.pack.members)
	case reflect.Array:
		if p.pack.bytes {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			e.dst = appendMPBytes(e.dst, b)
			return nil
		}
		return e.array(v, p.elem)
	}
	switch {
	case v.IsNil():
		e.dst = append(e.dst, msgp.Nil)
		return nil
	case p.kind == reflect.Pointer:
		return e.value(v.Elem(), p.elem)
	case p.kind == reflect.Interface && p.typ.NumMethod() == 0:
		e.wide = true
		return e.any(v.Interface())
	case p.kind == reflect.Interface:
		e.wide = true
		return e.concrete(v.Elem())
	case p.kind == reflect.Map:
		return e.dict(v, p)
	case p.pack.bytes:
		e.dst = appendMPBytes(e.dst, v.Bytes())
		return nil
	}
	return e.array(v, p.elem)
}

func (e *mpEncoder) array(v reflect.Value, elem *plan) error {
	n := v.Len()
	e.dst = msgp.AppendArray(e.dst, n)
	for i := range n {
		if err := e.value(v.Index(i), elem); err != nil {
			return err
		}
	}
	return nil
}

// dict appends a map in the order of its keys, so that equal maps are equal
// bytes. Numbers and strings have their own order, other keys that of their
// bytes.
func (e *mpEncoder) dict(v reflect.Value, p *plan) error {
	e.dst = msgp.AppendMap(e.dst, v.Len())
	if p.key.kind == reflect.String && p.key.pack.addressed == byKind {
		sorted, err := sortedEntries(v, p, nil)
		if err != nil {
			return err
		}
		for _, x := range sorted.list {
			e.dst = appendMPString(e.dst, x.name)
			if err := e.value(sorted.value(x), p.elem); err != nil {
				return err
			}
		}
		sorted.free(p)
		return nil
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
		return e.dictByBytes(all, p)
	}
	for _, one := range all {
		if err := e.key(one.key, p.key); err != nil {
			return err
		}
		if err := e.value(one.value, p.elem); err != nil {
			return err
		}
	}
	return nil
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
func (e *mpEncoder) dictByBytes(all []pair, p *plan) error {
	encoded := make([][]byte, len(all))
	for i := range all {
		one := mpEncoder{wide: e.wide, depth: e.depth}
		if err := one.key(all[i].key, p.key); err != nil {
			return err
		}
		if err := one.value(all[i].value, p.elem); err != nil {
			return err
		}
		encoded[i] = one.dst
	}
	slices.SortFunc(encoded, bytes.Compare)
	for _, entry := range encoded {
		e.dst = append(e.dst, entry...)
	}
	return nil
}

func (e *mpEncoder) structure(v reflect.Value, ms *members) error {
	n := len(ms.list)
	if ms.asArray {
		e.dst = msgp.AppendArray(e.dst, n)
	} else {
		if ms.mayOmit {
			for i := range ms.list {
				if ms.list[i].leftOut(v) {
					n--
				}
			}
		}
		e.dst = msgp.AppendMap(e.dst, n)
	}
	for i := range ms.list {
		m := &ms.list[i]
		if !ms.asArray {
			if m.leftOut(v) {
				continue
			}
			e.dst = append(e.dst, m.label...)
		}
		x, ok := m.of(v)
		if !ok { // inside an embedded pointer that is nil
			e.dst = append(e.dst, msgp.Nil)
			continue
		}
		if err := e.value(x, m.plan); err != nil {
			return m.failed(err)
		}
	}
	return nil
}

// leftOut reports whether v is written without the member.
func (m *member) leftOut(v reflect.Value) bool {
	if m.omit == nil {
		return false
	}
	x, ok := m.of(v)
	return !ok || m.omit(x)
}

// appended keeps the result of a function that appends, and returns its error.
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

// custom appends a v that encodes itself with vmihailenco/msgpack.
func (e *mpEncoder) custom(v any) error {
	start := len(e.dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset((*mpWriter)(&e.dst))
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
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
func (e *mpEncoder) text(v reflect.Value, p *plan) error {
	if (p.kind == reflect.Map || p.kind == reflect.Slice) && p.pack.encode == byText && v.IsNil() {
		e.dst = append(e.dst, msgp.Nil)
		return nil
	}
	t, err := e.methods(v, p).(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return err
	}
	e.dst = appendMPString(e.dst, string(t))
	return nil
}

// viaJSON appends a v that has no other encoding of its own than JSON: what it
// hides or rewrites there must not show here. A number is written in the
// shortest form, since its width is not known.
func (e *mpEncoder) viaJSON(v any) error {
	text, err := v.(json.Marshaler).MarshalJSON()
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
	if x == nil {
		e.dst = append(e.dst, msgp.Nil)
		return nil
	}
	return e.concrete(reflect.ValueOf(x))
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
