package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Unmarshal decodes raw into what v points to. It refuses what ASP.NET Core
// refuses: numbers from strings and strings from numbers, integers out of range
// or written with a fraction or exponent, null for values that cannot be nil,
// text that is not UTF-8. null is an empty string, as strings of .NET may be
// null. A number that is too large for a float is infinite, wherever it is.
// Numbers become float64 in an any; names of members match without regard to
// case; keys of maps may be of any type that AppendValue writes but an
// interface; a *Raw gets a copy. In an any, strings of at most 32 bytes share
// memory: one that is kept keeps at most 256 bytes. Slices get new memory; maps that exist
// already, and what existing pointers refer to, are filled.
func (c JSON) Unmarshal(raw Raw, v any) error {
	if err := c.unmarshal(raw, v); err != nil {
		return errDecodeJSON(v, err)
	}
	return nil
}

func errDecodeJSON(v any, err error) error {
	return &ValueError{Where: fmt.Sprintf("decode JSON into %T", v), Err: err}
}

var (
	errNull  = errors.New("null for a value that cannot be nil")
	errRange = errors.New("number has a fraction or is out of range")
	errKind  = errors.New("value is of another kind")
)

func (c JSON) unmarshal(raw Raw, v any) error {
	if c.Values == nil && unmarshalJSONAny(raw, v) {
		return nil
	}
	s := jsonScanner{b: raw}
	s.space()
	start := s.i
	if !s.value(0) {
		return errNoJSON
	}
	token := raw[start:s.i]
	if s.space(); s.i != len(raw) {
		return errNoJSON
	}
	return c.unmarshalToken(token, v)
}

// unmarshalToken is unmarshal of what is one value, without blanks around it.
func (c JSON) unmarshalToken(token Raw, v any) error {
	if p, ok := v.(*Raw); ok {
		if err := checkText(token); err != nil {
			return err
		}
		*p = bytes.Clone(token)
		return nil
	}
	if c.Values != nil {
		return c.Values.Unmarshal(token, v)
	}
	first := first(token)
	switch p := v.(type) {
	case *string:
		return unmarshalString(token, first, p)
	case **string: // like .NET's string, which may be null
		if first == 'n' {
			*p = nil
			return nil
		}
		if *p == nil {
			*p = new(string)
		}
		return unmarshalString(token, first, *p)
	case *bool:
		if first != 't' && first != 'f' {
			return wrongKind(first)
		}
		*p = first == 't'
		return nil
	case *int:
		return unmarshalInt(token, first, strconv.IntSize, p)
	case *int8:
		return unmarshalInt(token, first, 8, p)
	case *int16:
		return unmarshalInt(token, first, 16, p)
	case *int32:
		return unmarshalInt(token, first, 32, p)
	case *int64:
		return unmarshalInt(token, first, 64, p)
	case *uint:
		return unmarshalUint(token, first, strconv.IntSize, p)
	case *uint8:
		return unmarshalUint(token, first, 8, p)
	case *uint16:
		return unmarshalUint(token, first, 16, p)
	case *uint32:
		return unmarshalUint(token, first, 32, p)
	case *uint64:
		return unmarshalUint(token, first, 64, p)
	case *float32:
		return unmarshalFloat(token, first, 32, p)
	case *float64:
		return unmarshalFloat(token, first, 64, p)
	case *json.RawMessage:
		*p = bytes.Clone(token)
		return nil
	case *time.Time:
		return unmarshalTime(token, first, p)
	}
	return decodeJSONInto(token, v)
}

// wrongKind says why a token that starts with first does not fit.
func wrongKind(first byte) error {
	if first == 'n' {
		return errNull
	}
	return errKind
}

func unmarshalString(token []byte, first byte, p *string) error {
	switch first {
	case 'n':
		*p = ""
		return nil
	case '"':
		s := jsonScanner{b: token}
		inner, plain, _ := s.str()
		t, err := text(inner, plain)
		if err == nil {
			*p = t
		}
		return err
	}
	return errKind
}

func isNumber(first byte) bool { return first == '-' || first-'0' <= 9 }

// unmarshalInt decodes an integer that fits into so many bits.
func unmarshalInt[T int | int8 | int16 | int32 | int64](token []byte, first byte, bits int, p *T) error {
	if !isNumber(first) {
		return wrongKind(first)
	}
	n, ok := parseInt(token, bits)
	if !ok {
		return errRange
	}
	*p = T(n)
	return nil
}

func unmarshalUint[T uint | uint8 | uint16 | uint32 | uint64](token []byte, first byte, bits int, p *T) error {
	if !isNumber(first) {
		return wrongKind(first)
	}
	u, ok := parseUint(token, bits)
	if !ok {
		return errRange
	}
	*p = T(u)
	return nil
}

func unmarshalFloat[T float32 | float64](token []byte, first byte, bits int, p *T) error {
	if !isNumber(first) {
		return wrongKind(first)
	}
	*p = T(parseFloat(token, bits))
	return nil
}

func unmarshalTime(token []byte, first byte, p *time.Time) error {
	if first != '"' {
		return wrongKind(first)
	}
	c, err := parseQuotedClock(token)
	if err == nil {
		*p = c.instant()
	}
	return err
}
