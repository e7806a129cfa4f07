package protocol

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An entry is one of a map, with its key as text.
type entry struct {
	name string
	at   int // of its value
}

// entries are those of a map in the order of their names, in memory that the maps
// of a type use again.
type entries struct {
	list   []entry
	key    reflect.Value   // a variable for keys
	copies reflect.Value   // a slice with the values, where the plan says that they may be there
	typed  any             // a pointer to copies, where the plan has a filler
	values []reflect.Value // else, or where there were more than the map had
}

// value returns the value of one.
func (e *entries) value(x entry) reflect.Value {
	if x.at < 0 {
		return e.values[-1-x.at]
	}
	return e.copies.Index(x.at)
}

// sortedEntries returns the entries of the map v in the order of the names that
// name gives them. They must be freed.
func sortedEntries(v reflect.Value, p *plan, name func(key reflect.Value, p *plan) (string, error)) (*entries, error) {
	e, ok := p.entries.Get().(*entries)
	if !ok {
		e = &entries{key: reflect.New(p.key.typ).Elem()}
	}
	if p.fill != nil {
		p.fill(e, v)
		e.sort()
		return e, nil
	}
	n := v.Len()
	if p.copied && (!e.copies.IsValid() || e.copies.Len() < n) {
		e.copies = reflect.MakeSlice(reflect.SliceOf(p.elem.typ), n, n)
	}
	for each := v.MapRange(); each.Next(); {
		e.key.SetIterKey(each)
		x := entry{at: len(e.list)}
		if p.copied && x.at < n {
			e.copies.Index(x.at).SetIterValue(each)
		} else {
			e.values = append(e.values, each.Value())
			x.at = -len(e.values)
		}
		if p.key.kind == reflect.String {
			x.name = e.key.String()
		} else {
			var err error
			if x.name, err = name(e.key, p.key); err != nil {
				return nil, err
			}
		}
		e.list = append(e.list, x)
	}
	e.sort()
	return e, nil
}

func (e *entries) sort() {
	slices.SortFunc(e.list, func(a, b entry) int { return strings.Compare(a.name, b.name) })
}

// fillers add the entries of maps that come often, without reflection for each of them:
// BenchmarkPayloads/map_of_20_gauges takes 1.4 times as long without.
var fillers = map[reflect.Type]func(*entries, reflect.Value){
	reflect.TypeFor[map[string]string]():  fill[string],
	reflect.TypeFor[map[string]bool]():    fill[bool],
	reflect.TypeFor[map[string]int]():     fill[int],
	reflect.TypeFor[map[string]int32]():   fill[int32],
	reflect.TypeFor[map[string]int64]():   fill[int64],
	reflect.TypeFor[map[string]float64](): fill[float64],
}

// fill adds the entries of v, which is a map[string]V.
func fill[V any](e *entries, v reflect.Value) {
	copies, ok := e.typed.(*[]V)
	if !ok {
		copies = new([]V)
		e.typed, e.copies = copies, reflect.ValueOf(copies).Elem()
	}
	*copies = (*copies)[:0]
	for name, value := range v.Interface().(map[string]V) {
		e.list = append(e.list, entry{name, len(*copies)})
		*copies = append(*copies, value)
	}
}

// maxKeptEntries is of how many entries the memory is kept.
const maxKeptEntries = 256

// free gives the memory back to the plan of the map.
func (e *entries) free(p *plan) {
	if len(e.list) > maxKeptEntries {
		return
	}
	e.key.SetZero()
	if p.copied && len(e.list) > 0 {
		e.copies.Clear()
	}
	clear(e.list)
	clear(e.values)
	e.list, e.values = e.list[:0], e.values[:0]
	p.entries.Put(e)
}

// mayCopy reports whether values of a map can be encoded from a variable that they
// were copied to. It has an address, which the value in the map has not: types that
// encode themselves only where they have one would be seen to do so.
func mayCopy(elem *plan) bool {
	switch elem.kind {
	case reflect.Struct, reflect.Array:
		return false
	}
	return elem.json.encode == elem.json.addressed && elem.pack.encode == elem.pack.addressed
}

// jsonKey is the key of a map as text. Like ASP.NET Core, and unlike
// encoding/json, it takes bools, floats, and interfaces that hold a key of such
// a type; enums have their name, and types of this package the text of their values.
func jsonKey(v reflect.Value, p *plan) (string, error) {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
		p = planOf(v.Type())
	}
	k := v.Kind()
	if k == reflect.String {
		return v.String(), nil
	}
	if p.enum != nil || p.json.encode != byKind || refersOn(p.typ) { // numbers need no search, and no memory for it
		if name, ok, err := ownJSONKey(v, p); ok {
			return name, err
		}
	}
	switch {
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

// ownJSONKey is the name of a key whose type says what it is; ok is false for others.
func ownJSONKey(v reflect.Value, p *plan) (name string, ok bool, err error) {
	if p.enum != nil {
		return p.enum().name(enumValue(v)), true, nil
	}
	if p.isOwnText() {
		quoted, err := v.Interface().(jsonAppender).appendJSON(nil)
		if err != nil {
			return "", true, err
		}
		err = unmarshalString(quoted, '"', &name)
		return name, true, err
	}
	switch key := v.Interface().(type) {
	case time.Time:
		quoted, err := appendJSONTime(nil, key)
		return string(bytesInside(quoted)), true, err
	case encoding.TextMarshaler:
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return "", true, nil
		}
		b, err := key.MarshalText()
		return string(b), true, err
	}
	return "", false, nil
}

// isOwnText reports a type of this package whose JSON is a string, and that is no
// encoding.TextMarshaler of its own: some have the one of the time.Time in them.
func (p *plan) isOwnText() bool {
	return p.json.encode == byOwn && p.json.decode == byJSON && p.typ != reflect.TypeFor[Decimal]()
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
		c, err := parseClock([]byte(name))
		*t = c.instant()
		return err
	}
	if p.enum != nil {
		value, ok := p.enum().parseKey(name)
		if !ok {
			return errKind
		}
		return setEnum(v, value)
	}
	if p.isOwnText() {
		return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(appendJSONString(nil, name))
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
