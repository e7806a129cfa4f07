package protocol

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// A jsonDecoder reads JSON text, which is known to be valid, into Go values. What
// it takes is what ASP.NET Core takes; names, tags and types that decode
// themselves are those of encoding/json.
type jsonDecoder struct {
	jsonScanner
	hops  int // pointers and interfaces passed
	short shortTexts
}

// decodeJSONInto decodes token into what v points to.
func decodeJSONInto(token []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return errTarget
	}
	if err := checkText(token); err != nil {
		return err
	}
	d := jsonDecoder{jsonScanner: jsonScanner{b: token}}
	return d.into(target.Elem(), planOf(target.Type().Elem()))
}

// checkText reports text that .NET cannot turn into strings, wherever it is in
// token.
func checkText(token []byte) error {
	if !utf8.Valid(token) {
		return errInvalidUTF8
	}
	for {
		i := bytes.Index(token, []byte(`\u`))
		switch {
		case i < 0:
			return nil
		case (i-len(bytes.TrimRight(token[:i], `\`)))%2 == 1: // the backslash is what is escaped
			token = token[i+2:]
		default:
			_, n, err := escapedRune(token[i:])
			if err != nil {
				return err
			}
			token = token[i+n:]
		}
	}
}

// token passes one value and returns its text.
func (d *jsonDecoder) token() []byte {
	d.space()
	start := d.i
	d.value(0)
	return d.b[start:d.i:d.i]
}

// into decodes the next value into v, which can be set and whose plan is p.
func (d *jsonDecoder) into(v reflect.Value, p *plan) error {
	c := d.next()
	switch p.kind {
	case reflect.Pointer:
		return d.pointer(v, p, c)
	case reflect.Interface:
		return d.intoInterface(v, c)
	}
	switch p.json.decode {
	case byRaw:
		v.SetBytes(bytes.Clone(d.token()))
		return nil
	case byJSON: // decides about null itself
		return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(d.token())
	}
	if c == 'n' {
		d.i += len("null")
		return p.setNull(v)
	}
	switch p.json.decode {
	case byTime:
		return unmarshalTime(d.token(), c, v.Addr().Interface().(*time.Time))
	case byNumber:
		return d.jsonNumber(v, c)
	case byText:
		if c != '"' {
			return errKind
		}
		inner, plain, _ := d.str()
		text, err := textBytes(inner, plain)
		if err != nil {
			return err
		}
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text[:len(text):len(text)])
	}
	return d.byKind(v, p, c)
}

func (d *jsonDecoder) pointer(v reflect.Value, p *plan, c byte) error {
	if c == 'n' {
		d.i += len("null")
		v.SetZero()
		return nil
	}
	if v.IsNil() {
		v.Set(reflect.New(p.elem.typ))
	}
	return d.follow(v.Elem(), p.elem)
}

// follow decodes into v, which a pointer refers to.
func (d *jsonDecoder) follow(v reflect.Value, p *plan) error {
	if d.hops++; d.hops > maxHops {
		return errTooDeep
	}
	err := d.into(v, p)
	d.hops--
	return err
}

// intoInterface decodes into an interface: into what the pointer in it refers to,
// as encoding/json does, else the interface must be able to hold any value.
func (d *jsonDecoder) intoInterface(v reflect.Value, c byte) error {
	if e := v.Elem(); e.Kind() == reflect.Pointer && !e.IsNil() && (c != 'n' || e.Elem().Kind() == reflect.Pointer) {
		return d.follow(e.Elem(), planOf(e.Type().Elem()))
	}
	if c == 'n' {
		d.i += len("null")
		v.SetZero()
		return nil
	}
	if v.NumMethod() > 0 {
		return unsupported(v.Type(), "decoded")
	}
	x, err := d.any(0)
	if err == nil {
		v.Set(reflect.ValueOf(x))
	}
	return err
}

// byKind decodes into a v that does not decode itself. The value is not null.
func (d *jsonDecoder) byKind(v reflect.Value, p *plan, c byte) error {
	switch p.kind {
	case reflect.Bool:
		if c != 't' && c != 'f' {
			return errKind
		}
		d.scalar(c)
		v.SetBool(c == 't')
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := d.integer(c, p.typ.Bits())
		if err != nil {
			return err
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		number, err := d.digitsOf(c)
		if err != nil {
			return err
		}
		u, ok := parseUint(number, p.typ.Bits())
		if !ok {
			return errRange
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		number, err := d.digitsOf(c)
		if err != nil {
			return err
		}
		v.SetFloat(parseFloat(number, p.typ.Bits()))
	case reflect.String:
		s, err := d.text(c)
		if err != nil {
			return err
		}
		v.SetString(s)
	case reflect.Slice:
		return d.slice(v, p, c)
	case reflect.Array:
		return d.array(v, p, c)
	case reflect.Map:
		return d.dict(v, p, c)
	case reflect.Struct:
		return d.structure(v, p.json.members, c)
	default:
		return unsupported(p.typ, "decoded")
	}
	return nil
}

// digitsOf passes the number that starts with c and returns its text.
func (d *jsonDecoder) digitsOf(c byte) ([]byte, error) {
	if !isNumber(c) {
		return nil, errKind
	}
	start := d.i
	d.number()
	return d.b[start:d.i], nil
}

// integer passes the number that starts with c and returns its value, an integer of the
// given size. Most are short: BenchmarkPayloads/200_sensor_readings takes 1.08 times as long
// to decode where these, too, are passed first and read then.
func (d *jsonDecoder) integer(c byte, bits int) (int64, error) {
	i, n := d.i, int64(0)
	if c == '-' {
		i++
	}
	for first := i; i < len(d.b) && i < first+9; i++ {
		digit := d.b[i] - '0'
		if digit > 9 {
			if i == first || d.b[i] == '.' || d.b[i]|0x20 == 'e' {
				break
			}
			if c == '-' {
				n = -n
			}
			if n>>(bits-1) != n>>63 {
				break
			}
			d.i = i
			return n, nil
		}
		n = n*10 + int64(digit)
	}
	number, err := d.digitsOf(c)
	if err != nil {
		return 0, err
	}
	n, ok := parseInt(number, bits)
	if !ok {
		return 0, errRange
	}
	return n, nil
}

// text passes the string that starts with c; checkText has seen it.
func (d *jsonDecoder) text(c byte) (string, error) {
	if c != '"' {
		return "", errKind
	}
	inner, plain, _ := d.str()
	return checkedText(inner, plain)
}

func (d *jsonDecoder) slice(v reflect.Value, p *plan, c byte) error {
	if c == '"' && p.elem.kind == reflect.Uint8 {
		s, err := d.text(c)
		if err != nil {
			return err
		}
		b, err := decodeBase64(s)
		if err == nil {
			v.SetBytes(b)
		}
		return err
	}
	if c != '[' || p.json.bytes { // encoding/json takes numbers for bytes
		return errKind
	}
	d.i++
	start, count := d.i, d.count(p.elem)
	v.Set(p.empty) // what was in v may be in use
	for i := 0; d.element(i); i++ {
		if i == v.Cap() {
			if i > 0 || count < 0 {
				count = growList(p.elem, i, -1, d.i-start, len(d.b)-d.i)
			}
			v.Grow(count)
		}
		v.SetLen(i + 1)
		if err := d.into(v.Index(i), p.elem); err != nil { // its memory is new, and zero
			return err
		}
	}
	return nil
}

// count returns how many elements the list has whose bracket was passed, if they
// are numbers or bools, so that each comma is between two of them; else -1.
func (d *jsonDecoder) count(elem *plan) int {
	if elem.json.decode != byKind || elem.kind < reflect.Bool || elem.kind > reflect.Float64 {
		return -1
	}
	end := bytes.IndexByte(d.b[d.i:], ']')
	return bytes.Count(d.b[d.i:d.i+end], []byte(",")) + 1
}

// decodeBase64 takes what .NET takes: blanks anywhere, and no bits left over.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, " \t") { // line ends are passed by the decoder
		s = strings.NewReplacer(" ", "", "\t", "").Replace(s)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// element passes the comma in front of element i of an array or object, or its
// end.
func (d *jsonDecoder) element(i int) bool {
	switch d.next() {
	case ']', '}':
		d.i++
		return false
	case ',':
		if i > 0 {
			d.i++
			d.space()
		}
	}
	return true
}

// array decodes into an array. As for encoding/json, elements without a place are
// skipped, and places without an element are zero.
func (d *jsonDecoder) array(v reflect.Value, p *plan, c byte) error {
	if c != '[' {
		return errKind
	}
	d.i++
	n := 0
	for ; d.element(n); n++ {
		if n >= v.Len() {
			d.value(0)
		} else if err := d.into(v.Index(n), p.elem); err != nil {
			return err
		}
	}
	for ; n < v.Len(); n++ {
		v.Index(n).SetZero()
	}
	return nil
}

func (d *jsonDecoder) dict(v reflect.Value, p *plan, c byte) error {
	if c != '{' {
		return errKind
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(p.typ))
	}
	if p.fill != nil {
		switch dict := v.Interface().(type) {
		case map[string]string:
			return readDict(d, dict, p.elem)
		case map[string]bool:
			return readDict(d, dict, p.elem)
		case map[string]int:
			return readDict(d, dict, p.elem)
		case map[string]int32:
			return readDict(d, dict, p.elem)
		case map[string]int64:
			return readDict(d, dict, p.elem)
		case map[string]float64:
			return readDict(d, dict, p.elem)
		}
	}
	var key, value reflect.Value
	d.i++
	for i := 0; d.element(i); i++ {
		if i == 0 { // an empty map, of which a list may have many, needs none
			key, value = reflect.New(p.key.typ).Elem(), reflect.New(p.elem.typ).Elem()
		}
		name, err := d.text('"')
		if err != nil {
			return err
		}
		if err := setJSONKey(key, p.key, name); err != nil {
			return err
		}
		d.colon()
		value.SetZero()
		if err := d.into(value, p.elem); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

// readDict is dict for a map that has a filler: map_of_20_gauges takes 1.2 times as long to
// decode without. It is no filler itself: what is called by a
// variable moves the decoder to the heap.
func readDict[V any](d *jsonDecoder, dict map[string]V, elem *plan) error {
	x := new(V)
	value := reflect.ValueOf(x).Elem()
	d.i++
	for i := 0; d.element(i); i++ {
		name, err := d.text('"')
		if err != nil {
			return err
		}
		d.colon()
		value.SetZero()
		if err := d.into(value, elem); err != nil {
			return err
		}
		dict[name] = *x
	}
	return nil
}

func (d *jsonDecoder) structure(v reflect.Value, ms *members, c byte) error {
	if c != '{' {
		return errKind
	}
	d.i++
	for i, at := 0, 0; ; i++ {
		m := d.expected(ms, &at, i)
		if m == nil {
			if !d.element(i) {
				return nil
			}
			name, plain, _ := d.str()
			if !plain && bytes.IndexByte(name, '\\') >= 0 {
				name, _ = unescape(make([]byte, 0, len(name)), name) // checkText has seen it
			}
			d.colon()
			if m, at = ms.findFolded(name, at); m == nil {
				d.value(0)
				continue
			}
		}
		at++
		x, err := m.reach(v)
		if err != nil {
			return err
		}
		if m.asString {
			err = d.fromString(x, m.plan)
		} else {
			err = d.into(x, m.plan)
		}
		if err != nil {
			return m.failed(err)
		}
	}
}

// expected passes the comma, name and colon of the member with the number at, or of one of
// the next few, if they are what comes, written without blanks, as element i of an object:
// peers, too, write members in their order. BenchmarkPayloads/page_of_100_orders takes 1.15
// times as long to decode without. It sets at to the number of the member.
func (d *jsonDecoder) expected(ms *members, at *int, i int) *member {
	for n := *at; n < len(ms.list) && n <= *at+mostLeftOut; n++ {
		m := &ms.list[n]
		label := m.label
		if i == 0 {
			label = label[1:]
		}
		if end := d.i + len(label); end <= len(d.b) && string(d.b[d.i:end]) == label {
			*at, d.i = n, end
			return m
		}
	}
	return nil
}

// fromString decodes a value inside a string, as the tag's option "string" asks
// for. null, and types that decode themselves, are decoded as without the
// option.
func (d *jsonDecoder) fromString(v reflect.Value, p *plan) error {
	inner := p
	if p.kind == reflect.Pointer {
		inner = p.elem
	}
	c := d.next()
	if way := inner.json.decode; c == 'n' || way != byKind && way != byNumber {
		return d.into(v, p)
	}
	s, err := d.text(c)
	if err != nil {
		return err
	}
	inside := jsonDecoder{jsonScanner: jsonScanner{b: []byte(s)}}
	if c := inside.next(); inside.i > 0 || c == 0 || !inside.scalar(c) || inside.i != len(s) {
		return errKind
	}
	inside.i = 0
	return inside.into(v, p)
}

// jsonNumber decodes into a json.Number, for which a string will do, too.
func (d *jsonDecoder) jsonNumber(v reflect.Value, c byte) error {
	if c == '"' {
		s, err := d.text(c)
		if err != nil {
			return err
		}
		if n := (jsonScanner{b: []byte(s)}); !n.number() || n.i != len(s) {
			return errKind
		}
		v.SetString(s)
		return nil
	}
	number, err := d.digitsOf(c)
	if err == nil {
		v.SetString(string(number))
	}
	return err
}
