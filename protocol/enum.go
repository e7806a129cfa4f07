package protocol

import (
	"reflect"
	"strconv"
	"strings"
)

// An Enum is an integer type whose values have names, like an enum of .NET.
// JSON carries the number, but the name in the keys of maps, and MessagePack the name; what
// has no name stands as its digits. MessagePack accepts names with their exact case, digits, and several
// of them with commas in between, which are combined by OR; a number in place
// of a string is refused, as in ASP.NET Core.
//
//	type Color int
//
//	func (Color) EnumNames() map[int64]string {
//		return map[int64]string{0: "Red", 1: "Green", 2: "Blue"}
//	}
//
// The kind of the type should be that of the .NET enum, usually int32 or int: in
// JSON, slices of uint8 are base64.
type Enum interface {
	// EnumNames returns the names by value. It is called once, on the zero
	// value of the type.
	EnumNames() map[int64]string
}

// enumNames are the names of one type in both directions.
type enumNames struct {
	byValue map[int64]string
	byName  map[string]int64
}

func isEnum(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && t.Implements(reflect.TypeFor[Enum]())
}

func newEnumNames(t reflect.Type) *enumNames {
	names := reflect.Zero(t).Interface().(Enum).EnumNames()
	e := &enumNames{names, make(map[string]int64, len(names))}
	for value, name := range names {
		e.byName[name] = value
	}
	return e
}

// enumValue is the number of v; unsigned ones keep their bits.
func enumValue(v reflect.Value) int64 {
	if v.CanInt() {
		return v.Int()
	}
	return int64(v.Uint())
}

func (e *enumNames) name(value int64) string {
	if name, ok := e.byValue[value]; ok {
		return name
	}
	return strconv.FormatInt(value, 10)
}

// parse finds the value of a name, of digits, or of several of them.
func (e *enumNames) parse(name []byte) (value int64, ok bool) {
	if value, ok = e.byName[string(name)]; ok { // allocates nothing
		return value, true
	}
	text := string(name)
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		n, ok := e.byName[part]
		if !ok {
			var err error
			if n, err = strconv.ParseInt(part, 10, 64); err != nil {
				return 0, false
			}
		}
		value |= n
	}
	return value, true
}

// parseKey is parse for a key in JSON, for which case does not matter.
func (e *enumNames) parseKey(name string) (value int64, ok bool) {
	if value, ok = e.parse([]byte(name)); ok {
		return value, true
	}
	for known, value := range e.byName {
		if strings.EqualFold(known, name) {
			return value, true
		}
	}
	return 0, false
}

// enum reads the name of a value.
func (r *mpReader) enum(v reflect.Value, names *enumNames) error {
	s, ok := r.Str()
	if !ok {
		return errKind
	}
	value, ok := names.parse(s)
	if !ok {
		return errKind
	}
	return setEnum(v, value)
}

// setEnum sets v to the value of an enum.
func setEnum(v reflect.Value, value int64) error {
	switch {
	case v.CanInt() && !v.OverflowInt(value):
		v.SetInt(value)
	case v.CanUint() && value >= 0 && !v.OverflowUint(uint64(value)):
		v.SetUint(uint64(value))
	default:
		return errRange
	}
	return nil
}
