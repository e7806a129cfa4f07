package protocol_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

type (
	Base struct {
		ID   int
		Name string `msgpack:"name"`
	}
	Other struct {
		ID    int
		Extra string
	}
	inlined struct {
		Base
		Own int
	}
	inlinedPointer struct {
		*Base
		Own int
	}
	shadowed struct {
		ID int
		Base
	}
	shadowedInline struct {
		ID   int
		Base `msgpack:",inline"`
	}
	overshadowed struct {
		Base
		Own int `msgpack:"ID"`
	}
	twoBases struct {
		Base
		Other
	}
	notInlined struct {
		Base `msgpack:",noinline"`
	}
	omitting struct {
		A int            `msgpack:",omitempty"`
		B []int          `msgpack:"b,omitempty"`
		C *int           `msgpack:"c,omitempty"`
		D string         `msgpack:",omitempty"`
		E map[string]int `msgpack:",omitempty"`
		F int
	}
	omitAll struct {
		//lint:ignore U1000 read by reflection
		_msgpack struct{} `msgpack:",omitempty"`
		A        int
		B        string
	}
	asArray struct {
		//lint:ignore U1000 read by reflection
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        string
	}
)

// The struct tags are those of vmihailenco/msgpack, so that package is the
// measure.
func TestStructTagsAreThoseOfVmihailenco(t *testing.T) {
	for _, v := range []any{
		Base{1, "n"}, inlined{Base{1, "n"}, 2}, inlinedPointer{&Base{1, "n"}, 2}, inlinedPointer{Own: 2}, shadowed{1, Base{2, "n"}}, shadowedInline{1, Base{2, "n"}}, twoBases{Base{1, "n"}, Other{2, "e"}}, notInlined{Base{1, "n"}},
		omitting{}, omitting{A: 1, B: []int{1}, C: new(int), D: "d", E: map[string]int{"e": 1}}, omitAll{}, omitAll{A: 1}, asArray{A: 1, B: "b"}, &asArray{A: 1, B: "b"}, (*Base)(nil), []Base{{1, "n"}}, map[string]Base{"a": {1, "n"}},
	} {
		var want bytes.Buffer
		e := msgpack.NewEncoder(&want)
		e.UseCompactInts(true)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		got, err := protocol.MessagePack{}.AppendValue(nil, v)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("AppendValue(%#v)\n got: %q, error %v\nwant: %q", v, got, err, want.Bytes())
		}
	}
}

func TestStructsWithTagsAreRead(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\x93\x01\xa1b\x03", new(asArray), asArray{A: 1, B: "b"}}, {"\x91\x01", new(asArray), asArray{A: 1}}, {"\x90", new(asArray), asArray{}}, {"\x92\xc0\xa1b", new(asArray), nil}, {"\x81\xa1A\x01", new(asArray), nil},
		{"\x83\xa2ID\x05\xa4name\xa1n\xa3Own\x06", new(inlinedPointer), inlinedPointer{&Base{5, "n"}, 6}}, {"\x81\xa3Own\x06", new(inlinedPointer), inlinedPointer{Own: 6}}, {"\x81\xa2ID\xc0", new(inlinedPointer), nil},
		{"\x82\xa2ID\x01\xa2ID\x02", new(overshadowed), overshadowed{Own: 2}}, // the name is the last one's
		{"\x81\xa4Base\x81\xa2ID\x05", new(notInlined), notInlined{Base{ID: 5}}},
		{"\xa7" + "1.2.3.4", new(netip.Addr), netip.MustParseAddr("1.2.3.4")}, {"\xa1x", new(netip.Addr), nil}, {"\x01", new(netip.Addr), nil}, {"\xc0", new(netip.Addr), nil}, {"\x81\xa7" + "1.2.3.4\x01", new(map[netip.Addr]int), map[netip.Addr]int{netip.MustParseAddr("1.2.3.4"): 1}},
	})
}

type unexportedPointer struct{ *hiddenBase }

type hiddenBase struct{ A int }

func TestMembersBehindHiddenPointersAreErrors(t *testing.T) {
	if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw("\x81\xa1A\x01"), new(unexportedPointer)); err == nil {
		t.Error("a member inside an embedded pointer that cannot be set is decoded")
	}
}

// speechless fails to encode as text.
type speechless struct{ A int }

func (speechless) MarshalText() ([]byte, error) { return nil, errors.New("no words") }

func TestErrorsOfMarshalersAreReported(t *testing.T) {
	for name, codec := range codecs {
		for _, v := range []any{speechless{}, []speechless{{}}, map[string]any{"a": speechless{}}, struct{ S speechless }{}} {
			if got, err := codec.AppendValue(nil, v); err == nil {
				t.Errorf("%s: AppendValue(%#v) = %q, want an error", name, v, got)
			}
		}
	}
	if got, err := (protocol.MessagePack{}).AppendValue(nil, map[speechless]int{{}: 1}); err == nil {
		t.Errorf("AppendValue of a key that cannot be encoded = %q", got)
	}
}

func TestARawCanBeAMember(t *testing.T) {
	type message struct {
		Body protocol.Raw `json:"body"`
	}
	for name, tt := range map[string]struct{ raw, body string }{"json": {`{"body":[1,"a"]}`, `[1,"a"]`}, "messagepack": {"\x81\xa4Body\x92\x01\xa1a", "\x92\x01\xa1a"}} {
		var m message
		if err := codecs[name].Unmarshal(protocol.Raw(tt.raw), &m); err != nil || string(m.Body) != tt.body {
			t.Errorf("%s: Unmarshal(%q) = %q, error %v, want %q", name, tt.raw, m.Body, err, tt.body)
		}
		if got, err := codecs[name].AppendValue(nil, m); err != nil || string(got) != tt.raw {
			t.Errorf("%s: AppendValue = %q, error %v, want %q", name, got, err, tt.raw)
		}
	}
}
