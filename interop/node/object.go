package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

// An object is a value of any kind, what .NET declares as object. From JSON it
// stays text, as .NET's JsonElement does; from MessagePack it has the type that
// its encoding says. The zero value is null.
type object struct {
	json  json.RawMessage // not null
	value any
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(text []byte) error {
	*o = object{}
	if !bytes.Equal(text, []byte("null")) {
		o.json = bytes.Clone(text)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	if o.json != nil {
		return o.json, nil
	}
	return json.Marshal(o.value)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (o *object) DecodeMsgpack(decoder *msgpack.Decoder) error {
	*o = object{}
	raw, err := decoder.DecodeRaw()
	if err != nil {
		return err
	}
	return protocol.MessagePack{}.Unmarshal(protocol.Raw(raw), &o.value)
}

// EncodeMsgpack implements msgpack.CustomEncoder. Numbers keep the width of
// their type, as members of a list of objects do.
func (o object) EncodeMsgpack(e *msgpack.Encoder) error {
	value := o.value
	if o.json != nil {
		value = o.plain()
	}
	list, err := protocol.MessagePack{}.AppendValue(nil, []any{value})
	if err != nil {
		return err
	}
	return e.Encode(msgpack.RawMessage(list[1:]))
}

// plain is what the reference node makes of a JSON value before it sends it:
// int64 where it fits, or float64, and lists and maps of the same.
func (o object) plain() any {
	if o.json == nil {
		return o.value
	}
	decoder := json.NewDecoder(bytes.NewReader(o.json))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil // cannot be: the text was checked when it came
	}
	return plainNumbers(value)
}

func plainNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return n
		}
		f, _ := value.Float64() // out of range is infinity, as in .NET
		return f
	case []any:
		for i := range value {
			value[i] = plainNumbers(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = plainNumbers(value[key])
		}
	}
	return value
}

// describe returns the .NET type and text of the object, as
// $"{value.GetType()}: {value}" does.
func (o object) describe() string {
	if o.json != nil {
		return "System.Text.Json.JsonElement: " + o.jsonText()
	}
	switch v := o.value.(type) {
	case nil:
		return "null"
	case bool:
		if v {
			return "System.Boolean: True"
		}
		return "System.Boolean: False"
	case uint8, uint16, uint32, uint64, int8, int16, int32, int64:
		return fmt.Sprintf("System.%s: %d", integerNames[fmt.Sprintf("%T", v)], v)
	case float32:
		return "System.Single: " + strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return "System.Double: " + strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return "System.String: " + v
	case []byte:
		return twice("System.Byte[]")
	case []any:
		return twice("System.Object[]")
	case map[string]any, map[any]any:
		return twice("System.Collections.Generic.Dictionary`2[System.Object,System.Object]")
	case time.Time:
		return "System.DateTime: " + v.Format("01/02/2006 15:04:05")
	}
	return fmt.Sprintf("%T: %v", o.value, o.value)
}

var integerNames = map[string]string{
	"uint8": "Byte", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
	"int8": "SByte", "int16": "Int16", "int32": "Int32", "int64": "Int64",
}

// twice is for types whose text is their name.
func twice(name string) string { return name + ": " + name }

// jsonText is what JsonElement.ToString returns.
func (o object) jsonText() string {
	switch o.json[0] {
	case '"':
		var text string
		if err := json.Unmarshal(o.json, &text); err == nil {
			return text
		}
	case 't':
		return "True"
	case 'f':
		return "False"
	}
	return string(o.json)
}
