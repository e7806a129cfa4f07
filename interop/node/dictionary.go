package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
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
func (d dictionary) MarshalJSON() ([]byte, error) {
	if d == nil {
		return []byte("null"), nil
	}
	text := []byte{'{'}
	for i, e := range d {
		if i > 0 {
			text = append(text, ',')
		}
		key, err := json.Marshal(e.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *dictionary) UnmarshalJSON(text []byte) error {
	*d = nil
	decoder := json.NewDecoder(bytes.NewReader(text))
	open, err := decoder.Token()
	if err != nil || open == nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("%v is no dictionary", open)
	}
	*d = dictionary{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var value string
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		d.set(key.(string), value) // within an object the decoder accepts nothing else
	}
	return nil
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
