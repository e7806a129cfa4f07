package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

func TestMessagePackScalarsAreRead(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\xa1a", new(string), "a"}, {"\xd9\x01a", new(string), "a"}, {"\xda\x00\x01a", new(string), "a"}, {"\xdb\x00\x00\x00\x01a", new(string), "a"}, {"\xc0", new(string), ""},
		{"\xa1\xff", new(string), "\ufffd"}, {"\x01", new(string), nil}, {"\xc4\x01a", new(string), nil}, {"\x90", new(string), nil}, {"", new(string), nil}, {"\xa2a", new(string), nil}, {"\xa1ab", new(string), nil},
		{"\xc3", new(bool), true}, {"\xc2", new(bool), false}, {"\xc0", new(bool), nil}, {"\x01", new(bool), nil},
		{"\x01", new(byte), byte(1)}, {"\xcc\x01", new(byte), byte(1)}, {"\xcd\x00\x01", new(byte), byte(1)}, {"\xd0\x01", new(byte), byte(1)}, {"\xcf\x00\x00\x00\x00\x00\x00\x00\x01", new(byte), byte(1)}, {"\xd3\x00\x00\x00\x00\x00\x00\x00\x01", new(byte), byte(1)},
		{"\xcc\xff", new(byte), byte(255)}, {"\xcd\x01\x00", new(byte), nil}, {"\xd0\xff", new(byte), nil}, {"\xff", new(byte), nil}, {"\xca\x3f\x80\x00\x00", new(byte), nil}, {"\xc0", new(byte), nil}, {"\xa11", new(byte), nil},
		{"\x7f", new(int8), int8(127)}, {"\xcc\x80", new(int8), nil}, {"\xd0\x80", new(int8), int8(-128)}, {"\xd1\xff\x7f", new(int8), nil}, {"\xe0", new(int8), int8(-32)}, {"\xcd\x01\x2c", new(int8), nil},
		{"\xd1\x80\x00", new(int16), int16(-32768)}, {"\xcd\x80\x00", new(int16), nil}, {"\xd2\x80\x00\x00\x00", new(int32), int32(math.MinInt32)}, {"\xce\x80\x00\x00\x00", new(int32), nil},
		{"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", new(int64), int64(math.MinInt64)}, {"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", new(int64), nil}, {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", new(int), math.MaxInt64},
		{"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", new(uint64), uint64(math.MaxUint64)}, {"\xff", new(uint64), nil}, {"\xce\xff\xff\xff\xff", new(uint32), uint32(math.MaxUint32)}, {"\xcf\x00\x00\x00\x01\x00\x00\x00\x00", new(uint32), nil}, {"\xcd\xff\xff", new(uint16), uint16(65535)}, {"\x05", new(uint), uint(5)},
		{"\x01", new(float64), 1.0}, {"\xff", new(float64), -1.0}, {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", new(float64), 18446744073709551616.0}, {"\xca\x3f\xc0\x00\x00", new(float64), 1.5}, {"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", new(float32), float32(1.5)}, {"\xc0", new(float64), nil}, {"\xa11", new(float64), nil},
		{"\xc4\x03\x01\x02\x03", new([]byte), []byte{1, 2, 3}}, {"\x93\x01\x02\x03", new([]byte), []byte{1, 2, 3}}, {"\xa3abc", new([]byte), []byte("abc")}, {"\xc0", new([]byte), []byte(nil)}, {"\xc4\x00", new([]byte), []byte{}}, {"\x93\x01\x02\xcd\x01\x00", new([]byte), nil}, {"\x93\xff\x02\x03", new([]byte), nil}, {"\x81\xa1a\x01", new([]byte), nil},
		{"\xc4\x02\x01\x02", new([2]byte), [2]byte{1, 2}}, {"\xc4\x01\x01", new([2]byte), nil}, {"\x92\x01\x02", new([2]byte), [2]byte{1, 2}},
		{"\x92\x01\x02", new([2]int), [2]int{1, 2}}, {"\x91\x01", new([2]int), nil}, {"\xc0", new([2]int), nil},
		{"\x92\x01\xc0", new(protocol.Raw), protocol.Raw("\x92\x01\xc0")}, {"\xc0", new(protocol.Raw), protocol.Raw("\xc0")}, {"\xc1", new(protocol.Raw), nil}, {"\x01\x01", new(protocol.Raw), nil},
	})
}

func TestMessagePackIntoAnyHasTheTypesOfNET(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\x9a\x01\xcc\xc8\xff\xd0\x80\xd1\x00\x01\xcd\x00\x01\xd2\x00\x00\x00\x01\xce\x00\x00\x00\x01\xd3\x00\x00\x00\x00\x00\x00\x00\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01", new(any), []any{uint8(1), uint8(200), int8(-1), int8(-128), int16(1), uint16(1), int32(1), uint32(1), int64(1), uint64(1)}},
		{"\x98\xc0\xc3\xc2\xa1a\xc4\x01b\xca\x3f\xc0\x00\x00\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xd6\xff\x00\x00\x00\x00", new(any), []any{nil, true, false, "a", []byte("b"), float32(1.5), 1.5, time.Unix(0, 0).UTC()}},
		{"\x82\xa1a\x01\xa1b\x90", new(any), map[string]any{"a": uint8(1), "b": []any{}}}, {"\x82\xa1a\x01\x02\xc0", new(any), map[any]any{"a": uint8(1), uint8(2): nil}},
		{"\xdc\x00\x01\x01", new(any), []any{uint8(1)}}, {"\xde\x00\x00", new(any), map[string]any{}}, {"\x81\xa1a\xc0", new(map[string]any), map[string]any{"a": nil}},
		{"\xd4\x05\x00", new(any), nil}, {"\x81\x90\x01", new(any), nil}, {"\x81\xc0\x01", new(any), nil}, {"\x81\xc4\x00\x01", new(any), nil}, {"\x81\x80\x01", new(map[any]any), nil},
		{"\x01", new(error), nil},
	})
}

type packed struct {
	Int    int8
	Float  float32
	Text   string
	List   []uint8
	Ints   []int16
	Ptr    *int8
	Map    map[int8]string
	Nested *packed
	Struct struct{ A int }
	Time   time.Time
	Renamed
	Tagged  int `msgpack:"tag,alias:other"`
	Skipped int `msgpack:"-"`
}

type Renamed struct{ Inlined int }

func TestMessagePackStructsAreReadStrictly(t *testing.T) {
	member := func(name, v string) string { return "\x81" + string([]byte{0xa0 | byte(len(name))}) + name + v }
	var list []reading
	for _, raw := range []string{
		member("Int", "\xcc\xc8"), member("Int", "\xc0"), member("Int", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), member("Float", "\xc0"), member("Text", "\xc4\x01a"), member("Ints", "\x91\xcd\xff\xff"), member("Ints", "\x91\xc0"),
		member("Ptr", "\xcc\xff"), member("Map", "\x81\xcc\xff\xa1a"), member("Map", "\x81\x01\x01"), member("Nested", member("Int", "\xcc\xc8")), member("Nested", "\x90"), member("Struct", "\xc0"), member("Time", "\xc0"), member("Time", "\xa4text"), member("Inlined", "\xc0"),
		"\x81\x01\x01", "\x81\xc0\x01", "\x90", "\xc0", "\x01",
	} {
		list = append(list, reading{raw, new(packed), nil})
	}
	eight := int8(8)
	for raw, want := range map[string]packed{
		member("int", "\xc0"): {}, member("Unknown", "\x91\x81\x01\x02"): {}, member("Skipped", "\x01"): {}, member("Text", "\xc0"): {}, member("Ptr", "\xc0"): {}, member("Ptr", "\x08"): {Ptr: &eight},
		member("List", "\xc0"): {}, member("List", "\x90"): {List: []byte{}}, member("Ints", "\x92\x01\xff"): {Ints: []int16{1, -1}}, member("Map", "\x81\xff\xa1a"): {Map: map[int8]string{-1: "a"}},
		member("Nested", member("Int", "\xd0\x80")): {Nested: &packed{Int: -128}}, member("Struct", member("A", "\x05")): {Struct: struct{ A int }{5}}, member("Float", "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"): {Float: 1.5}, member("Float", "\x01"): {Float: 1},
		member("Inlined", "\x05"): {Renamed: Renamed{5}}, member("tag", "\x05"): {Tagged: 5}, member("other", "\x06"): {Tagged: 6}, member("Tagged", "\x05"): {},
		"\x82\xa3Int\x01\xa3Int\x02": {Int: 2},
	} {
		list = append(list, reading{raw, new(packed), want})
	}
	testReadings(t, protocol.MessagePack{}, list)
}

func TestMessagePackValuesAreWrittenAsASPNETWritesThem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"nil", nil, "\xc0"}, {"true", true, "\xc3"}, {"text", "ä", "\xa2ä"}, {"32 bytes of text", strings.Repeat("a", 32), "\xd9\x20" + strings.Repeat("a", 32)}, {"256 bytes of text", strings.Repeat("a", 256), "\xda\x01\x00" + strings.Repeat("a", 256)}, {"64 KiB of text", strings.Repeat("a", 65536), "\xdb\x00\x01\x00\x00" + strings.Repeat("a", 65536)},
		{"text that is not UTF-8", "a\xff", "\xa4a\ufffd"},
		{"small numbers", []int{0, 127, 128, 255, 256, 65535, 65536, -1, -32, -33, -128, -129, -32768, -32769}, "\x9e\x00\x7f\xcc\x80\xcc\xff\xcd\x01\x00\xcd\xff\xff\xce\x00\x01\x00\x00\xff\xe0\xd0\xdf\xd0\x80\xd1\xff\x7f\xd1\x80\x00\xd2\xff\xff\x7f\xff"},
		{"large numbers", []int64{1<<32 - 1, 1 << 32, -1 << 31, -1<<31 - 1}, "\x94\xce\xff\xff\xff\xff\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xd2\x80\x00\x00\x00\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"},
		{"numbers of every type", []any{}, "\x90"},
		{"floats", []float32{1.5}, "\x91\xca\x3f\xc0\x00\x00"}, {"doubles", 2.0, "\xcb\x40\x00\x00\x00\x00\x00\x00\x00"}, {"not a number", math.NaN(), "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01"},
		{"keys that are not themselves", map[float64]any{math.NaN(): true, 1: nil}, "\x82\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xc0\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\xc3"},
		{"in the order of their values", pairOfNaN(2, 1), "\x82\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\x02"},
		{"bytes", []byte{1}, "\xc4\x01\x01"}, {"nil bytes", []byte(nil), "\xc0"}, {"256 bytes", make([]byte, 256), "\xc5\x01\x00" + strings.Repeat("\x00", 256)}, {"array of bytes", [2]byte{1, 2}, "\xc4\x02\x01\x02"},
		{"nil list and map", struct {
			L []int
			M map[string]int
			P *int
		}{}, "\x83\xa1L\xc0\xa1M\xc0\xa1P\xc0"},
		{"maps in order of their keys", map[int]bool{2: true, -1: false, 1: true}, "\x83\xff\xc2\x01\xc3\x02\xc3"}, {"maps of strings", map[string]string{"b": "", "a": ""}, "\x82\xa1a\xa0\xa1b\xa0"}, {"16 entries", map[uint8]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true, 11: true, 12: true, 13: true, 14: true, 15: true}, "\xde\x00\x10\x00\xc3\x01\xc3\x02\xc3\x03\xc3\x04\xc3\x05\xc3\x06\xc3\x07\xc3\x08\xc3\x09\xc3\x0a\xc3\x0b\xc3\x0c\xc3\x0d\xc3\x0e\xc3\x0f\xc3"},
		{"sixteen elements", make([]bool, 16), "\xdc\x00\x10" + strings.Repeat("\xc2", 16)},
		{"width of their type inside any", []any{int8(1), int16(1), int32(1), int64(1), 1, uint8(1), uint16(1), uint32(1), uint64(1), uint(1), 1 << 40}, "\x9b\xd0\x01\xd1\x00\x01\xd2\x00\x00\x00\x01\xd3\x00\x00\x00\x00\x00\x00\x00\x01\xd2\x00\x00\x00\x01\xcc\x01\xcd\x00\x01\xce\x00\x00\x00\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01\xce\x00\x00\x00\x01\xd3\x00\x00\x01\x00\x00\x00\x00\x00"},
		{"short again after an any", struct {
			A any
			B int
		}{int32(1), 1}, "\x82\xa1A\xd2\x00\x00\x00\x01\xa1B\x01"},
		{"raw inside", struct{ R protocol.Raw }{protocol.Raw("\x91\x01")}, "\x81\xa1R\x91\x01"}, {"nil raw", protocol.Raw(nil), "\xc0"},
		{"times", noon, "\xd7\xff\xa1\xa5\xd6\x00\x69\x57\x35\xa5"}, {"times in whole seconds", noon.Truncate(time.Second), "\xd6\xff\x69\x57\x35\xa5"}, {"the first time", time.Time{}, "\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00"}, {"ticks of 100 ns", noon.Truncate(time.Second).Add(99), "\xd6\xff\x69\x57\x35\xa5"},
		{"tags", struct {
			Renamed
			A int `msgpack:"b"`
			C int `msgpack:"-"`
			D int `msgpack:",omitempty"`
			e int
		}{A: 1, C: 2}, "\x82\xa7Inlined\x00\xa1b\x01"},
		{"text marshalers are strings", big.NewInt(12345), "\xa512345"},
		{"named enums", []Color{1, 7}, "\x92\xa5Green\xa17"},
	} {
		got, err := protocol.MessagePack{}.AppendValue([]byte("dst"), tt.value)
		if err != nil || string(got) != "dst"+tt.want {
			t.Errorf("%s: AppendValue(%#v) = %x, error %v, want %x", tt.name, tt.value, got, err, "dst"+tt.want)
		}
	}
}

// custom encodes itself with vmihailenco/msgpack, by methods of its pointer.
type custom struct{ n int }

func (c *custom) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeMulti([]int{c.n}) }

func (c *custom) DecodeMsgpack(d *msgpack.Decoder) error {
	var list []int
	if err := d.Decode(&list); err != nil || len(list) != 1 {
		return errors.Join(err, errors.New("not one number"))
	}
	c.n = list[0]
	return nil
}

// torn claims to be more than it writes.
type torn struct{}

func (torn) MarshalMsgpack() ([]byte, error) { return []byte{0x92, 1}, nil }

func TestTypesMayEncodeThemselves(t *testing.T) {
	in := map[string]custom{"a": {5}}
	got, err := protocol.MessagePack{}.AppendValue(nil, in)
	if want := "\x81\xa1a\x91\x05"; err != nil || string(got) != want {
		t.Fatalf("AppendValue(%v) = %x, error %v, want %x", in, got, err, want)
	}
	var out map[string]custom
	if err := (protocol.MessagePack{}).Unmarshal(got, &out); err != nil || !reflect.DeepEqual(out, in) {
		t.Errorf("Unmarshal(%x) = %v, error %v, want %v", got, out, err, in)
	}
	if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw("\x92\x01\x02"), new(custom)); err == nil {
		t.Error("an error of DecodeMsgpack is lost")
	}
	if got, err := (protocol.MessagePack{}).AppendValue(nil, torn{}); err == nil {
		t.Errorf("AppendValue of a type that writes half a value = %x, want an error", got)
	}
}

func TestMessagePackDepthIsFiveHundred(t *testing.T) {
	for n := 499; n <= 502; n++ {
		raw := protocol.Raw(strings.Repeat("\x91", n) + "\x01")
		var list deepList
		for _, target := range []any{new(any), &list} {
			if n < 502 && target == &list {
				raw[n] = 0x90
			}
			err := protocol.MessagePack{}.Unmarshal(raw, target)
			if (err == nil) != (n <= 500) {
				t.Errorf("Unmarshal of %d arrays into %T: error %v", n, target, err)
			}
		}
	}
	loop := &cyclic{}
	loop.Next = loop
	if _, err := (protocol.MessagePack{}).AppendValue(nil, loop); err == nil {
		t.Error("a value that contains itself is encoded")
	}
}

func TestALengthThatLiesCostsNothing(t *testing.T) {
	type large struct{ A [1000]int }
	for _, raw := range []string{"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff\x01", "\xdd\x7f\xff\xff\xff\xc0", "\xdd\x00\x01\x00\x00" + strings.Repeat("\xc0", 65536)} {
		for _, target := range []any{new(any), new([]large), new(map[string]large), new(string), new([]byte), new(large)} {
			allocated := allocatedBy(func() {
				if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw(raw), target); err == nil && reflect.TypeOf(target) != reflect.TypeFor[*any]() {
					t.Errorf("Unmarshal(%.10q) into %T is accepted", raw, target)
				}
			})
			if limit := uint64(len(raw)*128 + 1<<20); allocated > limit {
				t.Errorf("Unmarshal(%.10q) into %T allocated %d bytes", raw, target, allocated)
			}
		}
	}
}

// pairOfNaN has the same key twice, which is none that can be found.
func pairOfNaN(a, b int) map[float64]int {
	m := map[float64]int{}
	m[math.NaN()] = a
	m[math.NaN()] = b
	return m
}

type (
	namedAny  any
	namedDict map[string]namedAny
	namedList []namedAny
)

// reflected is x in types that are encoded by reflection.
func reflected(x any) namedAny {
	switch x := x.(type) {
	case map[string]any:
		if x == nil {
			return namedDict(nil)
		}
		dict := make(namedDict)
		for key, value := range x {
			dict[key] = reflected(value)
		}
		return dict
	case []any:
		if x == nil {
			return namedList(nil)
		}
		list := make(namedList, len(x))
		for i := range x {
			list[i] = reflected(x[i])
		}
		return list
	}
	return x
}

// Values without a type are encoded without reflection, and must be the same: how wide
// their integers are, what nil is, and how deep they may nest.
func TestValuesWithoutATypeAreEncodedAsThoseWithOne(t *testing.T) {
	all := map[string]any{
		"nil": nil, "text": "ä", "empty": "", "true": true, "false": false, "int": 1, "long": int64(1), "byte": uint8(200), "float": 1.5, "float32": float32(2), "wide": 1 << 40,
		"list": []any{1, "two", nil, []any{}, []any(nil), map[string]any{}}, "no map": map[string]any(nil), "bytes": []byte{1}, "time": noon,
		"ints": []int{1, 2}, "struct": address{"Street", 5}, "pointer": new(7), "map": map[string]int{"b": 2, "a": 1}, "raw": protocol.Raw{0xc3},
	}
	values := []any{all, []any{all, 3, nil}, map[string]any{"deeper": []any{all}}, []any(nil), map[string]any(nil), []any{}, struct{ A any }{all}, map[string]any{"bad": func() {}}, []any{protocol.Raw{0xc1}}}
	for depth := 245; depth < 255; depth++ {
		list, dict := any([]any{}), any(map[string]any{})
		for range depth {
			list, dict = []any{list}, map[string]any{"a": dict}
		}
		values = append(values, list, dict, []any{list}, map[string]any{"b": dict, "a": 1})
	}
	errs := 0
	for _, value := range values {
		got, err := protocol.MessagePack{}.AppendValue(nil, value)
		want, wantErr := protocol.MessagePack{}.AppendValue(nil, reflected(value))
		if s, ok := value.(struct{ A any }); ok {
			want, wantErr = protocol.MessagePack{}.AppendValue(nil, struct{ A namedAny }{reflected(s.A)})
		}
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("AppendValue(%.60v) = % x, error %v, want % x, error %v", value, got, err, want, wantErr)
		}
		if err != nil {
			errs++
		}
	}
	if errs == 0 || errs == len(values) {
		t.Errorf("%d of %d are errors", errs, len(values))
	}
}

type digit uint8

// Bytes have a type of their own in some programs.
func TestArraysOfNamedBytesAreByteStrings(t *testing.T) {
	type key struct{ Digits [2]digit }
	for _, tt := range []struct{ value, plain any }{
		{[2]digit{1, 2}, [2]byte{1, 2}},
		{&[2]digit{1, 2}, &[2]byte{1, 2}},
		{[][2]digit{{1, 2}, {3, 4}}, [][2]byte{{1, 2}, {3, 4}}},
		{key{[2]digit{5, 6}}, struct{ Digits [2]byte }{[2]byte{5, 6}}},
		{map[string][2]digit{"a": {7, 8}}, map[string][2]byte{"a": {7, 8}}},
	} {
		got, err := protocol.MessagePack{}.AppendValue(nil, tt.value)
		want, wantErr := protocol.MessagePack{}.AppendValue(nil, tt.plain)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("AppendValue(%v) = % x, error %v, want % x, error %v", tt.value, got, err, want, wantErr)
		}
		back := reflect.New(reflect.TypeOf(tt.value))
		if err := (protocol.MessagePack{}).Unmarshal(got, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), tt.value) {
			t.Errorf("Unmarshal(% x) = %v, error %v, want %v", got, back.Elem(), err, tt.value)
		}
	}
}
