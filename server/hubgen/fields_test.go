package hubgen

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

// Structs whose members are not simply their fields.
type (
	plain  struct{ A, B int }
	inner  struct{ A, X int }
	Deep   struct{ Deepest int }
	Outer2 struct {
		Deep
		X string `json:"y" msgpack:"z"`
	}
	Self struct {
		*Self
		A int
	}
	WithText  struct{ A int }
	WithText2 struct{ A int }

	tags struct {
		A int `json:"a" msgpack:"aa"`
		B int `json:"-"`
		C int `json:"-" msgpack:"c"`
		D int `json:"d d"`
		E int `msgpack:"-"`
		F int `msgpack:"f,alias:g"`
	}
	embeds struct {
		Outer2
		A int
	}
	embedsTwice struct {
		plain
		inner
	}
	embedsNamed struct {
		Deep `json:"deep" msgpack:",noinline"`
	}
	embedsPointer struct {
		*Deep
		A int
	}
	embedsTaken struct {
		X int
		Outer2
		Other string `msgpack:"z"`
	}
	embedsInline struct {
		A    int
		Deep `msgpack:",inline"`
		inner
	}
	embedsOwn struct {
		time.Time
		A int
	}
	embedsTexts struct { // and has no MarshalText itself: it would have two
		WithText
		WithText2
		B int
	}
	twice struct {
		A int `json:"x" msgpack:"x"`
		B int `json:"w" msgpack:"x"`
		C int `json:"c"`
		D int `json:"C"`
	}
	dominates struct {
		A int `json:"B"`
		B int
	}
	array struct {
		//lint:ignore U1000 read by reflection
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        string
	}
	quoted struct {
		A int   `json:",string"`
		B *bool `json:",string"`
		C int   `json:",omitempty,string"`
	}
)

func (WithText) MarshalText() ([]byte, error)  { return []byte("text"), nil }
func (WithText2) MarshalText() ([]byte, error) { return []byte("text"), nil }

// What hubgen says of members is compared with what the codecs write.
func TestTheMembersOfStructsAreThoseThatTheCodecsWrite(t *testing.T) {
	for _, v := range []any{
		plain{}, tags{}, embeds{}, embedsTwice{}, embedsNamed{}, embedsPointer{Deep: &Deep{}}, embedsTaken{}, embedsInline{},
		embedsTexts{}, twice{}, dominates{}, quoted{B: new(bool), C: 1}, Self{}, embedsOwn{}, array{},
	} {
		typ := reflect.TypeOf(v)
		if specialOf(typ) == byKind {
			var got []string
			for _, f := range fieldsOf(typ) {
				got = append(got, f.name)
			}
			if want := written(t, protocol.JSON{}, v); !slices.Equal(got, want) {
				t.Errorf("%s in JSON: %q, want %q", typ, got, want)
			}
		}
		if packedOf(typ) != byKind {
			continue
		}
		var got []string
		list, asArray := packedFieldsOf(typ)
		for _, f := range list {
			got = append(got, f.name)
		}
		want := written(t, protocol.MessagePack{}, v)
		if asArray != (want == nil) || !asArray && !slices.Equal(got, want) {
			t.Errorf("%s in MessagePack: %q, an array: %v, want %q", typ, got, asArray, want)
		}
	}
}

// written are the members of v in the argument of an invocation, in order; nil
// if it is an array.
func written(t *testing.T, codec protocol.Codec, v any) (names []string) {
	t.Helper()
	wire, err := codec.Append(nil, &protocol.Invocation{Target: "x", Arguments: []any{v}})
	if err != nil {
		t.Fatal(err)
	}
	if codec.Name() == "json" {
		_, object, _ := strings.Cut(string(wire), `"arguments":[`)
		d := json.NewDecoder(strings.NewReader(object))
		for depth := 0; ; {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			switch name, ok := token.(string); {
			case token == json.Delim('{'):
				depth++
			case token == json.Delim('}'):
				if depth--; depth == 0 {
					return names
				}
			case ok && depth == 1:
				names = append(names, name)
				var skipped json.RawMessage
				if err := d.Decode(&skipped); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	d := msgpack.NewDecoder(strings.NewReader(string(wire[1:]))) // after the length
	if n, err := d.DecodeArrayLen(); err != nil || n < 5 {
		t.Fatalf("%d, %v in %x", n, err, wire)
	}
	for range 4 {
		if err := d.Skip(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.DecodeArrayLen(); err != nil {
		t.Fatal(err)
	}
	n, err := d.DecodeMapLen()
	if err != nil {
		return nil
	}
	for range n {
		name, err := d.DecodeString()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.Index(names, name); i >= 0 {
			names = slices.Delete(names, i, i+1)
		}
		names = append(names, name)
		if err := d.Skip(); err != nil {
			t.Fatal(err)
		}
	}
	return names
}
