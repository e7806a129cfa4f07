package hubgen

import (
	"cmp"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/vmihailenco/msgpack/v5"
)

// A field is one member of a struct in JSON, or in MessagePack.
type field struct {
	name     string // in JSON, or in MessagePack
	packed   string // in MessagePack
	t        reflect.Type
	optional bool // may be left out
	quoted   bool // in JSON: a number or bool inside a string
	null     bool // in MessagePack: null while the struct that it is embedded with is nil

	index  []int
	tagged bool // the tag says the name
}

// packedName is the name of f in MessagePack. Source: packMembers in protocol.
func packedName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ","); name != "" && name != "-" {
		return name
	}
	return f.Name
}

// fieldsOf finds the members that t has in JSON by the rules of encoding/json:
// an embedded struct without a name is part of the struct around it. Of several
// fields with one name the least embedded is the member, then the one whose tag
// says the name, else none.
func fieldsOf(t reflect.Type) (list []field) {
	byName := map[string][]field{}
	for _, f := range candidates(t, nil, nil, false) {
		byName[f.name] = append(byName[f.name], f)
	}
	for _, same := range byName {
		rank := func(f field) int {
			if f.tagged {
				return 2 * len(f.index)
			}
			return 2*len(f.index) + 1
		}
		slices.SortStableFunc(same, func(a, b field) int { return cmp.Compare(rank(a), rank(b)) })
		if len(same) == 1 || rank(same[0]) < rank(same[1]) {
			list = append(list, same[0])
		}
	}
	slices.SortFunc(list, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return list
}

// candidates lists the fields of t that have a name in JSON, those of embedded
// structs too. outer are the structs that t is embedded in, at is its index
// there, and optional says that t may be missing.
func candidates(t reflect.Type, outer []reflect.Type, at []int, optional bool) (list []field) {
	if slices.Contains(outer, t) {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, rest, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		target, index := f.Type, append(slices.Clone(at), i)
		if target.Kind() == reflect.Pointer && target.Name() == "" {
			target = target.Elem()
		}
		switch {
		case tag == "-" || !f.IsExported() && !(f.Anonymous && target.Kind() == reflect.Struct):
			continue
		case name == "" && f.Anonymous && target.Kind() == reflect.Struct:
			list = append(list, candidates(target, append(outer, t), index, optional || f.Type.Kind() == reflect.Pointer)...)
			continue
		}
		options := strings.Split(rest, ",")
		x := field{name: name, packed: packedName(f), t: f.Type, index: index, tagged: name != ""}
		if !x.tagged {
			x.name = f.Name
		}
		x.optional = optional || slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero")
		kind := target.Kind()
		x.quoted = slices.Contains(options, "string") && (kind >= reflect.Bool && kind <= reflect.Float64 || kind == reflect.String)
		list = append(list, x)
	}
	return list
}

// validName reports whether encoding/json takes name from a tag.
func validName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (r < ' ' || r > '~' || strings.ContainsRune("\"'\\,`", r)) {
			return false
		}
	}
	return name != ""
}

// packedFieldsOf finds the members that t has in MessagePack, by the rules of
// vmihailenco/msgpack; asArray says that they have no names on the wire.
// Source: packMembers in protocol.
func packedFieldsOf(t reflect.Type, outer ...reflect.Type) (list []field, asArray bool) {
	var omitAll bool
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("msgpack")
		name, rest, _ := strings.Cut(tag, ",")
		options := strings.Split(rest, ",")
		switch {
		case !tagged && f.Tag.Get("json") == "-", name == "-":
			continue
		case f.Name == "_msgpack":
			asArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
			omitAll = slices.Contains(options, "omitempty")
			continue
		case !f.IsExported() && !f.Anonymous:
			continue
		}
		if f.Anonymous {
			if inner, ok := inlined(f, list, options, append(outer, t)); ok {
				list = append(list, inner...)
				continue
			}
		}
		if !f.IsExported() {
			continue
		}
		x := field{name: packedName(f), t: f.Type, optional: omitAll || slices.Contains(options, "omitempty")}
		if i := slices.IndexFunc(list, func(y field) bool { return y.name == x.name }); i >= 0 && !asArray {
			list = slices.Delete(list, i, i+1) // both are written, and who reads takes the later one
		}
		list = append(list, x)
	}
	return list, asArray
}

// inlined are the members of the embedded struct f if they are members of the
// struct around it, which already has those of list.
func inlined(f reflect.StructField, list []field, options []string, outer []reflect.Type) (inner []field, ok bool) {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || slices.Contains(options, "noinline") || slices.Contains(outer, t) || packedOf(t) != byKind {
		return nil, false
	}
	inner, _ = packedFieldsOf(t, outer...)
	taken := func(x field) bool {
		return slices.ContainsFunc(list, func(y field) bool { return x.name == y.name })
	}
	if !slices.Contains(options, "inline") && slices.ContainsFunc(inner, taken) {
		return nil, false
	}
	inner = slices.DeleteFunc(inner, taken)
	for i := range inner {
		inner[i].null = inner[i].null || f.Type.Kind() == reflect.Pointer
	}
	return inner, true
}

// packedOf is specialOf in MessagePack. A struct that embeds a type of package
// protocol may be asAny where it is not: that promises less.
func packedOf(t reflect.Type) special {
	if as, ok := packedForm[t]; ok {
		return as
	}
	if isEnum(t) || t.Kind() == reflect.Pointer {
		return byKind
	}
	p := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Interface,
		p.Implements(reflect.TypeFor[msgpack.CustomEncoder]()), p.Implements(reflect.TypeFor[msgpack.Marshaler]()):
		return asAny
	case p.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return asText
	case p.Implements(reflect.TypeFor[json.Marshaler]()):
		return asAny
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8 && packedOf(t.Elem()) == byKind && !isEnum(t.Elem()):
		return asBytes
	}
	return byKind
}
