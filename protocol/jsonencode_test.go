package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

//lint:file-ignore SA5008 wrong and odd tags are what encoding/json has rules for

// Types with everything that encoding/json has rules for.
type (
	Level1 struct {
		Level2
		*Level2b
		A int `json:"a,omitempty"`
		S string
	}
	Level2 struct {
		A int
		B string `json:"b"`
		C bool   `json:"C"`
		S string
	}
	Level2b struct {
		B    string
		C    bool
		D    float64 `json:"d,string"`
		E    *int    `json:",string"`
		Loop *Level1 `json:"loop,omitempty"`
	}
	hiddenLevel struct {
		Shown int
		//lint:ignore U1000 that it is not sent is what is tested
		hidden int
	}
	Text    string
	Key     struct{ X uint8 }
	byValue struct{ N int8 }
	byPtr   struct{ N int8 }
	zeroed  struct{ N int8 }
	Byte    uint8
	ptrByte uint8
	Str     string
	// manyRules has members of every kind.
	manyRules struct {
		Level1
		hiddenLevel
		Str       `json:",omitempty"`
		Value     byValue
		Pointer   byPtr
		Pointers  []byPtr
		ToPointer *byPtr
		ByKey     map[Key]byPtr
		ByText    map[Text]*byValue
		ByInt     map[int8]any
		Zero      zeroed  `json:",omitzero"`
		ZeroPtr   *zeroed `json:"zp,omitzero"`
		ZeroInt   int     `json:"zi,omitzero"`
		ZeroLevel Level2  `json:",omitzero"`
		Never     string  `json:"-"`
		Dash      string  `json:"-,"`
		Quoted    string  `json:",string"`
		QuotedInt uint16  `json:"qi,string,omitempty"`
		QuotedPtr **int   `json:",string"`
		QuotedVal byValue `json:",string"`
		QuotedStr Text    `json:",string"`
		Number    json.Number
		Message   json.RawMessage
		Bytes     []byte
		Named     []Byte
		NotBytes  []ptrByte
		Array     [3]byte
		Fixed     [2]Text
		Any       any
		Iface     fmt.Stringer
		Nested    []map[string][]*Level2
		F32       float32
		F64       *float64
		U         uintptr
		Addr      netip.Addr
		Bad       string `json:"a\"b"`
		Odd       string `json:"<&> ü"`
	}
	clashing struct {
		Level2
		Other struct{ A int }
		Third
		Fourth `json:",omitempty"`
	}
	Third  struct{ A, Level2x int }
	Fourth struct {
		A int `json:"A"`
		S int
	}
)

func (t Text) MarshalText() ([]byte, error) { return []byte("t:" + string(t)), nil }
func (k Key) MarshalText() ([]byte, error)  { return []byte("k" + strconv.Itoa(int(k.X))), nil }
func (v byValue) MarshalJSON() ([]byte, error) {
	return []byte(`{"v" : ` + strconv.Itoa(int(v.N)) + `}`), nil
}
func (p *byPtr) MarshalJSON() ([]byte, error) {
	return []byte(`["p",` + strconv.Itoa(int(p.N)) + `]`), nil
}
func (z *zeroed) IsZero() bool { return z.N%2 == 0 }
func (p *ptrByte) MarshalText() ([]byte, error) {
	return []byte("b" + strconv.Itoa(int(*p))), nil
}

var wordsOfTests = []string{"", "a", "<&>", "ü", "\u2028", "\x00", "🚀", "\xff", "\"\\", "plain text of some length"}

// randomize fills v.
func randomize(v reflect.Value, r *rand.Rand, depth int) {
	switch v.Type() {
	case reflect.TypeFor[json.Number]():
		v.SetString([]string{"", "1", "-1.5e3", "0"}[r.IntN(4)])
		return
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([][]byte{nil, []byte(`1`), []byte(` {"a" : [ ] } `), []byte(`"\u0041"`)}[r.IntN(4)])
		return
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{1, byte(r.Int()), 3, 4})))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, r.Int64()}[r.IntN(4)] >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint([]uint64{0, 1, r.Uint64()}[r.IntN(3)] >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, 1, -1.5, 1e20, 1e-7, float64(r.Float32())}[r.IntN(6)])
	case reflect.String:
		v.SetString(wordsOfTests[r.IntN(len(wordsOfTests))])
	case reflect.Pointer:
		if depth > 0 && r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			randomize(v.Elem(), r, depth-1)
		}
	case reflect.Interface:
		if v.NumMethod() == 0 {
			if x := randomAny(r, depth); x != nil {
				v.Set(reflect.ValueOf(x))
			}
		} else if r.IntN(2) == 0 {
			v.Set(reflect.ValueOf(big.NewInt(r.Int64())))
		}
	case reflect.Slice:
		if r.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
			for i := range v.Len() {
				randomize(v.Index(i), r, depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			randomize(v.Index(i), r, depth-1)
		}
	case reflect.Map:
		if r.IntN(4) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range r.IntN(3) {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				randomize(key, r, depth-1)
				randomize(value, r, depth-1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous && f.Kind() == reflect.Struct {
				randomize(settable(f), r, depth)
			}
		}
	}
}

// settable is f; embedded structs that are not exported are left alone.
func settable(f reflect.Value) reflect.Value {
	if f.CanSet() {
		return f
	}
	return reflect.New(f.Type()).Elem()
}

func randomAny(r *rand.Rand, depth int) any {
	if depth <= 0 {
		return nil
	}
	types := []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[string](), reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any](), reflect.TypeFor[Level1](), reflect.TypeFor[*Level1](),
		reflect.TypeFor[byPtr](), reflect.TypeFor[*byPtr](), reflect.TypeFor[byValue](), reflect.TypeFor[clashing](), reflect.TypeFor[float32](), reflect.TypeFor[[]ptrByte](), randomStruct(r),
	}
	v := reflect.New(types[r.IntN(len(types))]).Elem()
	randomize(v, r, depth-1)
	return v.Interface()
}

// randomStruct has members with tags of all kinds.
func randomStruct(r *rand.Rand) reflect.Type {
	names := []string{"", "a", "A", "b", "-", "x y", `\"`, "ü", "ſ", "K", "a.b/c", "'"}
	options := []string{"", ",omitempty", ",omitzero", ",string", ",omitempty,string", ",", ", omitempty", ",unknown"}
	types := []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[*string](), reflect.TypeFor[[]float64](), reflect.TypeFor[bool](), reflect.TypeFor[any](), reflect.TypeFor[map[string]int](),
		reflect.TypeFor[[2]int](), reflect.TypeFor[byPtr](), reflect.TypeFor[*zeroed](), reflect.TypeFor[Level2](), reflect.TypeFor[Text](), reflect.TypeFor[json.Number](),
	}
	var fields []reflect.StructField
	for i := range r.IntN(5) {
		tag := names[r.IntN(len(names))] + options[r.IntN(len(options))]
		fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(i), Type: types[r.IntN(len(types))], Tag: reflect.StructTag(`json:"` + tag + `"`)})
	}
	return reflect.StructOf(fields)
}

// tokens are the tokens of JSON text; numbers are compared by value.
func tokens(t *testing.T, text []byte) (list []any) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if s, ok := token.(string); ok { // maybe of the option "string"
			var inside any
			if json.Unmarshal([]byte(s), &inside) == nil {
				token = inside
			}
		}
		list = append(list, token)
	}
}

// checkAgainstStandard compares our encoding with that of encoding/json, of
// which only the form of numbers and the escapes may differ.
func checkAgainstStandard(t *testing.T, v any) {
	t.Helper()
	want, wantErr := json.Marshal(v)
	got, err := protocol.JSON{}.AppendValue(nil, v)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%#v: error %v, encoding/json's %v", v, err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(tokens(t, got), tokens(t, want)) {
		t.Errorf("%T:\n     got %s\n    want %s", v, got, want)
	}
}

func FuzzJSONHasTheMembersOfEncodingJSON(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		rules := &manyRules{}
		randomize(reflect.ValueOf(rules).Elem(), r, 4)
		checkAgainstStandard(t, rules)
		checkAgainstStandard(t, *rules)
		checkAgainstStandard(t, randomAny(r, 5))
	})
}

// Source: captures of ASP.NET Core 10.0.12, dictionaries of all keys.
func TestValuesInsideAnyHaveTheFormThatTheyHaveOutside(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 123456789, time.UTC)
	type holder struct{ X any }
	for _, tt := range []struct {
		value any
		want  string
	}{
		{1e20, "1E+20"}, {1.5e-7, "1.5E-07"}, {float32(1e9), "1E+09"}, {at, `"2024-01-02T03:04:05.1234567Z"`}, {&at, `"2024-01-02T03:04:05.1234567Z"`},
		{int64(1e18), "1000000000000000000"}, {"<ü\u00a0>", `"<ü\u00A0>"`}, {protocol.Raw(`[ 1]`), "[ 1]"},
		{map[any]any{uint8(1): int8(2), "a": 1e20, true: at, -5: nil}, `{"-5":null,"1":2,"True":"2024-01-02T03:04:05.1234567Z","a":1E+20}`},
		{map[float64]int{0.5: 1, 1e21: 2}, `{"0.5":1,"1E+21":2}`}, {map[bool]int{true: 1}, `{"True":1}`}, {map[time.Time]int{at: 1}, `{"2024-01-02T03:04:05.1234567Z":1}`},
	} {
		for where, v := range map[string]any{
			"%s": tt.value, `{"X":%s}`: holder{tt.value}, `[{"X":%s}]`: []holder{{tt.value}}, `{"a":[%s]}`: map[string][]any{"a": {tt.value}}, `{"X":{"X":%s}}`: &holder{&holder{tt.value}}, `{"b":%s}`: map[string]any{"b": &tt.value},
		} {
			got, err := protocol.JSON{}.AppendValue(nil, v)
			if want := strings.Replace(where, "%s", tt.want, 1); err != nil || string(got) != want {
				t.Errorf("AppendValue(%#v) = %s, error %v, want %s", v, got, err, want)
			}
		}
	}
}

// A client of MessagePack may send what a client of JSON then receives.
func TestWhatMessagePackDecodesIntoAnyEncodesInJSON(t *testing.T) {
	var x any
	if err := (protocol.MessagePack{}).Unmarshal(protocol.Raw("\x83\x01\x02\xa1a\xcb\x44\x15\xaf\x1d\x78\xb5\x8c\x40\xc3\xc0"), &x); err != nil {
		t.Fatal(err)
	}
	got, err := protocol.JSON{}.AppendValue(nil, []any{x})
	if want := `[{"1":2,"True":null,"a":1E+20}]`; err != nil || string(got) != want {
		t.Errorf("AppendValue(%#v) = %s, error %v, want %s", x, got, err, want)
	}
}

func TestValuesThatContainThemselvesAreErrors(t *testing.T) {
	type pointer *pointer
	var p pointer
	p = &p
	var x any
	x = &x
	type list []list
	l := make(list, 1)
	l[0] = l
	type dict map[string]dict
	d := dict{}
	d["a"] = d
	for _, v := range []any{p, x, l, d, []any{&x}, map[string]any{"a": l}} {
		for name, codec := range codecs {
			if got, err := codec.AppendValue(nil, v); err == nil {
				t.Errorf("%s of a %T that contains itself = %.50q", name, v, got)
			}
		}
	}
}
