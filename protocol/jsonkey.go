package protocol

import (
	"cmp"
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An entry is one of a map, with its key as text.
type entry struct {
	name  string
	value reflect.Value
}

// sortedEntries returns the entries of the map v in the order of the names that
// name gives them.
func sortedEntries(v reflect.Value, p *plan, name func(key reflect.Value) (string, error)) (list []entry, err error) {
	list = make([]entry, 0, v.Len())
	key := reflect.New(p.key.typ).Elem()
	for each := v.MapRange(); each.Next(); {
		key.SetIterKey(each)
		x := entry{value: each.Value()}
		if p.key.kind == reflect.String {
			x.name = key.String()
		} else if x.name, err = name(key); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}

// jsonKey is the key of a map as text. Like ASP.NET Core, and unlike
// encoding/json, it takes bools, floats, and interfaces that hold a key of such
// a type.
func jsonKey(v reflect.Value) (string, error) {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return v.String(), nil
	}
	if t, ok := v.Interface().(time.Time); ok {
		quoted, err := appendJSONTime(nil, t)
		return string(bytesInside(quoted)), err
	}
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return "", nil
		}
		b, err := text.MarshalText()
		return string(b), err
	}
	switch k := v.Kind(); {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	case v.CanFloat():
		b, err := appendJSONFloat(nil, v.Float(), v.Type().Bits())
		return string(b), err
	case k == reflect.Bool && v.Bool():
		return "True", nil
	case k == reflect.Bool:
		return "False", nil
	}
	return "", unsupported(v.Type(), "keys in JSON")
}

// bytesInside is the text of a string that needs no escapes, without its
// quotes.
func bytesInside(quoted []byte) []byte {
	if len(quoted) < 2 {
		return nil
	}
	return quoted[1 : len(quoted)-1]
}

// setJSONKey sets v to the key whose text is name; see jsonKey.
func setJSONKey(v reflect.Value, p *plan, name string) error {
	if p.kind == reflect.String && p.json.decode == byKind {
		v.SetString(name)
		return nil
	}
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		c, err := parseClock(name)
		*t = c.instant()
		return err
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		v.SetZero()
		return t.UnmarshalText([]byte(name))
	}
	var err error
	switch p.kind {
	case reflect.String:
		v.SetString(name)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, err = strconv.ParseInt(name, 10, p.typ.Bits())
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var u uint64
		u, err = strconv.ParseUint(name, 10, p.typ.Bits())
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		if s := (jsonScanner{b: []byte(name)}); !s.number() || s.i != len(name) {
			return errKind
		}
		v.SetFloat(parseFloat([]byte(name), p.typ.Bits()))
	case reflect.Bool:
		v.SetBool(strings.EqualFold(name, "true"))
		if !v.Bool() && !strings.EqualFold(name, "false") {
			return errKind
		}
	default:
		return unsupported(p.typ, "keys in JSON")
	}
	if err != nil {
		return keyError(err)
	}
	return nil
}

// keyError is err without the text of the key.
func keyError(err error) error {
	if strings.HasSuffix(err.Error(), strconv.ErrRange.Error()) {
		return errRange
	}
	return errKind
}
