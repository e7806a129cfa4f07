package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
)

// AppendValue appends v as JSON. Types are encoded as encoding/json does, but
// strings are escaped and floating-point numbers formatted as ASP.NET Core
// does, and at most 64 arrays and objects may be nested. A Raw is checked and
// copied. NaN and infinities are errors.
func (c JSON) AppendValue(dst []byte, v any) ([]byte, error) {
	out, err := c.appendValue(dst, v, maxJSONDepth)
	if err != nil {
		return dst, fmt.Errorf("encode %T as JSON: %w", v, err)
	}
	return out, nil
}

// appendValue appends v, which may nest as deep as depth.
func (c JSON) appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if raw, ok := v.(Raw); ok {
		if raw == nil {
			return append(dst, "null"...), nil
		}
		return c.appendPayload(dst, raw, nil, maxJSONDepth-depth)
	}
	if c.Values != nil {
		text, err := c.Values.Marshal(v)
		if err != nil {
			return nil, err
		}
		return finishJSON(dst, text, depth)
	}
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
	case json.RawMessage:
		if v == nil {
			return append(dst, "null"...), nil
		}
		return finishJSON(dst, v, depth)
	case []any:
		return c.appendList(dst, v, depth)
	case map[string]any:
		return c.appendDict(dst, v, depth)
	}
	return appendStandard(dst, v, depth)
}

// appendList appends a list whose elements are of any type: each is a value of
// its own.
func (c JSON) appendList(dst []byte, list []any, depth int) (_ []byte, err error) {
	if list == nil {
		return append(dst, "null"...), nil
	}
	if depth == 0 {
		return nil, errTooDeep
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.appendValue(dst, v, depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// appendDict is appendList for a map; it is written in the order of its keys.
func (c JSON) appendDict(dst []byte, dict map[string]any, depth int) (_ []byte, err error) {
	if dict == nil {
		return append(dst, "null"...), nil
	}
	if depth == 0 {
		return nil, errTooDeep
	}
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(dict)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, key), ':')
		if dst, err = c.appendValue(dst, dict[key], depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// maxPooledBuffer is the largest buffer that is kept, in bytes.
const maxPooledBuffer = 64 << 10

var jsonBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// appendStandard appends v by encoding/json.
func appendStandard(dst []byte, v any, depth int) ([]byte, error) {
	buf := jsonBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooledBuffer {
			buf.Reset()
			jsonBuffers.Put(buf)
		}
	}()
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	text := buf.Bytes()
	if shape := jsonShapeOf(reflect.TypeOf(v)); shape.writes {
		var err error
		if text, err = editJSON(text, shape, true); err != nil {
			return nil, err
		}
	}
	return finishJSON(dst, text, depth)
}

func finishJSON(dst, text []byte, depth int) ([]byte, error) {
	dst, ok := appendJSONText(dst, text, depth)
	if !ok {
		return nil, errNoJSON
	}
	return dst, nil
}

func appendBase64(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// appendJSONFloat appends f, which came from so many bits, in .NET's shortest
// form: 1E+20, 1.5E-05, and no fraction where there is none.
func appendJSONFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v has no form in JSON", f)
	}
	abs := math.Abs(f)
	scientific := abs != 0 && (abs < 1e-4 || abs >= 1e17)
	if bits == 32 {
		scientific = abs != 0 && (float32(abs) < 1e-4 || float32(abs) >= 1e9)
	}
	if scientific {
		return strconv.AppendFloat(dst, f, 'E', -1, bits), nil
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits), nil
}
