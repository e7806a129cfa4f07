package protocol_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
)

// decodable are types that both packages decode.
var decodable = []reflect.Type{
	reflect.TypeFor[int](), reflect.TypeFor[string](), reflect.TypeFor[*bool](), reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any](), reflect.TypeFor[[]Level1](),
	reflect.TypeFor[*clashing](), reflect.TypeFor[map[int8][]uint16](), reflect.TypeFor[[3]float32](), reflect.TypeFor[struct{ E *Level2b }](), reflect.TypeFor[map[Text]*float64](),
	reflect.TypeFor[[]Byte](), reflect.TypeFor[json.Number](), reflect.TypeFor[[]json.RawMessage](), reflect.TypeFor[hiddenLevel](), reflect.TypeFor[[][]string](), reflect.TypeFor[any](),
	reflect.TypeFor[struct {
		Quoted    string   `json:",string"`
		QuotedInt *uint16  `json:"qi,string"`
		QuotedF   float32  `json:",string"`
		QuotedB   bool     `json:",string"`
		Fixed     [2]Text  `json:"<&>"`
		Named     []Byte   `json:"ü"`
		Iface     any      `json:"a.b"`
		Loop      *Level1  `json:"ſ"`
		Pair      [][]Text `json:"K"`
	}](),
}

// mutate changes a few places of JSON text, and keeps it JSON.
func mutate(text []byte, r *rand.Rand) []byte {
	var x any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&x) != nil {
		return text
	}
	words := []any{nil, true, json.Number("-1"), json.Number("1.5"), json.Number("300"), json.Number("0"), "", "1", "a", []any{}, map[string]any{}, []any{json.Number("1"), "x"}}
	var change func(x any) any
	change = func(x any) any {
		if r.IntN(6) == 0 {
			return words[r.IntN(len(words))]
		}
		switch x := x.(type) {
		case []any:
			for i := range x {
				x[i] = change(x[i])
			}
		case map[string]any:
			for name := range x {
				x[name] = change(x[name])
			}
		}
		return x
	}
	out, err := json.Marshal(change(x))
	if err != nil {
		return text
	}
	return out
}

// FuzzJSONReadsAsEncodingJSON compares what is read. Only null, which
// encoding/json takes for everything, and arrays for bytes are refused by us
// alone.
func FuzzJSONReadsAsEncodingJSON(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		kind := decodable[r.IntN(len(decodable))]
		if r.IntN(4) == 0 {
			kind = randomStruct(r)
		}
		v := reflect.New(kind)
		randomize(v.Elem(), r, 4)
		text, err := json.Marshal(v.Interface())
		if err != nil {
			t.Skip("encoding/json cannot write the value, so there is nothing to compare")
		}
		if r.IntN(2) == 0 {
			text = mutate(text, r)
		}
		want, got := reflect.New(kind), reflect.New(kind)
		wantErr := json.Unmarshal(text, want.Interface())
		gotErr := protocol.JSON{}.Unmarshal(text, got.Interface())
		stricter := bytes.Contains(text, []byte("null")) || bytes.Contains(text, []byte("[")) && bytes.Contains([]byte(kind.String()), []byte("yte"))
		if gotErr != nil && wantErr == nil && stricter {
			return
		}
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s into a %s: error %v, encoding/json's %v", text, kind, gotErr, wantErr)
		}
		if gotErr == nil && !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s into a %s:\n got  %#v\n want %#v", text, kind, got.Elem(), want.Elem())
		}
	})
}

// packable makes a type that both packages write alike: no time, no integer in
// an interface, no bytes that are not UTF-8, which are .NET's own.
func packable(r *rand.Rand, depth int) reflect.Type {
	plain := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
		reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[*string](), reflect.TypeFor[Base](), reflect.TypeFor[inlined](), reflect.TypeFor[inlinedPointer](), reflect.TypeFor[shadowed](),
		reflect.TypeFor[twoBases](), reflect.TypeFor[notInlined](), reflect.TypeFor[omitting](), reflect.TypeFor[omitAll](), reflect.TypeFor[asArray](),
	}
	if depth == 0 {
		return plain[r.IntN(len(plain))]
	}
	inner := packable(r, depth-1)
	switch r.IntN(5) {
	case 0:
		return reflect.PointerTo(inner)
	case 1:
		return reflect.SliceOf(inner)
	case 2:
		return reflect.MapOf(reflect.TypeFor[string](), inner)
	case 3:
		return inner
	}
	names, options := []string{"", "a", "B", "ü", "x y", "-"}, []string{"", ",omitempty", ",noinline"}
	var fields []reflect.StructField
	for i := range r.IntN(5) {
		tag := names[r.IntN(len(names))] + options[r.IntN(len(options))]
		if i < len(names) && tag != "" && tag[0] != '-' && tag[0] != ',' {
			tag = strconv.Itoa(i) + tag // no name twice
		}
		fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(i), Type: packable(r, depth-1), Tag: reflect.StructTag(`msgpack:"` + tag + `"`)})
	}
	return reflect.StructOf(fields)
}

// tidy makes v what both packages write alike: maps of one entry at most, whose
// order does not matter, and valid text.
func tidy(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(string([]rune(v.String())))
	case reflect.Pointer:
		if !v.IsNil() {
			tidy(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			tidy(v.Index(i))
		}
	case reflect.Map:
		for i, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			tidy(value)
			v.SetMapIndex(key, reflect.Value{})
			if i == 0 {
				v.SetMapIndex(reflect.ValueOf(string([]rune(key.String()))).Convert(v.Type().Key()), value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				tidy(v.Field(i))
			}
		}
	}
}

// FuzzMessagePackHasTheFormOfVmihailenco compares what is written with what
// vmihailenco/msgpack writes, and what both read of it.
func FuzzMessagePackHasTheFormOfVmihailenco(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		kind := packable(r, r.IntN(4))
		v := reflect.New(kind)
		randomize(v.Elem(), r, 4)
		tidy(v.Elem())
		var want bytes.Buffer
		e := msgpack.NewEncoder(&want)
		e.UseCompactInts(true)
		if err := e.Encode(v.Interface()); err != nil {
			t.Fatal(err)
		}
		got, err := protocol.MessagePack{}.AppendValue(nil, v.Interface())
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%s: %#v\n got  %x, error %v\n want %x", kind, v.Elem(), got, err, want.Bytes())
		}
		ours, theirs := reflect.New(kind), reflect.New(kind)
		if err := msgpack.Unmarshal(got, theirs.Interface()); err != nil {
			t.Fatalf("%s: %x: vmihailenco: %v", kind, got, err)
		}
		if err := (protocol.MessagePack{}).Unmarshal(got, ours.Interface()); err != nil {
			if bytes.IndexByte(got, 0xc0) >= 0 {
				return // nil that cannot be nil, which only we refuse
			}
			t.Fatalf("%s: %x: %v", kind, got, err)
		}
		if !reflect.DeepEqual(ours.Interface(), theirs.Interface()) {
			t.Errorf("%s: %x is\n got  %#v\n want %#v", kind, got, ours.Elem(), theirs.Elem())
		}
	})
}
