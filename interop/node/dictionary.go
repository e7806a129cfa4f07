package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

// A dictionary is .NET's Dictionary<string, string>: unlike a map it keeps the
// order of its entries, and unlike a list of them it is an object on the wire.
type dictionary []entry

type entry struct{ key, value string }

// set adds an entry, or changes the one that has the key.
func (d *dictionary) set(key, value string) {
	for i := range *d {
		if (*d)[i].key == key {
			(*d)[i].value = value
			return
		}
	}
	*d = append(*d, entry{key, value})
}

// MarshalJSON implements json.Marshaler.
func (d dictionary) MarshalJSON() (text []byte, err error) {
	if d == nil {
		return []byte("null"), nil
	}
	text = append(make([]byte, 0, 64), '{')
	for i := range d {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = (protocol.JSON{}).AppendValue(text, &d[i].key); err != nil {
			return nil, err
		}
		if text, err = (protocol.JSON{}).AppendValue(append(text, ':'), &d[i].value); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler. The text is known to be valid.
func (d *dictionary) UnmarshalJSON(text []byte) error {
	*d = nil
	if string(text) == "null" {
		return nil
	}
	if text[0] != '{' {
		return fmt.Errorf("%.10q is no dictionary", text)
	}
	*d = make(dictionary, 0, 2)
	for rest := text[1:]; ; {
		key, after := token(rest)
		if key[0] == '}' {
			return nil
		}
		var e entry
		if err := setString(&e.key, key); err != nil {
			return err
		}
		value, after := token(after)
		if err := setString(&e.value, value); err != nil {
			return err
		}
		d.set(e.key, e.value)
		rest = after
	}
}

// setString sets s to what token is as JSON.
func setString(s *string, token protocol.Raw) error {
	if token[0] == '"' && bytes.IndexByte(token, '\\') < 0 { // nearly always
		*s = string(token[1 : len(token)-1])
		return nil
	}
	return protocol.JSON{}.Unmarshal(token, s)
}

// token cuts the first string, or other scalar or bracket, off JSON text that has
// one.
func token(text []byte) (first protocol.Raw, rest []byte) {
	for strings.IndexByte(" \t\r\n,:", text[0]) >= 0 {
		text = text[1:]
	}
	n := 1
	for text[0] == '"' && text[n] != '"' {
		if text[n] == '\\' {
			n++
		}
		n++
	}
	if text[0] != '"' {
		n = max(1, bytes.IndexAny(text, " \t\r\n,:{}[]"))
		return text[:n], text[n:]
	}
	return text[:n+1], text[n+1:]
}

// EncodeMsgpack implements msgpack.CustomEncoder.
func (d dictionary) EncodeMsgpack(e *msgpack.Encoder) error {
	if d == nil {
		return e.EncodeNil()
	}
	if err := e.EncodeMapLen(len(d)); err != nil {
		return err
	}
	for _, entry := range d {
		if err := e.EncodeString(entry.key); err != nil {
			return err
		}
		if err := e.EncodeString(entry.value); err != nil {
			return err
		}
	}
	return nil
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (d *dictionary) DecodeMsgpack(decoder *msgpack.Decoder) error {
	*d = nil
	n, err := decoder.DecodeMapLen()
	if err != nil || n < 0 {
		return err
	}
	*d = dictionary{}
	for range n {
		key, err := decoder.DecodeString()
		if err != nil {
			return err
		}
		value, err := decoder.DecodeString()
		if err != nil {
			return err
		}
		d.set(key, value)
	}
	return nil
}
