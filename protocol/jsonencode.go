package protocol

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// maxHops is how many pointers, and in JSON interfaces, may be passed on the way to
// a value. Only a value that contains itself has so many.
const maxHops = 1000

// errJSONTooDeep has ASP.NET Core's text.
var errJSONTooDeep = &Error{"JsonException", "A possible object cycle was detected. This can either be due to a cycle or if the object depth is larger than the maximum allowed depth of 64. Consider using ReferenceHandler.Preserve on JsonSerializerOptions to support cycles."}

// A jsonEncoder appends Go values as JSON. Members, names and what is left out
// are those of encoding/json; numbers, times, strings and the bound on nesting
// are those of ASP.NET Core, however deep inside a value.
type jsonEncoder struct {
	left int // containers that may still be opened
	hops int // pointers and interfaces passed
}

// any appends v. Common types need no reflection.
func (e *jsonEncoder) any(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return appendJSONString(dst, v), nil
	case *string:
		if v == nil {
			return append(dst, "null"...), nil
		}
		return appendJSONString(dst, *v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int8:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int16:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case uint8:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case uint16:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case uint32:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case float32:
		return appendJSONFloat(dst, float64(v), 32)
	case float64:
		return appendJSONFloat(dst, v, 64)
	case []byte:
		return appendBase64(dst, v), nil
	case Raw:
		return e.raw(dst, v)
	case []any:
		return e.list(dst, v)
	case map[string]any:
		return e.dict(dst, v)
	}
	r := reflect.ValueOf(v)
	return e.value(dst, r, planOf(r.Type()))
}

// raw appends a value that is JSON already. It must be UTF-8, since a WebSocket whose text
// is not ends. A carriage return, which can only be a blank, would end the line of an event
// stream.
func (e *jsonEncoder) raw(dst []byte, raw Raw) ([]byte, error) {
	if raw == nil {
		return append(dst, "null"...), nil
	}
	if !utf8.Valid(raw) {
		return nil, errInvalidUTF8
	}
	s := jsonScanner{b: raw}
	if !s.value(maxJSONDepth-e.left) || s.i != len(raw) {
		return nil, errNoJSON
	}
	start := len(dst)
	dst = append(dst, raw...)
	for i := bytes.IndexByte(dst[start:], '\r'); i >= 0; i = bytes.IndexByte(dst[start:], '\r') {
		start += i
		dst[start] = ' '
	}
	return dst, nil
}

// list appends a list whose elements are of any type.
func (e *jsonEncoder) list(dst []byte, list []any) (_ []byte, err error) {
	if list == nil {
		return append(dst, "null"...), nil
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = e.any(dst, v); err != nil {
			return nil, err
		}
	}
	e.left++
	return append(dst, ']'), nil
}

// dict is list for a map; it is written in the order of its keys.
func (e *jsonEncoder) dict(dst []byte, dict map[string]any) (_ []byte, err error) {
	if dict == nil {
		return append(dst, "null"...), nil
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	keys := sortedKeys(dict)
	for i, key := range *keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, key), ':')
		if dst, err = e.any(dst, dict[key]); err != nil {
			return nil, err // the list is no longer used
		}
	}
	freeKeys(keys)
	e.left++
	return append(dst, '}'), nil
}

// keyLists have memory for the keys of a map[string]any.
var keyLists = sync.Pool{New: func() any { return new([]string) }}

// sortedKeys returns the keys of dict in their order, in memory for freeKeys.
func sortedKeys(dict map[string]any) *[]string {
	keys := keyLists.Get().(*[]string)
	*keys = slices.AppendSeq((*keys)[:0], maps.Keys(dict))
	slices.Sort(*keys)
	return keys
}

func freeKeys(keys *[]string) {
	if clear(*keys); cap(*keys) <= maxKeptEntries {
		keyLists.Put(keys)
	}
}

// open counts an array or object. Its end counts it back, but after an error,
// when nothing is encoded any more.
func (e *jsonEncoder) open() error {
	if e.left <= 0 {
		return errJSONTooDeep
	}
	e.left--
	return nil
}

// value appends v, whose plan is p.
func (e *jsonEncoder) value(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	way := p.json.encode
	if v.CanAddr() {
		way = p.json.addressed
	}
	switch way {
	case byTime:
		if v.CanAddr() {
			return appendJSONTime(dst, *v.Addr().Interface().(*time.Time))
		}
		return appendJSONTime(dst, v.Interface().(time.Time))
	case byRaw:
		return e.raw(dst, v.Bytes())
	case byNumber:
		return appendJSONNumber(dst, v.String())
	case byOwn:
		return withMethods(v).(jsonAppender).appendJSON(dst)
	case byJSON:
		text, err := withMethods(v).(json.Marshaler).MarshalJSON()
		if err != nil {
			return nil, err
		}
		return finishJSON(dst, text, e.left)
	case byText:
		text, err := withMethods(v).(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return nil, err
		}
		return appendJSONString(dst, text), nil
	}
	return e.byKind(dst, v, p)
}

// byKind appends a v that has no encoding of its own.
func (e *jsonEncoder) byKind(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	switch p.kind {
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	case reflect.Float32:
		return appendJSONFloat(dst, v.Float(), 32)
	case reflect.Float64:
		return appendJSONFloat(dst, v.Float(), 64)
	case reflect.String:
		return appendJSONString(dst, v.String()), nil
	case reflect.Struct:
		return e.structure(dst, v, p.json.members)
	case reflect.Array:
		return e.elements(dst, v, p.elem)
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		switch {
		case p.kind == reflect.Map:
			return e.entries(dst, v, p)
		case p.kind != reflect.Slice:
			return e.target(dst, v, p)
		case p.json.bytes:
			return appendBase64(dst, v.Bytes()), nil
		}
		return e.elements(dst, v, p.elem)
	}
	return nil, unsupported(p.typ, "encoded")
}

// target appends what the pointer or interface v refers to.
func (e *jsonEncoder) target(dst []byte, v reflect.Value, p *plan) (_ []byte, err error) {
	if e.hops++; e.hops > maxHops {
		return nil, errJSONTooDeep
	}
	if p.kind == reflect.Interface {
		dst, err = e.any(dst, v.Elem().Interface())
	} else {
		dst, err = e.value(dst, v.Elem(), p.elem)
	}
	e.hops--
	return dst, err
}

func (e *jsonEncoder) elements(dst []byte, v reflect.Value, elem *plan) (_ []byte, err error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if elem.json.alwaysByKind {
			dst, err = e.byKind(dst, v.Index(i), elem)
		} else {
			dst, err = e.value(dst, v.Index(i), elem)
		}
		if err != nil {
			return nil, err
		}
	}
	e.left++
	return append(dst, ']'), nil
}

// entries appends a map in the order of its keys' text.
func (e *jsonEncoder) entries(dst []byte, v reflect.Value, p *plan) (_ []byte, err error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	sorted, err := sortedEntries(v, p, jsonKey)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	for i, x := range sorted.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, x.name), ':')
		if dst, err = e.value(dst, sorted.value(x), p.elem); err != nil {
			return nil, err
		}
	}
	sorted.free(p)
	e.left++
	return append(dst, '}'), nil
}

func (e *jsonEncoder) structure(dst []byte, v reflect.Value, ms *members) (_ []byte, err error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	start := len(dst)
	for i := range ms.list {
		m := &ms.list[i]
		var x reflect.Value
		if m.field >= 0 {
			x = v.Field(m.field)
		} else {
			var ok bool
			if x, ok = m.embedded(v); !ok { // the embedded pointer is nil
				continue
			}
		}
		if m.omit != nil && m.omit(x) {
			continue
		}
		dst = m.appendLabel(dst)
		switch {
		case m.byKind:
			dst, err = e.byKind(dst, x, m.plan)
		case m.asString:
			dst, err = e.asString(dst, x, m.plan)
		default:
			dst, err = e.value(dst, x, m.plan)
		}
		if err != nil {
			return nil, m.failed(err)
		}
	}
	e.left++
	if len(dst) == start {
		return append(dst, "{}"...), nil
	}
	dst[start] = '{' // in place of the comma of the first
	return append(dst, '}'), nil
}

// asString appends v inside a string, as the tag's option "string" asks for.
// nil, and types that encode themselves, are encoded as without the option.
func (e *jsonEncoder) asString(dst []byte, v reflect.Value, p *plan) ([]byte, error) {
	if p.kind == reflect.Pointer {
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		v, p = v.Elem(), p.elem
	}
	if way := p.json.encode; way != byKind && way != byNumber || way != p.json.addressed && v.CanAddr() {
		return e.value(dst, v, p)
	}
	text, err := e.value(nil, v, p)
	if err != nil {
		return nil, err
	}
	return appendJSONString(dst, text), nil
}

// appendJSONTime appends t with at most seven digits of a second.
func appendJSONTime(dst []byte, t time.Time) ([]byte, error) {
	minutes, err := offsetOf(t)
	if err != nil {
		return nil, err
	}
	if dst, err = appendClock(append(dst, '"'), t); err != nil {
		return nil, err
	}
	if _, offset := t.Zone(); offset == 0 {
		return append(dst, 'Z', '"'), nil
	}
	return append(appendOffset(dst, minutes), '"'), nil
}

// appendJSONNumber appends the text of a json.Number; an empty one is 0, as
// encoding/json has it.
func appendJSONNumber(dst []byte, number string) ([]byte, error) {
	if number == "" {
		return append(dst, '0'), nil
	}
	s := jsonScanner{b: []byte(number)}
	if !s.number() || s.i != len(number) {
		return nil, fmt.Errorf("number %q is not valid JSON", number)
	}
	return append(dst, number...), nil
}
