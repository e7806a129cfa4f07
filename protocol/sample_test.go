package protocol_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/testvectors"
	"github.com/hubwire/hubwire/protocol"
)

// Color, Sample and Rare are the Go side of types of the same names in the hub
// that the recordings were made with. They show the tags that make Go structs
// look like classes of .NET: camelCase names in JSON, the names of the fields
// in MessagePack.
type Color int32

func (Color) EnumNames() map[int64]string {
	return map[int64]string{0: "Red", 1: "Green", 2: "Blue"}
}

type Sample struct {
	Bool           bool                    `json:"bool"`
	Byte           byte                    `json:"byte"`
	Int            int32                   `json:"int"`
	Long           int64                   `json:"long"`
	Float          float32                 `json:"float"`
	Double         float64                 `json:"double"`
	Decimal        protocol.Decimal        `json:"decimal"`
	Text           *string                 `json:"text"`
	Absent         *string                 `json:"absent"`
	Guid           protocol.Guid           `json:"guid"`
	DateTime       protocol.DateTime       `json:"dateTime"`
	DateTimeOffset protocol.DateTimeOffset `json:"dateTimeOffset"`
	TimeSpan       protocol.TimeSpan       `json:"timeSpan"`
	Bytes          []byte                  `json:"bytes"`
	Color          Color                   `json:"color"`
	MaybeInt       *int32                  `json:"maybeInt"`
	List           []int32                 `json:"list"`
	Map            map[string]string       `json:"map"`
	Nested         *Sample                 `json:"nested"`
}

type Rare struct {
	SByte       int8                `json:"sByte"`
	Short       int16               `json:"short"`
	UShort      uint16              `json:"uShort"`
	UInt        uint32              `json:"uInt"`
	ULong       uint64              `json:"uLong"`
	Char        protocol.Char       `json:"char"`
	DateOnly    protocol.DateOnly   `json:"dateOnly"`
	TimeOnly    protocol.TimeOnly   `json:"timeOnly"`
	Unspecified protocol.DateTime   `json:"unspecified"`
	Old         protocol.DateTime   `json:"old"`
	URI         *string             `json:"uri" msgpack:"Uri"`
	Version     *string             `json:"version"`
	Pair        Pair                `json:"pair"`
	ValueTuple  ValueTuple          `json:"valueTuple"`
	Tuple       *Tuple              `json:"tuple"`
	Colors      map[int32]Color     `json:"colors"`
	Set         []int32             `json:"set"`
	Any         any                 `json:"any"`
	URLValue    string              `json:"urlValue"`
	ID          string              `json:"id"`
	Field       int32               `json:"-" msgpack:"Field"`
	_           map[string]struct{} // not exported, so not a member
}

// Pair is a KeyValuePair: named members in JSON, an array in MessagePack.
type Pair struct {
	//lint:ignore U1000 read by reflection
	_msgpack struct{} `msgpack:",as_array"`
	Key      string   `json:"key"`
	Value    int32    `json:"value"`
}

// ValueTuple is a value tuple: its items are fields, which JSON leaves out.
type ValueTuple struct {
	//lint:ignore U1000 read by reflection
	_msgpack struct{} `msgpack:",as_array"`
	Item1    int32    `json:"-" msgpack:"Item1"`
	Item2    string   `json:"-" msgpack:"Item2"`
}

type Tuple struct {
	//lint:ignore U1000 read by reflection
	_msgpack struct{} `msgpack:",as_array"`
	Item1    int32    `json:"item1"`
	Item2    string   `json:"item2"`
}

var noon = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func fixedSample() *Sample {
	return &Sample{
		Bool: true, Byte: 255, Int: -7, Long: 9007199254740993, Float: 1.5, Double: 0.1, Decimal: protocol.NewDecimal(1250, 2),
		Text: new("grüße \"<&>' 🚀"), Guid: protocol.Guid{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		DateTime:       protocol.DateTime{Time: noon, Kind: protocol.UTC},
		DateTimeOffset: protocol.DateTimeOffset{Time: noon.Add(-2 * time.Hour).In(time.FixedZone("", 2*60*60))},
		TimeSpan:       protocol.NewTimeSpan(26*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Millisecond),
		Bytes:          []byte{0, 1, 127, 128, 255}, Color: 2, List: []int32{1, 2, 3},
		Map: map[string]string{"a": "b", "Key": "Value"}, Nested: &Sample{Int: 1, Text: new("inner")},
	}
}

func fixedRare() *Rare {
	return &Rare{
		SByte: -128, Short: -300, UShort: 65535, UInt: 1<<32 - 1, ULong: 1<<64 - 1, Char: 'x',
		DateOnly: protocol.NewDateOnly(noon), TimeOnly: protocol.NewTimeOnly(noon),
		Unspecified: protocol.DateTime{Time: noon.Truncate(time.Second)}, Old: protocol.DateTime{Kind: protocol.UTC},
		URI: new("http://a.test/ü?x=1"), Version: new("1.2.3"), Pair: Pair{Key: "k", Value: 1}, ValueTuple: ValueTuple{Item1: 1, Item2: "a"},
		Tuple: &Tuple{Item1: 1, Item2: "a"}, Colors: map[int32]Color{1: 1}, Set: []int32{3, 1}, Any: []any{int32(1), "a", nil, 2.5},
		URLValue: "url", ID: "id", Field: 1,
	}
}

// recorded is what ASP.NET Core wrote as the result of a call in the recorded
// dialogues: the completions that have all of the words.
func recorded(t *testing.T, codec string, words ...string) (raws []protocol.Raw) {
	t.Helper()
next:
	for _, v := range codecVectors(t, testvectors.Both) {
		for _, word := range words {
			if v.Codec != codec || !strings.Contains(v.Wire, word) || !strings.HasSuffix(v.Name, ", server") {
				continue next
			}
		}
		m, _, err := codecs[codec].Next([]byte(v.Wire))
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := m.(*protocol.Completion); ok && c.Kind == protocol.ResultValue {
			raws = append(raws, c.RawResult)
		}
	}
	if len(raws) == 0 {
		t.Fatalf("no %s completion has %q", codec, words)
	}
	return raws
}

// sameOrder tells maps that were written in another order from other bytes:
// .NET keeps the order of insertion, which Go has not.
func sameOrder(s string) string {
	s = strings.Replace(s, `{"Key":"Value","a":"b"}`, `{"a":"b","Key":"Value"}`, 1)
	return strings.Replace(s, "\xa3Key\xa5Value\xa1a\xa1b", "\xa1a\xa1b\xa3Key\xa5Value", 1)
}

func TestStructsEncodeAsTheRecordedNodeWroteThem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		words map[string][]string // that pick the record
	}{
		{"Sample", fixedSample(), map[string][]string{"json": {`"decimal":12.50`, `9007199254740993`}, "messagepack": {"12.50", "\x20\x00\x00\x00\x00\x00\x01"}}},
		{"empty Sample", &Sample{}, map[string][]string{"json": {`{"bool":false`, `"text":null`, `"int":0`}, "messagepack": {"\xa4Bool\xc2", "\xa4Text\xc0", "\xa3Int\x00"}}},
		{"Rare", fixedRare(), map[string][]string{"json": {`"uLong":18446744073709551615`}, "messagepack": {"\xa5ULong"}}},
	} {
		for name, words := range tt.words {
			codec := codecs[name]
			for _, want := range recorded(t, name, words...) {
				got, err := codec.AppendValue(nil, tt.value)
				if err != nil || sameOrder(string(got)) != string(want) {
					t.Errorf("%s: AppendValue(%s)\n got: %q, error %v\nwant: %q", name, tt.name, got, err, want)
				}
				back := reflect.New(reflect.TypeOf(tt.value).Elem())
				if err := codec.Unmarshal(want, back.Interface()); err != nil {
					t.Errorf("%s: Unmarshal(%q): %v", name, want, err)
					continue
				}
				again, err := codec.AppendValue(nil, back.Interface())
				if err != nil || sameOrder(string(again)) != string(want) {
					t.Errorf("%s: %s decoded and encoded again\n got: %q, error %v\nwant: %q", name, tt.name, again, err, want)
				}
			}
		}
	}
}

func TestEachFieldOfASampleIsDecoded(t *testing.T) {
	for name, codec := range codecs {
		raw, err := codec.AppendValue(nil, fixedSample())
		if err != nil {
			t.Fatal(err)
		}
		var got Sample
		if err := codec.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: Unmarshal(%q): %v", name, raw, err)
		}
		want := fixedSample()
		if !got.DateTimeOffset.Equal(want.DateTimeOffset.Time) || !got.DateTime.Equal(want.DateTime.Time) {
			t.Errorf("%s: times are %v and %v, want %v and %v", name, got.DateTime, got.DateTimeOffset, want.DateTime, want.DateTimeOffset)
		}
		if _, offset := got.DateTimeOffset.Zone(); offset != 2*60*60 {
			t.Errorf("%s: offset = %d s, want two hours", name, offset)
		}
		got.DateTime, got.DateTimeOffset = want.DateTime, want.DateTimeOffset // compared above
		got.Nested.DateTime, got.Nested.DateTimeOffset = want.Nested.DateTime, want.Nested.DateTimeOffset
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("%s: decoded %+v, want %+v", name, got, *want)
		}
	}
}

func TestBroadcastOfASampleIsTheRecordedOne(t *testing.T) {
	for name, codec := range codecs {
		m := &protocol.Invocation{Target: "Values", Arguments: []any{fixedSample(), 42, nil}}
		got, err := codec.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, v := range codecVectors(t, testvectors.Both) {
			found = found || v.Wire == sameOrder(string(got))
		}
		if !found {
			t.Errorf("%s: no recorded message is %q", name, got)
		}
	}
}
