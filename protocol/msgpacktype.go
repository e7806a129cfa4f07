package protocol

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// maxMessagePackDepth is how deep values may nest when they are encoded or
// decoded. It is the limit of MessagePack-CSharp for untrusted data; going
// round a cycle ends there too.
const maxMessagePackDepth = 500

// A mpHelper is a type of this package with an encoding of its own.
type mpHelper interface {
	appendMessagePack(dst []byte) ([]byte, error)
}

// A mpHelperReader is a pointer to a mpHelper. nil never comes to it.
type mpHelperReader interface {
	readMessagePack(r *mpReader) error
}

// mpWay is how values of a type are encoded or decoded.
type mpWay uint8

const (
	mpByKind   mpWay = iota
	mpByHelper       // mpHelper
	mpByEnum         // Enum
	mpByTime         // time.Time
	mpByRaw          // Raw
	mpByVendor       // the interfaces of vmihailenco/msgpack
	mpByText         // encoding.TextMarshaler
	mpByNumber       // json.Number
	mpByJSON         // json.Marshaler: its JSON, as MessagePack
)

// A mpType is what has to be known about a Go type, found once.
type mpType struct {
	encode        mpWay
	encodePointer bool // the method that encodes is one of the pointer
	decode        mpWay
	enum          *enumNames
	fields        func() *mpFields // of a struct; lazily, because types refer to themselves
}

var mpTypes sync.Map // reflect.Type -> *mpType

func mpTypeOf(t reflect.Type) *mpType {
	if known, ok := mpTypes.Load(t); ok {
		return known.(*mpType)
	}
	known, _ := mpTypes.LoadOrStore(t, newMPType(t))
	return known.(*mpType)
}

func newMPType(t reflect.Type) *mpType {
	m := &mpType{}
	switch {
	case t == reflect.TypeFor[time.Time]():
		m.encode, m.decode = mpByTime, mpByTime
	case t == reflect.TypeFor[Raw]():
		m.encode, m.decode = mpByRaw, mpByRaw
	case t.Implements(reflect.TypeFor[mpHelper]()):
		m.encode, m.decode = mpByHelper, mpByHelper
	case t == reflect.TypeFor[json.Number]():
		m.encode, m.decode = mpByNumber, mpByNumber
	case isEnum(t):
		m.encode, m.decode = mpByEnum, mpByEnum
		m.enum = newEnumNames(t)
	default:
		m.encode, m.encodePointer = mpEncodeWay(t)
		m.decode = mpDecodeWay(t)
	}
	if t.Kind() == reflect.Struct {
		m.fields = sync.OnceValue(func() *mpFields { return newMPFields(t, nil) })
	}
	return m
}

// isByte reports whether slices and arrays of t are byte strings.
func isByte(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 && mpTypeOf(t).encode == mpByKind
}

// mpEncodeWay looks for methods that encode a t. Pointers and interfaces are
// followed first, so that only nil has to be dealt with there.
func mpEncodeWay(t reflect.Type) (way mpWay, pointer bool) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return mpByKind, false
	}
	for _, p := range []reflect.Type{t, reflect.PointerTo(t)} {
		switch {
		case p.Implements(reflect.TypeFor[msgpack.CustomEncoder]()), p.Implements(reflect.TypeFor[msgpack.Marshaler]()):
			return mpByVendor, p != t
		case p.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
			return mpByText, p != t
		}
	}
	for _, p := range []reflect.Type{t, reflect.PointerTo(t)} {
		if p.Implements(reflect.TypeFor[json.Marshaler]()) {
			return mpByJSON, p != t
		}
	}
	return mpByKind, false
}

func mpDecodeWay(t reflect.Type) mpWay {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return mpByKind
	}
	p := reflect.PointerTo(t)
	switch {
	case p.Implements(reflect.TypeFor[msgpack.CustomDecoder]()), p.Implements(reflect.TypeFor[msgpack.Unmarshaler]()):
		return mpByVendor
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return mpByText
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return mpByJSON
	}
	return mpByKind
}

// mpFields are the members of a struct, by the rules of vmihailenco/msgpack:
// the tag "msgpack" with a name and omitempty, inline, noinline and alias:name;
// as_array or omitempty for the whole struct on a field called _msgpack;
// embedded structs are inlined unless a name is taken. What the tag "json" hides
// is hidden here, too, unless there is a tag "msgpack".
type mpFields struct {
	list    []mpField
	byName  map[string]int
	asArray bool
	mayOmit bool
}

type mpField struct {
	name      string
	index     []int
	omitEmpty bool
}

// newMPFields finds the members of t; outer are the structs that t is embedded
// in.
func newMPFields(t reflect.Type, outer []reflect.Type) *mpFields {
	fs := &mpFields{byName: make(map[string]int)}
	omitAll := false
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("msgpack")
		if !tagged && f.Tag.Get("json") == "-" {
			continue
		}
		name, rest, _ := strings.Cut(tag, ",")
		options := strings.Split(rest, ",")
		if name == "-" {
			continue
		}
		if f.Name == "_msgpack" {
			fs.asArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
			omitAll = slices.Contains(options, "omitempty")
			continue
		}
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && fs.inline(f, options, append(outer, t)) || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fs.add(mpField{name: name, index: f.Index, omitEmpty: omitAll || slices.Contains(options, "omitempty")})
		for _, option := range options {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				fs.byName[alias] = len(fs.list) - 1
			}
		}
	}
	return fs
}

func (fs *mpFields) add(f mpField) {
	fs.byName[f.name] = len(fs.list)
	fs.list = append(fs.list, f)
	fs.mayOmit = fs.mayOmit || f.omitEmpty
}

// inline adds the members of the embedded struct f as if they were members of
// the outer one, if that is possible and wanted.
func (fs *mpFields) inline(f reflect.StructField, options []string, outer []reflect.Type) bool {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || slices.Contains(options, "noinline") || slices.Contains(outer, t) {
		return false
	}
	if m := mpTypeOf(t); m.encode != mpByKind || m.decode != mpByKind {
		return false
	}
	inner := newMPFields(t, outer)
	taken := func(g mpField) bool { _, ok := fs.byName[g.name]; return ok }
	if !slices.Contains(options, "inline") && slices.ContainsFunc(inner.list, taken) {
		return false
	}
	for _, g := range inner.list {
		if !taken(g) {
			g.index = append(slices.Clone(f.Index), g.index...)
			fs.add(g)
		}
	}
	return true
}
