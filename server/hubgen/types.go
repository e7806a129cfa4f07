package hubgen

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hubwire/hubwire/protocol"
)

// types gives structs and enums their names in the other language and remembers them in
// the order in which they were met.
type types struct {
	names map[reflect.Type]string
	taken map[string]bool
	order []reflect.Type
	ascii bool // names have no other letters
}

func newTypes(reserved ...string) *types {
	s := &types{names: map[reflect.Type]string{}, taken: map[string]bool{}}
	for _, name := range reserved {
		s.taken[name] = true
	}
	return s
}

// name returns the name of struct or enum t. Two packages may each have a Message:
// the second one met is Message2.
func (s *types) name(t reflect.Type) string {
	if name, ok := s.names[t]; ok {
		return name
	}
	base := pascal(t.Name())
	if t.Name() == "" {
		base = "Anonymous"
	}
	if s.ascii {
		base = asciiName(base)
	}
	name := base
	for i := 2; s.taken[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	s.names[t], s.taken[name] = name, true
	s.order = append(s.order, t)
	return name
}

// special is how a type travels that does not do so by its kind.
type special uint8

const (
	byKind special = iota
	asTime
	asBytes
	asText // a string made by MarshalText
	asAny  // anything, made by MarshalJSON for instance
	asNumber
	asClock // in MessagePack: a time and the offset of its zone in minutes
)

// packedForm are the types that have a form of their own in MessagePack.
var packedForm = map[reflect.Type]special{
	reflect.TypeFor[time.Time]():               asTime,
	reflect.TypeFor[protocol.DateTime]():       asTime,
	reflect.TypeFor[protocol.DateTimeOffset](): asClock,
	reflect.TypeFor[protocol.TimeSpan]():       asNumber,
	reflect.TypeFor[protocol.TimeOnly]():       asNumber,
	reflect.TypeFor[protocol.DateOnly]():       asNumber,
	reflect.TypeFor[protocol.Char]():           asNumber,
	reflect.TypeFor[protocol.Raw]():            asAny,
	reflect.TypeFor[json.Number]():             asNumber,
}

func specialOf(t reflect.Type) special {
	switch t {
	case reflect.TypeFor[time.Time]():
		return asTime
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[protocol.Raw]():
		return asAny
	case reflect.TypeFor[json.Number]():
		return asNumber
	}
	switch {
	case t == reflect.TypeFor[protocol.Decimal]():
		return asNumber
	case dotNet[t] != "":
		return asText
	case isEnum(t), t.Kind() == reflect.Pointer:
		return byKind
	}
	p := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Interface, p.Implements(reflect.TypeFor[json.Marshaler]()):
		return asAny
	case p.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return asText
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return asBytes
	}
	return byKind
}

// identifier keeps what is a letter or a digit in all languages.
func identifier(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsLetter(r), r == '_', unicode.IsDigit(r) && b.Len() > 0:
			b.WriteRune(r)
		case unicode.IsDigit(r):
			b.WriteString("_" + string(r))
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

// asciiName keeps what is a letter or a digit of ASCII, '-' or '_'.
func asciiName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, s)
}

// pascal splits at what is neither letter nor digit and joins in Pascal case.
func pascal(s string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := []rune(w)
		b.WriteString(string(unicode.ToUpper(r[0])) + string(r[1:]))
	}
	return identifier(b.String())
}

// camel lowers the leading capitals but the one that starts the next word:
// URLValue is urlValue, ID is id.
func camel(s string) string {
	r := []rune(pascal(s))
	for i := range r {
		if !unicode.IsUpper(r[i]) || (i > 0 && i+1 < len(r) && unicode.IsLower(r[i+1])) {
			break
		}
		r[i] = unicode.ToLower(r[i])
	}
	return string(r)
}

// unique returns name, with as many underscores as make it new in taken.
func unique(taken map[string]bool, name string) string {
	for taken[name] {
		name += "_"
	}
	taken[name] = true
	return name
}

// argumentNames are the names of f's arguments, none of them a reserved word.
func argumentNames(f function, reserved string) []string {
	taken := map[string]bool{}
	for w := range strings.FieldsSeq(reserved) {
		taken[w] = true
	}
	var names []string
	for _, a := range f.args {
		names = append(names, unique(taken, identifier(a.name)))
	}
	return names
}
