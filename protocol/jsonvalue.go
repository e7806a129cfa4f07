package protocol

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
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
