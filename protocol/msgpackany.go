package protocol

import (
	"bytes"
	"reflect"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/msgp"
)

// maxMessagePackDepth is how deep values may nest when they are encoded or
// decoded. It is the limit of MessagePack-CSharp for untrusted data; a value
// that contains itself ends there, too.
const maxMessagePackDepth = 500

// A mpReader reads values of MessagePack into values of Go.
type mpReader struct {
	msgp.Reader
	hops  int // pointers passed
	short shortTexts
}

func newMPReader(b []byte) mpReader { return mpReader{Reader: msgp.NewReader(b)} }

// any decodes the next value without knowing what it is. As in .NET, integers
// get the type of their format: positive ones of a byte are a uint8, negative
// ones an int8, and so on up to uint64 and int64. Floats are float32 or
// float64, byte strings []byte, arrays []any, timestamps time.Time in UTC.
// Maps are map[string]any, or map[any]any if a key is no string.
func (r *mpReader) any(depth int) (any, error) {
	if depth > maxMessagePackDepth {
		return nil, errTooDeep
	}
	switch msgp.KindOf(r.Code()) {
	case msgp.KindInteger:
		return r.anyInteger(), nil
	case msgp.KindMap:
		return r.anyMap(depth)
	case msgp.KindArray:
		return r.anyArray(depth)
	case msgp.KindStr:
		return r.anyText(), nil
	case msgp.KindNil:
		r.Nil()
		return nil, nil
	case msgp.KindBool:
		b, _ := r.Bool()
		return b, nil
	case msgp.KindBin:
		b, _ := r.Bin()
		return bytes.Clone(b), nil
	case msgp.KindFloat:
		if f, ok := r.Float32(); ok {
			return f, nil
		}
		f, _ := r.Float()
		return f, nil
	}
	t, err := r.timestamp()
	return t, err
}

func (r *mpReader) anyInteger() any {
	c := r.Code()
	u, _, _ := r.Integer()
	switch {
	case c < msgp.FixMap || c == msgp.Uint8:
		return uint8(u)
	case c >= msgp.Negative || c == msgp.Int8:
		return int8(u)
	case c == msgp.Uint16:
		return uint16(u)
	case c == msgp.Uint32:
		return uint32(u)
	case c == msgp.Int16:
		return int16(u)
	case c == msgp.Int32:
		return int32(u)
	case c == msgp.Int64:
		return int64(u)
	}
	return u
}

func (r *mpReader) anyArray(depth int) (any, error) {
	n, ok := r.Array()
	if !ok {
		return nil, errKind
	}
	list := make([]any, 0, min(n, 1024))
	for range n {
		x, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func (r *mpReader) anyMap(depth int) (_ any, err error) {
	n, ok := r.Map()
	if !ok {
		return nil, errKind
	}
	names := make(map[string]any)
	var mixed map[any]any
	for range n {
		if mixed == nil && msgp.KindOf(r.Code()) == msgp.KindStr {
			name := r.anyText()
			if names[name], err = r.any(depth + 1); err != nil {
				return nil, err
			}
			continue
		}
		key, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		value, err := r.any(depth + 1)
		if err != nil {
			return nil, err
		}
		switch {
		case !reflect.ValueOf(key).IsValid() || !reflect.ValueOf(key).Comparable():
			return nil, errKind
		case mixed == nil:
			mixed = make(map[any]any, len(names)+1)
			for k, v := range names {
				mixed[k] = v
			}
		}
		mixed[key] = value
	}
	if mixed != nil {
		return mixed, nil
	}
	return names, nil
}

// anyText passes a string.
func (r *mpReader) anyText() string {
	s, _ := r.Str()
	if !utf8.Valid(s) {
		return mpText(s)
	}
	return r.short.of(r.Again(len(s)), len(s), -r.Left()-len(s))
}

// mpText makes a Go string of a string's bytes. As .NET does, it replaces what
// is not UTF-8 with U+FFFD, so that the text can go on to JSON clients.
func mpText(b []byte) string {
	return string(mpBytes(b))
}

// mpBytes is mpText that copies nothing where nothing is replaced.
func mpBytes(b []byte) []byte {
	if utf8.Valid(b) {
		return b[:len(b):len(b)]
	}
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}
