package protocol

import (
	"encoding"
	"encoding/json"
	"reflect"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// A plan is what has to be known about a Go type to encode and decode its
// values in both codecs, found once. It is the only place that says which types
// encode themselves, what may be nil, and what members are called.
type plan struct {
	typ      reflect.Type
	kind     reflect.Kind
	nullable bool                          // null is a value: nil, or an empty string
	elem     *plan                         // of a pointer, slice, array or map
	key      *plan                         // of a map
	empty    reflect.Value                 // of a slice: one without memory that is not nil
	copied   bool                          // of a map: its values may be copied to be encoded
	entries  sync.Pool                     // of a map: *entries
	fill     func(*entries, reflect.Value) // of a map that has one: adds its entries
	enum     func() *enumNames

	json, pack ways // of the two codecs
}

// ways are how one codec treats the values of a type.
type ways struct {
	encode       way
	addressed    way      // encode, where a pointer to the value can be taken, with its methods
	decode       way      // of a pointer to the value
	alwaysByKind bool     // encode and addressed are byKind; without, BenchmarkPayloads/track_of_100_positions takes 1.06 times as long
	bytes        bool     // a slice, or in MessagePack an array, that is a byte string
	members      *members // of a struct
}

// way is how a value is encoded or decoded.
type way uint8

const (
	byKind   way = iota // as what the kind of its type is
	byTime              // time.Time
	byRaw               // Raw
	byNumber            // json.Number
	byOwn               // a type of this package for one of .NET
	byEnum              // Enum, in MessagePack
	byText              // encoding.TextMarshaler, TextUnmarshaler
	byJSON              // json.Marshaler, Unmarshaler; in MessagePack the value that its JSON holds
	byCustom            // the interfaces of vmihailenco/msgpack, in MessagePack
)

var (
	plans   sync.Map   // reflect.Type -> *plan, complete
	plansMu sync.Mutex // held while plans are built; no code of users runs then
)

// planOf returns the plan of t.
func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	plansMu.Lock()
	defer plansMu.Unlock()
	b := planBuilder{}
	p := b.plan(t)
	for t, p := range b {
		plans.Store(t, p)
	}
	return p
}

// A planBuilder has the plans that are not complete yet. Types that refer to
// themselves find theirs here.
type planBuilder map[reflect.Type]*plan

func (b planBuilder) plan(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	if p, ok := b[t]; ok {
		return p
	}
	p := &plan{typ: t, kind: t.Kind(), json: jsonWays(t), pack: packWays(t)}
	p.json.alwaysByKind = p.json.encode == byKind && p.json.addressed == byKind
	p.pack.alwaysByKind = p.pack.encode == byKind && p.pack.addressed == byKind
	b[t] = p
	if isEnum(t) {
		p.enum = sync.OnceValue(func() *enumNames { return newEnumNames(t) })
	}
	switch p.kind {
	case reflect.String, reflect.Interface:
		p.nullable = true
	case reflect.Slice:
		p.empty = reflect.MakeSlice(t, 0, 0)
		fallthrough
	case reflect.Pointer:
		p.nullable = true
		p.elem = b.plan(t.Elem())
	case reflect.Array:
		p.elem = b.plan(t.Elem())
	case reflect.Map:
		p.nullable = true
		p.key, p.elem = b.plan(t.Key()), b.plan(t.Elem())
		p.copied, p.fill = mayCopy(p.elem), fillers[t]
	case reflect.Struct:
		p.json.members = b.jsonMembers(t)
		p.pack.members = b.packMembers(t)
	}
	return p
}

// refersOn reports types whose values refer to others, which decide for
// themselves.
func refersOn(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface
}

// jsonWays looks for what encoding/json would look for.
func jsonWays(t reflect.Type) (w ways) {
	if refersOn(t) {
		return w
	}
	w.encode, w.decode = jsonEncoding(t), jsonDecoding(reflect.PointerTo(t))
	w.addressed = w.encode
	if pointer := jsonEncoding(reflect.PointerTo(t)); w.encode == byKind || w.encode == byText && pointer == byJSON {
		w.addressed = pointer
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		w.bytes = jsonEncoding(reflect.PointerTo(t.Elem())) == byKind
	}
	return w
}

// jsonEncoding looks for the methods of t. Of a pointer to a type it finds those
// that need a pointer, too.
func jsonEncoding(t reflect.Type) way {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return byTime
	case t == reflect.TypeFor[Raw]():
		return byRaw
	case t == reflect.TypeFor[json.Number]():
		return byNumber
	case t.PkgPath() == reflect.TypeFor[plan]().PkgPath() && t.Implements(reflect.TypeFor[jsonAppender]()):
		return byOwn // not by a type of others that embeds one: it may have a MarshalJSON
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return byJSON
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return byText
	}
	return byKind
}

// jsonDecoding looks for the methods of the pointer p.
func jsonDecoding(p reflect.Type) way {
	switch {
	case p == reflect.TypeFor[*time.Time]():
		return byTime
	case p == reflect.TypeFor[*Raw]():
		return byRaw
	case p == reflect.TypeFor[*json.Number]():
		return byNumber
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return byJSON
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return byText
	}
	return byKind
}

// packWays looks for what vmihailenco/msgpack would look for, and for the
// methods of JSON, since what a type hides there must not show here.
func packWays(t reflect.Type) (w ways) {
	switch {
	case refersOn(t):
		return w
	case t == reflect.TypeFor[time.Time]():
		w.encode, w.decode = byTime, byTime
	case t == reflect.TypeFor[Raw]():
		w.encode, w.decode = byRaw, byRaw
	case t.Implements(reflect.TypeFor[packAppender]()):
		w.encode, w.decode = byOwn, byOwn
	case t == reflect.TypeFor[json.Number]():
		w.encode, w.decode = byNumber, byNumber
	case isEnum(t):
		w.encode, w.decode = byEnum, byEnum
	default:
		w.encode, w.addressed = packEncoding(t)
		w.decode = packDecoding(reflect.PointerTo(t))
		switch t.Kind() {
		case reflect.Slice, reflect.Array:
			w.bytes = t.Elem().Kind() == reflect.Uint8 && packWays(t.Elem()).encode == byKind && packWays(t.Elem()).addressed == byKind
		}
		return w
	}
	w.addressed = w.encode
	return w
}

// packEncoding looks for methods of t and then of a pointer to it, which is made
// where there is none: encode is byKind if only that has one.
func packEncoding(t reflect.Type) (encode, addressed way) {
	for _, p := range []reflect.Type{t, reflect.PointerTo(t)} {
		switch {
		case p.Implements(reflect.TypeFor[msgpack.CustomEncoder]()), p.Implements(reflect.TypeFor[msgpack.Marshaler]()):
			addressed = byCustom
		case p.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
			addressed = byText
		default:
			continue
		}
		if p == t {
			encode = addressed
		}
		return encode, addressed
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return byJSON, byJSON
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) {
		return byKind, byJSON
	}
	return byKind, byKind
}

func packDecoding(p reflect.Type) way {
	switch {
	case p.Implements(reflect.TypeFor[msgpack.CustomDecoder]()), p.Implements(reflect.TypeFor[msgpack.Unmarshaler]()):
		return byCustom
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return byText
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return byJSON
	}
	return byKind
}

// A packAppender is a type of this package, or one that embeds it, with an
// encoding of its own in MessagePack.
type packAppender interface {
	appendMessagePack(dst []byte) ([]byte, error)
}

// A packReader is a pointer to a packAppender. It is not called for nil. It returns the
// reader behind the value: what a method of an interface gets by a pointer is on the heap.
type packReader interface {
	readMessagePack(r mpReader) (mpReader, error)
}

// A jsonAppender is a type of this package that appends its JSON.
type jsonAppender interface {
	appendJSON(dst []byte) ([]byte, error)
}

// withMethods returns v, or a pointer to it where there can be one: it has the
// methods of v, too, and v is not copied to the heap.
func withMethods(v reflect.Value) any {
	if v.CanAddr() {
		v = v.Addr()
	}
	return v.Interface()
}

// withPointerMethods returns a pointer to v, or to a copy of it.
func withPointerMethods(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// setNull sets v to its value for null, if it has one. A string becomes empty,
// as strings of .NET may be null.
func (p *plan) setNull(v reflect.Value) error {
	if !p.nullable {
		return errNull
	}
	v.SetZero()
	return nil
}

// growList returns for how many more elements a list of i elements, which took
// read bytes, gets memory: as many as the unread bytes make likely, but at most
// three times what has come, since elements may be far larger than their bytes.
// left is how many follow, -1 where that is not known: they get it at once where that
// is little, or at most eight times the unread bytes.
func growList(elem *plan, i, left, read, unread int) int {
	more := max(1, min(4, 1024/int(max(1, elem.typ.Size()))))
	switch {
	case i > 0:
		more = min(unread*i/max(read, 1)+1, 3*i)
	case left >= 0 && elem.typ.Size()*uintptr(left) <= uintptr(max(1024, 8*unread)):
		return left
	}
	if left >= 0 {
		more = min(more, left)
	}
	return more
}
