package protocol

import (
	"encoding/base64"
	"fmt"
)

// AppendValue appends v as JSON. Types are encoded as encoding/json does, with
// its tags and interfaces; but the escapes of strings, floating-point numbers,
// times and bounds are those of ASP.NET Core, however deep inside v: at most 64
// arrays and objects may be nested, times have seven digits of a second, maps
// may have keys that are bools or floats, or of any such type in a map[any]. A
// Raw is checked and copied. NaN and infinities are errors.
func (c JSON) AppendValue(dst []byte, v any) ([]byte, error) {
	out, err := c.appendValue(dst, v, maxJSONDepth)
	if err != nil {
		return dst, &ValueError{Where: fmt.Sprintf("encode %T as JSON", v), Err: err}
	}
	return out, nil
}

// appendValue appends v, which may nest as deep as depth.
func (c JSON) appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if _, ok := v.(Raw); c.Values != nil && !ok {
		text, err := c.Values.Marshal(v)
		if err != nil {
			return nil, err
		}
		return finishJSON(dst, text, depth)
	}
	e := jsonEncoder{left: depth}
	return e.any(dst, v)
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
