package main

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

func TestObjectsAreDescribedAsInDotNet(t *testing.T) {
	jsonCodec, packed := protocol.JSON{}, protocol.MessagePack{}
	const dictionary = "System.Collections.Generic.Dictionary`2[System.Object,System.Object]"
	for _, test := range []struct {
		codec     protocol.Codec
		raw, want string
	}{
		{jsonCodec, `null`, "null"},
		{jsonCodec, `true`, "System.Text.Json.JsonElement: True"},
		{jsonCodec, `false`, "System.Text.Json.JsonElement: False"},
		{jsonCodec, `12.50`, "System.Text.Json.JsonElement: 12.50"},
		{jsonCodec, `"a\u0062"`, "System.Text.Json.JsonElement: ab"},
		{jsonCodec, `{"b":1,"a":2}`, `System.Text.Json.JsonElement: {"b":1,"a":2}`},
		{packed, "\xc0", "null"},
		{packed, "\xc3", "System.Boolean: True"},
		{packed, "\xc2", "System.Boolean: False"},
		{packed, "\x01", "System.Byte: 1"},
		{packed, "\xff", "System.SByte: -1"},
		{packed, "\xcd\x01\x00", "System.UInt16: 256"},
		{packed, "\xd1\xff\x38", "System.Int16: -200"},
		{packed, "\xce\x00\x01\x11\x70", "System.UInt32: 70000"},
		{packed, "\xd2\x00\x00\x00\x01", "System.Int32: 1"},
		{packed, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", "System.UInt64: 4294967296"},
		{packed, "\xd3\xff\xff\xff\xff\xff\xff\xff\xff", "System.Int64: -1"},
		{packed, "\xca\x3f\xc0\x00\x00", "System.Single: 1.5"},
		{packed, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "System.Double: 1.5"},
		{packed, "\xa4text", "System.String: text"},
		{packed, "\xc4\x02\x01\x02", "System.Byte[]: System.Byte[]"},
		{packed, "\x91\x01", "System.Object[]: System.Object[]"},
		{packed, "\x81\xa1a\x01", dictionary + ": " + dictionary},
		{packed, "\x81\x01\x01", dictionary + ": " + dictionary},
		{packed, "\xd6\xff\x69\x57\x0a\x80", "System.DateTime: 01/02/2026 00:00:00"},
	} {
		var o object
		if err := test.codec.Unmarshal(protocol.Raw(test.raw), &o); err != nil {
			t.Errorf("Unmarshal(%q): %v", test.raw, err)
		} else if got := o.describe(); got != test.want {
			t.Errorf("describe of %q = %q, want %q", test.raw, got, test.want)
		}
	}
}

func TestObjectsGoBackAsTheyCame(t *testing.T) {
	for _, test := range []struct {
		codec     protocol.Codec
		raw, want string
	}{
		{protocol.JSON{}, `{"b":1.50,"a":[null]}`, `{"b":1.50,"a":[null]}`},
		{protocol.JSON{}, `null`, `null`},
		{protocol.MessagePack{}, "\x94\xd2\x00\x00\x00\x01\xa1a\xc0\xcb\x40\x04\x00\x00\x00\x00\x00\x00", "\x94\xd2\x00\x00\x00\x01\xa1a\xc0\xcb\x40\x04\x00\x00\x00\x00\x00\x00"},
		{protocol.MessagePack{}, "\x91\x01", "\x91\xcc\x01"}, // a byte in its full width, as MessagePack-CSharp has it
		{protocol.MessagePack{}, "\xc0", "\xc0"},
	} {
		var o object
		if err := test.codec.Unmarshal(protocol.Raw(test.raw), &o); err != nil {
			t.Errorf("Unmarshal(%q): %v", test.raw, err)
		} else if got, err := test.codec.AppendValue(nil, o); err != nil || string(got) != test.want {
			t.Errorf("%q came back as %q, error %v; want %q", test.raw, got, err, test.want)
		}
	}
}

func TestPlainValuesAreThoseThatTheReferenceNodeSends(t *testing.T) {
	for raw, want := range map[string]any{
		`null`:                nil,
		`"x"`:                 "x",
		`true`:                true,
		`9007199254740993`:    int64(9007199254740993),
		`1.0`:                 1.0,
		`9223372036854775808`: 9223372036854775808.0,
		`[1,{"a":[2.5]}]`:     []any{int64(1), map[string]any{"a": []any{2.5}}},
	} {
		var o object
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			t.Fatal(err)
		}
		if got := o.plain(); !reflect.DeepEqual(got, want) {
			t.Errorf("plain of %s = %#v, want %#v", raw, got, want)
		}
	}
}
