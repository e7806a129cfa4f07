package protocol

import (
	"cmp"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// jsonWay is how values of a type are encoded.
type jsonWay uint8

const (
	jsonByKind      jsonWay = iota
	jsonByMarshaler         // json.Marshaler
	jsonByText              // encoding.TextMarshaler
	jsonByTime              // time.Time
	jsonByRaw               // Raw
	jsonByNumber            // json.Number
)

// A jsonType is what has to be known about a Go type to encode its values,
// found once. The rules are those of encoding/json.
type jsonType struct {
	way       jsonWay
	addressed jsonWay // for a value of which a pointer can be taken, with its methods
	bytes     bool    // a slice that is written as base64
	fields    func() []jsonField
}

var jsonTypes sync.Map // reflect.Type -> *jsonType

func jsonTypeOf(t reflect.Type) *jsonType {
	if known, ok := jsonTypes.Load(t); ok {
		return known.(*jsonType)
	}
	known, _ := jsonTypes.LoadOrStore(t, newJSONType(t))
	return known.(*jsonType)
}

func newJSONType(t reflect.Type) *jsonType {
	j := &jsonType{}
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface: // what they refer to decides
		return j
	}
	j.way = jsonWayOf(t)
	j.addressed = j.way
	if way := jsonWayOf(reflect.PointerTo(t)); j.way == jsonByKind || j.way == jsonByText && way == jsonByMarshaler {
		j.addressed = way
	}
	switch t.Kind() {
	case reflect.Struct:
		j.fields = sync.OnceValue(func() []jsonField { return findJSONFields(t) })
	case reflect.Slice:
		elem := reflect.PointerTo(t.Elem())
		j.bytes = t.Elem().Kind() == reflect.Uint8 && jsonWayOf(elem) == jsonByKind
	}
	return j
}

// jsonWayOf looks for the methods of t. Of a pointer to a type it finds those
// that need a pointer, too.
func jsonWayOf(t reflect.Type) jsonWay {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return jsonByTime
	case t == reflect.TypeFor[Raw]():
		return jsonByRaw
	case t == reflect.TypeFor[json.Number]():
		return jsonByNumber
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return jsonByMarshaler
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return jsonByText
	}
	return jsonByKind
}

// A jsonField is one member of a struct.
type jsonField struct {
	name      string
	label     string // the name as JSON has it, with quotes and colon
	index     []int
	typ       reflect.Type
	omitEmpty bool
	isZero    func(reflect.Value) bool // nil: never left out for it
	asString  bool                     // a number, bool or string as text inside a string
}

// jsonCandidate is a field that is a member unless another one of its name is.
type jsonCandidate struct {
	jsonField
	tagged bool
	times  int // that its struct is embedded at this level
}

// findJSONFields finds the members of the struct t in their order. An embedded
// struct without a name of its own is part of the outer one. Of several fields
// with one name the least embedded is the member, then the one whose tag says
// the name, else none.
func findJSONFields(t reflect.Type) []jsonField {
	type embedded struct {
		t     reflect.Type
		index []int
	}
	var found []jsonField
	level, times := []embedded{{t, nil}}, map[reflect.Type]int{t: 1}
	seen := make(map[reflect.Type]bool)
	decided := make(map[string]bool)
	for len(level) > 0 {
		var next []embedded
		nextTimes := make(map[reflect.Type]int)
		candidates := make(map[string][]jsonCandidate)
		for _, outer := range level {
			if seen[outer.t] {
				continue
			}
			seen[outer.t] = true
			for i := range outer.t.NumField() {
				f := outer.t.Field(i)
				index := append(slices.Clone(outer.index), i)
				c, inline, ok := newJSONCandidate(f, index)
				switch {
				case inline != nil:
					if nextTimes[inline]++; nextTimes[inline] == 1 {
						next = append(next, embedded{inline, index})
					}
				case ok:
					c.times = times[outer.t]
					candidates[c.name] = append(candidates[c.name], c)
				}
			}
		}
		for name, list := range candidates {
			if c := dominant(list); c != nil && !decided[name] {
				found = append(found, c.jsonField)
			}
			decided[name] = true
		}
		level, times = next, nextTimes
	}
	slices.SortFunc(found, func(a, b jsonField) int { return slices.Compare(a.index, b.index) })
	return found
}

// dominant is the candidate of a name at one level that is the member, or nil.
func dominant(list []jsonCandidate) *jsonCandidate {
	slices.SortStableFunc(list, func(a, b jsonCandidate) int {
		return cmp.Compare(boolRank(b.tagged), boolRank(a.tagged))
	})
	first := &list[0]
	if first.times > 1 || len(list) > 1 && list[1].tagged == first.tagged {
		return nil
	}
	return first
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newJSONCandidate looks at one field; inline is the struct whose members take
// its place.
func newJSONCandidate(f reflect.StructField, index []int) (c jsonCandidate, inline reflect.Type, ok bool) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return c, nil, false
	}
	target := f.Type
	if target.Kind() == reflect.Pointer && target.Name() == "" {
		target = target.Elem()
	}
	if !f.IsExported() && !(f.Anonymous && embeddedKind(f.Type) == reflect.Struct) {
		return c, nil, false
	}
	name, rest, _ := strings.Cut(tag, ",")
	if !validJSONName(name) {
		name = ""
	}
	if name == "" && f.Anonymous && target.Kind() == reflect.Struct {
		return c, target, false
	}
	options := strings.Split(rest, ",")
	c.tagged = name != ""
	if !c.tagged {
		name = f.Name
	}
	c.jsonField = jsonField{name: name, index: index, typ: f.Type, omitEmpty: slices.Contains(options, "omitempty")}
	c.label = string(appendJSONString(nil, name)) + ":"
	if slices.Contains(options, "omitzero") {
		c.isZero = zeroTest(f.Type)
	}
	if slices.Contains(options, "string") {
		k := target.Kind()
		c.asString = k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
	}
	return c, nil, true
}

func embeddedKind(t reflect.Type) reflect.Kind {
	if t.Kind() == reflect.Pointer {
		return t.Elem().Kind()
	}
	return t.Kind()
}

// validJSONName reports whether encoding/json takes name from a tag.
func validJSONName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (r < ' ' || r > '~' || strings.ContainsRune("\"'\\,`", r)) {
			return false
		}
	}
	return name != ""
}

// zeroTest is what omitzero asks of values of t: their IsZero method, if they
// have one.
func zeroTest(t reflect.Type) func(reflect.Value) bool {
	type zeroer interface{ IsZero() bool }
	method := reflect.TypeFor[zeroer]()
	switch {
	case t.Implements(method):
		return func(v reflect.Value) bool {
			switch v.Kind() {
			case reflect.Pointer:
				if v.IsNil() {
					return true
				}
			case reflect.Interface:
				if v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() {
					return true
				}
			}
			return v.Interface().(zeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(method):
		return func(v reflect.Value) bool { return methods(v, true).Interface().(zeroer).IsZero() }
	}
	return reflect.Value.IsZero
}
