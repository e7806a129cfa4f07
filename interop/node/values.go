package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// DateTime is what .NET calls so.
type DateTime = protocol.DateTime

// A Sample has a member of each kind that a hub argument commonly has.
type Sample struct {
	Bool           bool                    `json:"bool"`
	Byte           uint8                   `json:"byte"`
	Int            int32                   `json:"int"`
	Long           int64                   `json:"long"`
	Float          float32                 `json:"float"`
	Double         float64                 `json:"double"`
	Decimal        protocol.Decimal        `json:"decimal"`
	Text           *string                 `json:"text"`
	Absent         *string                 `json:"absent"`
	Guid           protocol.Guid           `json:"guid"`
	DateTime       DateTime                `json:"dateTime"`
	DateTimeOffset protocol.DateTimeOffset `json:"dateTimeOffset"`
	TimeSpan       protocol.TimeSpan       `json:"timeSpan"`
	Bytes          []byte                  `json:"bytes"`
	Color          Color                   `json:"color"`
	MaybeInt       *int32                  `json:"maybeInt"`
	List           []int32                 `json:"list"`
	Map            dictionary              `json:"map"`
	Nested         *Sample                 `json:"nested"`
}

// moment is when all examples are.
var moment = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

func newSample() *Sample {
	return &Sample{
		Bool:           true,
		Byte:           255,
		Int:            -7,
		Long:           9007199254740993,
		Float:          1.5,
		Double:         0.1,
		Decimal:        protocol.NewDecimal(1250, 2),
		Text:           new("grüße \"<&>' 🚀"),
		Guid:           protocol.Guid{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		DateTime:       DateTime{Time: moment, Kind: protocol.UTC},
		DateTimeOffset: protocol.DateTimeOffset{Time: moment.Add(-2 * time.Hour).In(time.FixedZone("", 2*60*60))},
		TimeSpan:       protocol.NewTimeSpan(26*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Millisecond),
		Bytes:          []byte{0, 1, 127, 128, 255},
		Color:          blue,
		List:           []int32{1, 2, 3},
		Map:            dictionary{{"a", "b"}, {"Key", "Value"}},
		Nested:         &Sample{Int: 1, Text: new("inner")},
	}
}

// A Rare has members of kinds that are rare as hub arguments. In JSON, .NET
// leaves out what is a field and not a property; MessagePack has both.
type Rare struct {
	SByte       int8              `json:"sByte"`
	Short       int16             `json:"short"`
	UShort      uint16            `json:"uShort"`
	UInt        uint32            `json:"uInt"`
	ULong       uint64            `json:"uLong"`
	Char        protocol.Char     `json:"char"`
	DateOnly    protocol.DateOnly `json:"dateOnly"`
	TimeOnly    protocol.TimeOnly `json:"timeOnly"`
	Unspecified DateTime          `json:"unspecified"`
	Old         DateTime          `json:"old"`
	Uri         *string           `json:"uri"`
	Version     *string           `json:"version"`
	Pair        pair              `json:"pair"`
	ValueTuple  valueTuple        `json:"valueTuple"`
	Tuple       *tuple            `json:"tuple"`
	Colors      map[int32]Color   `json:"colors"`
	Set         []int32           `json:"set"`
	Any         object            `json:"any"`
	URLValue    *string           `json:"urlValue"`
	ID          *string           `json:"id"`
	Field       int32             `json:"-" msgpack:"Field"`
}

// rareMembers is Rare without its own ways of decoding.
type rareMembers Rare

// preset is the value of a new Rare.
func (r *Rare) preset() *rareMembers {
	*r = Rare{URLValue: new("url"), ID: new("id"), Field: 1}
	return (*rareMembers)(r)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Rare) UnmarshalJSON(text []byte) error {
	return protocol.JSON{}.Unmarshal(text, r.preset())
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (r *Rare) DecodeMsgpack(decoder *msgpack.Decoder) error {
	raw, err := decoder.DecodeRaw()
	if err != nil {
		return err
	}
	return protocol.MessagePack{}.Unmarshal(protocol.Raw(raw), r.preset())
}

// A pair is .NET's KeyValuePair<string, int>.
type pair struct {
	//lint:ignore U1000 the codec reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	Key      *string  `json:"key"`
	Value    int32    `json:"value"`
}

// A tuple is .NET's Tuple<int, string>.
type tuple struct {
	//lint:ignore U1000 the codec reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	Item1    int32    `json:"item1"`
	Item2    *string  `json:"item2"`
}

// A valueTuple is .NET's (int, string), whose members are fields.
type valueTuple struct {
	//lint:ignore U1000 the codec reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	Item1    int32    `json:"-" msgpack:"Item1"`
	Item2    *string  `json:"-" msgpack:"Item2"`
}

func newRare() *Rare {
	return &Rare{
		SByte:       -128,
		Short:       -300,
		UShort:      65535,
		UInt:        4294967295,
		ULong:       18446744073709551615,
		Char:        'x',
		DateOnly:    protocol.NewDateOnly(moment),
		TimeOnly:    protocol.NewTimeOnly(moment),
		Unspecified: DateTime{Time: moment.Truncate(time.Second)},
		Old:         DateTime{Kind: protocol.UTC},
		Uri:         new("http://a.test/ü?x=1"),
		Version:     new("1.2.3"),
		Pair:        pair{Key: new("k"), Value: 1},
		ValueTuple:  valueTuple{Item1: 1, Item2: new("a")},
		Tuple:       &tuple{Item1: 1, Item2: new("a")},
		Colors:      map[int32]Color{1: green},
		Set:         []int32{3, 1},
		Any:         object{value: []any{int32(1), "a", nil, 2.5}},
		URLValue:    new("url"),
		ID:          new("id"),
		Field:       1,
	}
}

// A Post is what PostPublished tells of a blog post.
type Post struct {
	Id          int32    `json:"id"`
	Title       string   `json:"title"`
	PublishedAt DateTime `json:"publishedAt"`
}

func newPost(id int32) Post {
	return Post{id, fmt.Sprintf("Post %d", id), DateTime{Time: moment.Truncate(time.Second), Kind: protocol.UTC}}
}

// unserializable fails to serialize, in both protocols, with the words of the
// .NET serializers.
type unserializable struct{}

// MarshalJSON fails.
func (unserializable) MarshalJSON() ([]byte, error) {
	//lint:ignore ST1005 it is .NET's text
	err := errors.New("this getter fails The unsupported member type is located on type 'System.Int32'. Path: $.Number.")
	return nil, server.WithErrorType("NotSupportedException", err)
}

// EncodeMsgpack fails.
func (unserializable) EncodeMsgpack(*msgpack.Encoder) error {
	//lint:ignore ST1005 it is .NET's text
	err := errors.New("Failed to serialize Interop.Unserializable value.")
	return server.WithErrorType("MessagePackSerializationException", err)
}

var (
	_ json.Marshaler        = unserializable{}
	_ msgpack.CustomEncoder = unserializable{}
)
