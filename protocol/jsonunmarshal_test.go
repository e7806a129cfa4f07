package protocol_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// A reading is a value, its target, and what should be found in the target.
type reading struct {
	raw    string
	target any // pointer
	want   any // nil: it is refused
}

func testReadings(t *testing.T, codec protocol.Codec, list []reading) {
	t.Helper()
	for _, tt := range list {
		target := reflect.New(reflect.TypeOf(tt.target).Elem())
		err := codec.Unmarshal(protocol.Raw(tt.raw), target.Interface())
		got := target.Elem().Interface()
		switch {
		case tt.want == nil && err == nil:
			t.Errorf("%s: Unmarshal(%q) into %T = %#v, want an error", codec.Name(), tt.raw, tt.target, got)
		case tt.want != nil && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("%s: Unmarshal(%q) into %T = %#v, error %v, want %#v", codec.Name(), tt.raw, tt.target, got, err, tt.want)
		}
	}
}

func TestJSONScalarsAreRead(t *testing.T) {
	testReadings(t, protocol.JSON{}, []reading{
		{`"a\u00e4🚀\ud83d\ude80"`, new(string), "aä🚀🚀"}, {`null`, new(string), ""}, {" \t\"a\"\r\n ", new(string), "a"},
		{`1`, new(string), nil}, {`true`, new(string), nil}, {`["a"]`, new(string), nil}, {"\"\xff\"", new(string), nil},
		{`"\ud800"`, new(string), nil}, {`"\udc00\ud800"`, new(string), nil}, {`"a`, new(string), nil}, {`"a""b"`, new(string), nil}, {``, new(string), nil},
		{`true`, new(bool), true}, {`false`, new(bool), false}, {`null`, new(bool), nil}, {`1`, new(bool), nil}, {`"true"`, new(bool), nil},
		{`127`, new(int8), int8(127)}, {`-128`, new(int8), int8(-128)}, {`128`, new(int8), nil}, {`-129`, new(int8), nil},
		{`32767`, new(int16), int16(32767)}, {`32768`, new(int16), nil}, {`2147483647`, new(int32), int32(2147483647)}, {`2147483648`, new(int32), nil},
		{`9223372036854775807`, new(int64), int64(9223372036854775807)}, {`9223372036854775808`, new(int64), nil}, {`-9223372036854775808`, new(int64), int64(-9223372036854775808)}, {`-9223372036854775809`, new(int64), nil},
		{`7`, new(int), 7}, {`-0`, new(int), 0}, {`1.0`, new(int), nil}, {`1e0`, new(int), nil}, {`null`, new(int), nil}, {`"1"`, new(int), nil}, {`true`, new(int), nil},
		{`255`, new(byte), byte(255)}, {`256`, new(byte), nil}, {`-1`, new(byte), nil}, {`-0`, new(byte), nil}, {`65535`, new(uint16), uint16(65535)}, {`65536`, new(uint16), nil},
		{`4294967295`, new(uint32), uint32(4294967295)}, {`4294967296`, new(uint32), nil}, {`18446744073709551615`, new(uint64), uint64(18446744073709551615)}, {`18446744073709551616`, new(uint64), nil}, {`99999999999999999999999`, new(uint64), nil}, {`8`, new(uint), uint(8)},
		{`1.5`, new(float64), 1.5}, {`1`, new(float64), 1.0}, {`1e400`, new(float64), math.Inf(1)}, {`-1e400`, new(float64), math.Inf(-1)}, {`null`, new(float64), nil}, {`"1"`, new(float64), nil}, {`1.5`, new(float32), float32(1.5)}, {`1e39`, new(float32), float32(math.Inf(1))},
		{`"AQID"`, new([]byte), []byte{1, 2, 3}}, {`null`, new([]byte), []byte(nil)}, {`""`, new([]byte), []byte{}}, {`[1,2]`, new([]byte), nil}, {`"AQ"`, new([]byte), nil}, {`"-_-_"`, new([]byte), nil}, {`1`, new([]byte), nil},
		{` [1, 2] `, new(protocol.Raw), protocol.Raw("[1, 2]")}, {`null`, new(protocol.Raw), protocol.Raw("null")}, {` {} `, new(json.RawMessage), json.RawMessage("{}")},
		{`[1,"a",null,{"b":2.5}]`, new(any), []any{1.0, "a", nil, map[string]any{"b": 2.5}}},
		{`1 2`, new(protocol.Raw), nil}, {`[1`, new(any), nil}, {`"\ud800"`, new(any), nil}, {"[\"\xff\"]", new(any), nil},
	})
}

type inner struct {
	N int `json:"n"`
}

type outer struct {
	inner
	Int     int        `json:"int"`
	Text    string     `json:"text"`
	Pointer *int       `json:"pointer"`
	List    []int      `json:"list"`
	Array   [2]int     `json:"array"`
	Struct  inner      `json:"struct"`
	Bytes   []byte     `json:"bytes"`
	Quoted  int        `json:"quoted,string"`
	Time    time.Time  `json:"time"`
	When    *time.Time `json:"when"`
	Map     map[string]inner
	Again   *outer `json:"again"`
	Hidden  int    `json:"-"`
}

func TestJSONNullIsRefusedWhereverNothingCanBeNil(t *testing.T) {
	var list []reading
	for _, member := range []string{
		`"int":null`, `"INT":null`, `"\u0069nt":null`, `"n":null`, `"array":null`, `"array":[1,null]`, `"list":[null]`, `"struct":null`, `"struct":{"n":null}`,
		`"time":null`, `"Map":{"a":null}`, `"map":{"a":{"n":null}}`, `"again":{"again":{"int":null}}`,
		`"bytes":[1]`, `"again":{"bytes":[1]}`, `"int":"1"`, `"int":1.0`, `"text":1`,
	} {
		list = append(list, reading{"{" + member + "}", new(outer), nil})
	}
	for _, member := range []string{`"text":null`, `"pointer":null`, `"list":null`, `"bytes":null`, `"when":null`, `"Map":null`, `"again":null`, `"unknown":null`, `"Hidden":null`, `"unknown":{"int":null}`, `"again":{"text":null,"again":null}`} {
		want := outer{}
		if strings.Contains(member, `"text":null,`) {
			want.Again = &outer{}
		}
		list = append(list, reading{"{" + member + "}", new(outer), want})
	}
	list = append(list,
		reading{`null`, new(outer), nil}, reading{`null`, new(time.Time), nil}, reading{`null`, new([1]int), nil}, reading{`null`, new(*outer), (*outer)(nil)},
		reading{`null`, new(map[string]int), map[string]int(nil)}, reading{`{"a":null}`, new(map[string]int), nil}, reading{`[null]`, new([]string), []string{""}},
		reading{`{"ſet":null}`, new(struct{ Set int }), nil}, reading{`{"kIND":null}`, new(struct{ Kind int }), nil}, reading{`{"KIND":null}`, new(struct{ Kind int }), nil},
		reading{`{"TEXT":"a","iNt":5,"LIST":[1],"n":7}`, new(outer), outer{Text: "a", Int: 5, List: []int{1}, inner: inner{7}}},
	)
	testReadings(t, protocol.JSON{}, list)
}

func TestJSONTimesAreReadInsideStructs(t *testing.T) {
	at := func(offset int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", offset*60)) }
	for _, tt := range []struct {
		in   string
		want time.Time
	}{
		{"2026-01-02T03:04:05Z", at(0)}, {"2026-01-02T03:04:05", at(0)}, {"2026-01-02T03:04:05+02:00", at(120)}, {"2026-01-02T03:04:05-07", at(-420)},
		{"2026-01-02", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}, {"2026-01-02T03:04:05.12345678Z", at(0).Add(123456700)}, {"0001-01-01T00:00:00", time.Time{}},
		{`2026-01-02\u005403:04`, time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)},
	} {
		var o outer
		record := `{"text":"é","TIME":"` + tt.in + `","again":{"when":"` + tt.in + `","int":3},"int":4}`
		if err := (protocol.JSON{}).Unmarshal(protocol.Raw(record), &o); err != nil || !o.Time.Equal(tt.want) || !o.Again.When.Equal(tt.want) || o.Int != 4 || o.Again.Int != 3 {
			t.Errorf("Unmarshal(%s) = %v and %+v, error %v, want %v", record, o.Time, o.Again, err, tt.want)
		}
		var alone time.Time
		if err := (protocol.JSON{}).Unmarshal(protocol.Raw(`"`+tt.in+`"`), &alone); err != nil || !alone.Equal(tt.want) {
			t.Errorf("Unmarshal(%q) = %v, error %v, want %v", tt.in, alone, err, tt.want)
		}
	}
	for _, in := range []string{`{"time":"2026-01-02 03:04:05"}`, `{"time":1}`, `{"when":"x"}`, `{"time":""}`} {
		if err := (protocol.JSON{}).Unmarshal(protocol.Raw(in), new(outer)); err == nil {
			t.Errorf("Unmarshal(%s) is accepted", in)
		}
	}
}

// Source: captures of ASP.NET Core 10.0.12, dictionaries of all keys.
func TestJSONKeysAreReadInTheFormThatTheyAreWrittenIn(t *testing.T) {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	testReadings(t, protocol.JSON{}, []reading{
		{`{"true":1}`, new(map[bool]int), map[bool]int{true: 1}}, {`{"False":1}`, new(map[bool]int), map[bool]int{false: 1}}, {`{"1":1}`, new(map[bool]int), nil},
		{`{"0.5":1,"1E+21":2}`, new(map[float64]int), map[float64]int{0.5: 1, 1e21: 2}}, {`{"NaN":1}`, new(map[float64]int), nil}, {`{" 1":1}`, new(map[float32]int), nil},
		{`{"01":1,"-5":2}`, new(map[int8]int), map[int8]int{1: 1, -5: 2}}, {`{"1.0":1}`, new(map[int]int), nil}, {`{"128":1}`, new(map[int8]int), nil}, {`{"-1":1}`, new(map[uint]int), nil}, {`{"":1}`, new(map[int]int), nil},
		{`{"2026-01-02T00:00:00Z":1}`, new(map[time.Time]int), map[time.Time]int{at: 1}}, {`{"x":1}`, new(map[time.Time]int), nil},
		{`{"a\u0062":1,"ab":2}`, new(map[named]int), map[named]int{"ab": 2}}, {`{"1":1}`, new(map[any]int), nil}, {`{}`, new(map[any]int), map[any]int{}},
		{`{"00010203-0405-0607-0809-0a0b0c0d0e0f":1}`, new(map[protocol.Guid]int), map[protocol.Guid]int{fixedSample().Guid: 1}}, {`{"x":1}`, new(map[protocol.Guid]int), nil},
	})
}

// What a target already refers to may be in use by others.
func TestADecodedListGetsMemoryOfItsOwn(t *testing.T) {
	for name, codec := range codecs {
		raw, err := codec.AppendValue(nil, []int{7, 8})
		if err != nil {
			t.Fatal(err)
		}
		used := []int{1, 2, 3}
		target := used
		if err := codec.Unmarshal(raw, &target); err != nil || !reflect.DeepEqual(target, []int{7, 8}) || !reflect.DeepEqual(used, []int{1, 2, 3}) {
			t.Errorf("%s: %v is decoded, what was there is %v, error %v", name, target, used, err)
		}
	}
}

// Memory follows what has come: neither the length that a peer announces nor
// the bytes after the first elements make it allocate for thousands.
func TestMemoryOfAListFollowsItsElements(t *testing.T) {
	type wide struct{ A [128]int }
	rest := strings.Repeat("a", 20_000)
	for name, raw := range map[string]string{
		"json":        `[{},{},{},{},"` + rest + `"]`,
		"messagepack": "\xdc\x27\x10\x80\x80\x80\x80" + strings.Repeat("\xa1a", 9996),
	} {
		used := allocatedBy(func() {
			if codecs[name].Unmarshal(protocol.Raw(raw), new([]wide)) == nil {
				t.Errorf("%s: text is decoded into a struct", name)
			}
		})
		if most := uint64(100 * reflect.TypeFor[wide]().Size()); used > most {
			t.Errorf("%s: four elements of %d bytes take %d", name, reflect.TypeFor[wide]().Size(), used)
		}
	}
}

func TestTargetsMustBePointers(t *testing.T) {
	for name, codec := range codecs {
		raw, err := codec.AppendValue(nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []any{nil, 1, outer{}, (*outer)(nil), (*[]int)(nil)} {
			if err := codec.Unmarshal(raw, target); err == nil {
				t.Errorf("%s: Unmarshal into %T %v is accepted", name, target, target)
			}
		}
	}
}

func TestADecodedValueDoesNotAliasTheBuffer(t *testing.T) {
	for name, codec := range codecs {
		raw, err := codec.AppendValue(nil, "text")
		if err != nil {
			t.Fatal(err)
		}
		var s string
		var r protocol.Raw
		var b []byte
		packed, _ := codec.AppendValue(nil, []byte("text"))
		for target, from := range map[any]protocol.Raw{&s: raw, &r: raw, &b: packed} {
			if err := codec.Unmarshal(from, target); err != nil {
				t.Fatal(err)
			}
		}
		before := string(r)
		clear(raw)
		clear(packed)
		if s != "text" || string(r) != before || string(b) != "text" {
			t.Errorf("%s: after the buffer was cleared: %q, %q, %q", name, s, r, b)
		}
	}
}

// upper is a JSONValues that shows that it was there.
type upper struct{}

func (upper) Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return []byte(strings.ToUpper(string(b)) + " "), err
}

func (upper) Unmarshal(b []byte, v any) error {
	return json.Unmarshal([]byte(strings.ToLower(string(b))), v)
}

func TestValuesCanBeReplaced(t *testing.T) {
	codec := protocol.JSON{Values: upper{}}
	got, err := codec.Append(nil, &protocol.Invocation{Target: "t", Arguments: []any{"a\u00e4", 1, protocol.Raw(`"raw"`)}})
	if want := `{"type":1,"target":"t","arguments":["AÄ",1,"raw"]}` + "\x1e"; err != nil || string(got) != want {
		t.Errorf("Append = %s, error %v, want %s", got, err, want)
	}
	var s string
	if err := codec.Unmarshal(protocol.Raw(` "ABC" `), &s); err != nil || s != "abc" {
		t.Errorf("Unmarshal = %q, error %v, want abc", s, err)
	}
	if _, err := codec.AppendValue(nil, true); err == nil {
		t.Error("what Marshal returned, TRUE, is no JSON, but was taken")
	}
}
