package protocol_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/vmihailenco/msgpack/v5"
)

// Types that decode themselves, each by another recursion of the package that
// they do it with.
type (
	ownInterface struct{ v any }
	ownRaw       struct{ v msgpack.RawMessage }
	ownSkip      struct{}
	ownBytes     struct{ v any }
	ownJSON      struct{ v any }
)

func (o *ownInterface) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	o.v, err = d.DecodeInterface()
	return err
}

func (o *ownRaw) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	o.v, err = d.DecodeRaw()
	return err
}

func (o *ownSkip) DecodeMsgpack(d *msgpack.Decoder) error { return d.Skip() }

func (o *ownBytes) UnmarshalMsgpack(b []byte) error { return msgpack.Unmarshal(b, &o.v) }

func (o *ownJSON) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &o.v) }

// nestedArrays is n arrays in each other around null.
func nestedArrays(codec protocol.Codec, n int) protocol.Raw {
	if codec.Binary() {
		return append(bytes.Repeat([]byte{0x91}, n), 0xc0)
	}
	return append(append(bytes.Repeat([]byte{'['}, n), "null"...), bytes.Repeat([]byte{']'}, n)...)
}

// A stack that overflows ends the process, so this must never be tried.
func TestValuesThatNestTooDeepNeverReachTypesThatDecodeThemselves(t *testing.T) {
	const far = 100_000
	deep := map[string]protocol.Raw{
		"json": nestedArrays(protocol.JSON{}, far), "messagepack": nestedArrays(protocol.MessagePack{}, far),
	}
	targets := map[string][]any{
		"json":        {new(any), new(ownJSON), new(json.RawMessage), new([]any), new([]ownJSON), new(struct{ A ownJSON })},
		"messagepack": {new(any), new(ownInterface), new(ownRaw), new(ownSkip), new(ownBytes), new(ownJSON), new(json.RawMessage), new(msgpack.RawMessage), new([]any), new([]ownRaw)},
	}
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		limit := 64
		if codec.Binary() {
			limit = 500
		}
		for _, target := range targets[codec.Name()] {
			if err := codec.Unmarshal(deep[codec.Name()], target); err == nil {
				t.Errorf("%s into %T: nests %d deep and is taken", codec.Name(), target, far)
			}
			if err := codec.Unmarshal(nestedArrays(codec, limit+1), target); err == nil {
				t.Errorf("%s into %T: nests %d deep and is taken", codec.Name(), target, limit+1)
			}
		}
	}
	for _, target := range []any{new(ownInterface), new(ownRaw), new(ownSkip), new(ownBytes), new(msgpack.RawMessage)} {
		if err := (protocol.MessagePack{}).Unmarshal(nestedArrays(protocol.MessagePack{}, 500), target); err != nil {
			t.Errorf("%T: 500 deep: %v", target, err)
		}
	}
}

// A tree nests lists without an interface.
type tree []tree

// What may nest no deeper when it is decoded can be encoded again.
func TestValuesThatCanBeDecodedCanBeEncoded(t *testing.T) {
	type test struct {
		name   string
		target any
		raw    protocol.Raw
	}
	around := func(open string, n int, inside, end string) protocol.Raw {
		return protocol.Raw(strings.Repeat(open, n) + inside + strings.Repeat(end, n))
	}
	all := map[protocol.Codec][]test{
		protocol.JSON{}: {
			{"any", new(any), around("[", 64, "null", "]")},
			{"lists of any", new([]any), around("[", 64, "null", "]")},
			{"maps of any", new(map[string]any), around(`{"n":`, 64, "null", "}")},
			{"tree", new(tree), around("[", 64, "", "]")},
		},
		protocol.MessagePack{}: {
			{"any", new(any), around("\x91", 500, "\xc0", "")},
			{"lists of any", new([]any), around("\x91", 500, "\xc0", "")},
			{"maps of any", new(map[string]any), around("\x81\xa1n", 500, "\xc0", "")},
			{"tree", new(tree), around("\x91", 500, "\x90", "")},
			{"any, bytes inside", new(any), around("\x91", 500, "\xc4\x01x", "")},
			{"any, an empty list inside", new(any), around("\x91", 500, "\x90", "")},
			{"any, an empty map inside", new(any), around("\x91", 500, "\x80", "")},
		},
	}
	for codec, tests := range all {
		for _, test := range tests {
			if err := codec.Unmarshal(test.raw, test.target); err != nil {
				t.Errorf("%s, %s: %v", codec.Name(), test.name, err)
				continue
			}
			if got, err := codec.AppendValue(nil, test.target); err != nil || !bytes.Equal(got, test.raw) {
				t.Errorf("%s, %s: is decoded, and then encoded as %d bytes in place of %d: %v", codec.Name(), test.name, len(got), len(test.raw), err)
			}
			if _, err := codec.AppendValue(nil, []any{test.target}); err == nil {
				t.Errorf("%s, %s, in one more list: is encoded, and could not be decoded", codec.Name(), test.name)
			}
		}
	}
}

// A list of any length nests no deeper than one.
func TestLongValuesReachTypesThatDecodeThemselves(t *testing.T) {
	raw := append([]byte{0xdc, 0xff, 0xff}, bytes.Repeat([]byte{0x91, 0x90}, 65535)...)
	var o ownInterface
	if err := (protocol.MessagePack{}).Unmarshal(raw, &o); err != nil || len(o.v.([]any)) != 65535 {
		t.Errorf("%v", err)
	}
}

// An endless type leads to itself by pointers alone.
type endless *endless

func TestPointersThatNeverEndAreAnError(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		var p endless
		p = &p
		if _, err := codec.AppendValue(nil, p); err == nil {
			t.Errorf("%s: a pointer to itself is encoded", codec.Name())
		}
		var target endless
		one, _ := codec.AppendValue(nil, 1)
		if err := codec.Unmarshal(one, &target); err == nil {
			t.Errorf("%s: a number is decoded into pointers without an end", codec.Name())
		}
	}
}
