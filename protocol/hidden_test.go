package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// Types that hide or rewrite something in JSON.
type (
	account struct {
		Name   string `json:"name"`
		Hash   string `json:"-"`
		Kept   string `json:"-" msgpack:"Kept"`
		Keys   `json:"-"`
		*Token `json:"-"`
	}
	Keys  struct{ Private string }
	Token struct{ Bearer string }

	// masked shows half of itself.
	masked struct{ Card, Secret string }
	// pointerMasked does so by a method of its pointer.
	pointerMasked struct{ Card, Secret string }
	// loose has methods that fail.
	loose map[string]int
)

func (m masked) MarshalJSON() ([]byte, error) {
	return []byte(` {"card": "…` + m.Card[len(m.Card)-2:] + `", "n":[1, -300, 1.5, 1e300, 18446744073709551615, null, true, {}]} `), nil
}

func (m *masked) UnmarshalJSON(b []byte) error {
	m.Card = string(b)
	return nil
}

func (m *pointerMasked) MarshalJSON() ([]byte, error) { return []byte(`"` + m.Card + `"`), nil }

func (l loose) MarshalJSON() ([]byte, error) { return []byte("["), nil }

func (l *loose) UnmarshalJSON([]byte) error { return errors.New("not for reading") }

func TestWhatJSONHidesIsNotInMessagePack(t *testing.T) {
	secrets := []string{"hash1", "private1", "bearer1", "secret1"}
	a := account{"n", "hash1", "kept1", Keys{"private1"}, &Token{"bearer1"}}
	m := masked{"4711", "secret1"}
	p := pointerMasked{"4712", "secret1"}
	for _, v := range []any{
		a, &a, []account{a}, []any{a}, map[string]any{"a": &a}, struct{ X any }{a}, struct{ account }{a},
		m, &m, []masked{m}, []any{m}, map[string]masked{"a": m}, struct{ X any }{m}, struct{ M *masked }{&m}, map[any]any{1: m},
		p, &p, []pointerMasked{p}, []any{p}, struct{ P pointerMasked }{p}, [1]pointerMasked{p}, map[string]pointerMasked{"a": p},
	} {
		wire, err := protocol.MessagePack{}.AppendValue(nil, v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
		}
		for _, secret := range secrets {
			if bytes.Contains(wire, []byte(secret)) {
				t.Errorf("%T is sent as %q", v, wire)
			}
		}
	}
	want := account{Name: "n", Kept: "kept1"}
	var got account
	wire, _ := protocol.MessagePack{}.AppendValue(nil, a)
	if err := (protocol.MessagePack{}).Unmarshal(wire, &got); err != nil || got != want {
		t.Errorf("%q decodes to %+v, error %v, want %+v", wire, got, err, want)
	}
}

func TestAClientCannotSetWhatJSONHides(t *testing.T) {
	wire, err := protocol.MessagePack{}.AppendValue(nil, map[string]any{"Name": "n", "Hash": "h", "Private": "p", "Bearer": "b", "Keys": nil, "Token": nil, "Kept": "k"})
	if err != nil {
		t.Fatal(err)
	}
	var got account
	if err := (protocol.MessagePack{}).Unmarshal(wire, &got); err != nil || got != (account{Name: "n", Kept: "k"}) {
		t.Errorf("decodes to %+v, error %v", got, err)
	}
}

func TestMarshalJSONAloneDecidesInMessagePackToo(t *testing.T) {
	wire, err := protocol.MessagePack{}.AppendValue(nil, masked{Card: "4711"})
	if want := "\x82\xa4card\xa5…11\xa1n\x98\x01\xd1\xfe\xd4\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0\xc3\x80"; err != nil || string(wire) != want {
		t.Errorf("encodes to %q, error %v, want %q", wire, err, want)
	}
	var m masked
	if err := (protocol.MessagePack{}).Unmarshal(wire, &m); err != nil || m.Card != `{"card":"…11","n":[1,-300,1.5,1E+300,18446744073709551615,null,true,{}]}` {
		t.Errorf("UnmarshalJSON is given %s, error %v", m.Card, err)
	}
	if got, err := (protocol.MessagePack{}).AppendValue(nil, loose{"a": 1}); err == nil {
		t.Errorf("JSON that is none is sent as %q", got)
	}
	if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw("\x80"), new(loose)); err == nil || !strings.Contains(err.Error(), "not for reading") {
		t.Errorf("the error of UnmarshalJSON is lost: %v", err)
	}
}

func TestRawJSONAndNumbersOfJSONAreTheirValuesInMessagePack(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want string
	}{
		{json.RawMessage(`{"a":[1,"x"]}`), "\x81\xa1a\x92\x01\xa1x"}, {json.RawMessage(nil), "\xc0"}, {[]json.RawMessage{[]byte("1")}, "\x91\x01"},
		{json.Number("42"), "\x2a"}, {json.Number("-42"), "\xd0\xd6"}, {json.Number("18446744073709551615"), "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"},
		{json.Number("1.5"), "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"}, {json.Number("1e2"), "\xcb\x40\x59\x00\x00\x00\x00\x00\x00"}, {json.Number(""), "\x00"}, {struct{ N any }{json.Number("7")}, "\x81\xa1N\x07"},
	} {
		got, err := protocol.MessagePack{}.AppendValue(nil, tt.in)
		if err != nil || string(got) != tt.want {
			t.Errorf("AppendValue(%#v) = %q, error %v, want %q", tt.in, got, err, tt.want)
		}
		if _, inside := tt.in.(struct{ N any }); inside {
			continue
		}
		again := reflect.New(reflect.TypeOf(tt.in))
		if err := (protocol.MessagePack{}).Unmarshal(got, again.Interface()); err != nil {
			t.Errorf("%q into %T: %v", got, tt.in, err)
		} else if back, _ := (protocol.MessagePack{}).AppendValue(nil, again.Elem().Interface()); string(back) != tt.want && tt.want[0] != '\xcb' {
			t.Errorf("%q decodes to %v", got, again.Elem())
		}
	}
	for _, number := range []json.Number{"x", "1e400", "0x1", " 1", "1 "} {
		if got, err := (protocol.MessagePack{}).AppendValue(nil, number); err == nil {
			t.Errorf("the number %q is sent as %q", number, got)
		}
	}
	for _, raw := range []string{"\xa11", "\xc3", "\x90", "\x80", "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"} {
		var n json.Number
		if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw(raw), &n); err == nil {
			t.Errorf("%q is the number %q", raw, n)
		}
	}
	if err := (protocol.MessagePack{}).Unmarshal(nestedArrays(protocol.MessagePack{}, 100), new(json.RawMessage)); err == nil {
		t.Error("JSON nests deeper than JSON may")
	}
}
