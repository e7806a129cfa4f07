package protocol

import (
	"bytes"
	"fmt"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// recordSeparator ends each JSON record and both handshake messages.
const recordSeparator = 0x1e

// JSON is the codec "json": one JSON object per message, followed by the byte
// 0x1E. The zero value is ready to use.
//
// Source: docs/reference/hub-protocol.md, section 2.
type JSON struct {
	// Values encodes and decodes arguments, items and results. Nil means this
	// package, which reads encoding/json's tags and interfaces and is as strict
	// and as exact as ASP.NET Core; see AppendValue and Unmarshal.
	Values JSONValues
}

// JSONValues replaces what encodes and decodes the values inside JSON
// messages, for instance by a faster library. It sees every value but Raw.
// What Marshal returns is checked, compacted, and escaped as ASP.NET Core
// does. Its methods must be safe for concurrent use; Unmarshal must not keep
// data.
type JSONValues interface {
	// Marshal returns the JSON text of v, as json.Marshal does.
	Marshal(v any) ([]byte, error)
	// Unmarshal decodes one JSON value into what v points to, as json.Unmarshal does.
	Unmarshal(data []byte, v any) error
}

// Errors of JSON text. Texts are those of ASP.NET Core.
var (
	errReadingJSON   = &Error{"InvalidDataException", "Error reading JSON."}
	errInvalidUTF8   = &Error{"InvalidOperationException", "Cannot transcode invalid UTF-8 JSON text to UTF-16 string."}
	errLoneSurrogate = &Error{"InvalidOperationException", "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate."}
)

// errBadSurrogate is for a surrogate that does not follow, or is not followed
// by, its other half.
func errBadSurrogate(r rune) error {
	return &Error{"InvalidOperationException", fmt.Sprintf("Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x%X'.", r)}
}

// Name is "json".
func (JSON) Name() string { return "json" }

// Binary is false: JSON travels as text.
func (JSON) Binary() bool { return false }

// Next decodes the first record of buf; see Codec. Text between the end of
// the object and 0x1E is ignored, as in ASP.NET Core.
func (JSON) Next(buf []byte) (m Message, rest []byte, err error) { return nextJSON(nil, buf) }

func nextJSON(memory *scratch, buf []byte) (m Message, rest []byte, err error) {
	end := bytes.IndexByte(buf, recordSeparator)
	if end < 0 {
		return nil, buf, ErrIncomplete
	}
	rest = buf[end+1:]
	m, err = readJSONMessage(buf[:end:end], memory)
	return m, rest, err
}

// missingJSON is Missing for JSON: where a record ends is known only once its
// separator has come.
func missingJSON(buf []byte, seen int) int {
	if bytes.IndexByte(buf[min(seen, len(buf)):], recordSeparator) < 0 {
		return 1
	}
	return 0
}

// A jsonReader reads the tokens of a record, with the errors of ASP.NET Core.
type jsonReader struct{ jsonScanner }

// object passes the opening brace of the record.
func (r *jsonReader) object() error {
	if r.next() != '{' {
		kind, err := r.tokenKind()
		if err != nil {
			return err
		}
		return invalidData("Unexpected JSON Token Type '" + kind + "'. Expected a JSON Object.")
	}
	r.i++
	return nil
}

// member passes the name of the next member and its colon. more is false
// after the last one, whose brace is passed.
func (r *jsonReader) member(first bool) (name []byte, more bool, err error) {
	c := r.next()
	if c == '}' {
		r.i++
		return nil, false, nil
	}
	if !first {
		if c != ',' {
			return nil, false, errReadingJSON
		}
		r.i++
		c = r.next()
	}
	if c != '"' {
		return nil, false, errReadingJSON
	}
	name, plain, ok := r.str()
	if !ok || !r.colon() {
		return nil, false, errReadingJSON
	}
	if !plain && bytes.IndexByte(name, '\\') >= 0 {
		name, err = unescape(make([]byte, 0, len(name)), name)
	}
	return name, true, err
}

// tokenKind names the token that comes next as ASP.NET Core does in its errors,
// once it has checked that it is one: scalars are passed, containers are not.
func (r *jsonReader) tokenKind() (string, error) {
	c := r.next()
	switch c {
	case '[':
		return "Array", nil
	case '{':
		return "Object", nil
	}
	if !r.scalar(c) {
		return "", errReadingJSON
	}
	switch c {
	case '"':
		return "String", nil
	case 't':
		return "True", nil
	case 'f':
		return "False", nil
	case 'n':
		return "Null", nil
	}
	return "Number", nil
}

// mismatch is the error for a value of the wrong kind, unless it is no value
// at all.
func (r *jsonReader) mismatch(text string) error {
	if _, err := r.tokenKind(); err != nil {
		return err
	}
	return invalidData(text)
}

// string reads the string member called name.
func (r *jsonReader) string(name string) (string, error) {
	return r.stringIn(nil, (*scratch).text, name)
}

// stringIn is string for a member that most messages have: keep puts its text
// into memory.
func (r *jsonReader) stringIn(memory *scratch, keep func(*scratch, []byte) string, name string) (string, error) {
	if r.next() != '"' {
		return "", r.mismatch("Expected '" + name + "' to be of type String.")
	}
	inner, plain, ok := r.str()
	if !ok {
		return "", errReadingJSON
	}
	if plain {
		return keep(memory, inner), nil
	}
	return text(inner, plain)
}

// integer reads the number member called name, which must be an integer of
// the given size. null is not an error but reported as absent.
func (r *jsonReader) integer(name string, bits int) (n int64, present bool, err error) {
	c := r.next()
	if c == 'n' {
		if !r.literal("null") {
			return 0, false, errReadingJSON
		}
		return 0, false, nil
	}
	if c != '-' && c-'0' > 9 {
		return 0, false, r.mismatch("Expected '" + name + "' to be of type Number.")
	}
	start := r.i
	if !r.number() {
		return 0, false, errReadingJSON
	}
	n, ok := parseInt(r.b[start:r.i], bits)
	if !ok {
		return 0, false, &Error{"FormatException", fmt.Sprintf("Either the JSON value is not in a supported format, or is out of bounds for the Int%d type.", bits)}
	}
	return n, true, nil
}

// raw passes one value and returns its text.
func (r *jsonReader) raw(open int) (Raw, error) {
	r.space()
	start := r.i
	if !r.value(open) {
		return nil, errReadingJSON
	}
	return Raw(r.b[start:r.i:r.i]), nil
}

func invalidData(text string) error { return &Error{"InvalidDataException", text} }

// parseInt reads an integer of the given size from a JSON number. It refuses
// fractions and exponents, whatever their value.
func parseInt(number []byte, bits int) (n int64, ok bool) {
	negative := len(number) > 0 && number[0] == '-'
	digits := number
	if negative {
		digits = number[1:]
	}
	u, ok := parseUint(digits, 64)
	limit := uint64(1) << (bits - 1)
	switch {
	case !ok || u > limit || u == limit && !negative:
		return 0, false
	case negative:
		return -int64(u), true
	}
	return int64(u), true
}

// parseUint is parseInt without a sign.
func parseUint(digits []byte, bits int) (u uint64, ok bool) {
	if len(digits) == 0 || len(digits) > 20 {
		return 0, false
	}
	safe := min(len(digits), 19) // digits that 64 bits have space for
	for _, c := range digits[:safe] {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		u = u*10 + d
	}
	for _, c := range digits[safe:] {
		d := uint64(c - '0')
		if d > 9 || u > (1<<64-1-d)/10 {
			return 0, false
		}
		u = u*10 + d
	}
	return u, bits == 64 || u>>bits == 0
}

// text decodes what str returned.
func text(inner []byte, plain bool) (string, error) {
	if plain {
		return string(inner), nil
	}
	if !utf8.Valid(inner) {
		return "", errInvalidUTF8
	}
	return checkedText(inner, plain)
}

// checkedText is text of what is known to be UTF-8.
func checkedText(inner []byte, plain bool) (string, error) {
	if plain || bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	memory := unescapeMemories.Get().(*[]byte)
	defer unescapeMemories.Put(memory)
	b, err := unescape((*memory)[:0], inner)
	if cap(b) <= maxKeptText {
		*memory = b
	}
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// unescapeMemories have what texts with escapes are decoded in, of at most maxKeptText
// bytes: the texts themselves have no more memory than they need.
var unescapeMemories = sync.Pool{New: func() any { return new([]byte) }}

const maxKeptText = 64 << 10

// textBytes is text that copies nothing where there is no escape.
func textBytes(inner []byte, plain bool) ([]byte, error) {
	if plain {
		return inner, nil
	}
	if !utf8.Valid(inner) {
		return nil, errInvalidUTF8
	}
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	b, err := unescape(make([]byte, 0, len(inner)), inner)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// unescape appends the text of a string that str accepted. Bytes that are no
// escapes are copied as they are.
func unescape(dst, inner []byte) ([]byte, error) {
	for i := 0; i < len(inner); {
		n := bytes.IndexByte(inner[i:], '\\')
		if n < 0 {
			return append(dst, inner[i:]...), nil
		}
		dst = append(dst, inner[i:i+n]...)
		i += n
		c := inner[i+1]
		if c != 'u' {
			dst = append(dst, shortEscape(c))
			i += 2
			continue
		}
		r, n, err := escapedRune(inner[i:])
		if err != nil {
			return dst, err
		}
		i += n
		dst = utf8.AppendRune(dst, r)
	}
	return dst, nil
}

// escapedRune returns the character that b starts with, written as one \uXXXX or as two,
// and their length.
func escapedRune(b []byte) (r rune, n int, err error) {
	r = hex4(b)
	if !utf16.IsSurrogate(r) {
		return r, 6, nil
	}
	low := hex4(b[6:])
	whole := utf16.DecodeRune(r, low)
	switch {
	case r >= 0xdc00:
		return 0, 0, errBadSurrogate(r)
	case low < 0:
		return 0, 0, errLoneSurrogate
	case whole == utf8.RuneError:
		return 0, 0, errBadSurrogate(low)
	}
	return whole, 12, nil
}

func shortEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // '"', '\\' and '/'
}
