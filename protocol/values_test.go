package protocol_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/hubwire/hubwire/protocol"
)

// Go types for those of the recordings; see Types.cs beside them.
type (
	vSimple struct {
		ID   int32   `json:"id" msgpack:"Id"`
		Name *string `json:"name"`
	}
	vPost struct {
		ID    int32   `json:"id" msgpack:"Id"`
		Title *string `json:"title"`
	}
	vNode struct {
		Name *string `json:"name"`
		Next *vNode  `json:"next"`
	}
	vTree struct {
		Children []*vTree `json:"children"`
	}
	vPoint struct {
		X int32 `json:"x"`
		Y int32 `json:"y"`
	}
	vByteEnum  uint8
	vSByteEnum int8
	vLongEnum  int64
	vULongEnum uint64
	vCamel     struct {
		ID          int32 `json:"id"`
		ID2         int32 `json:"id2" msgpack:"Id2"`
		URLValue    int32 `json:"urlValue"`
		AB          int32 `json:"aB" msgpack:"aB"`
		A           int32 `json:"a"`
		Under       int32 `json:"_x" msgpack:"_x"`
		UnderUpper  int32 `json:"_Xy" msgpack:"_Xy"`
		ÄB          int32 `json:"äb"`
		Ärger       int32 `json:"ärger"`
		IOStream    int32 `json:"ioStream"`
		HTML5Parser int32 `json:"htmL5Parser"`
		X1Y         int32 `json:"x1Y"`
		ABC         int32 `json:"abc"`
		ACd         int32 `json:"aCd"`
		SnakeCase   int32 `json:"snake_Case" msgpack:"Snake_Case"`
		UpperSnake  int32 `json:"uppeR_SNAKE" msgpack:"UPPER_SNAKE"`
		ISBN13      int32 `json:"isbN13"`
		Q1          int32 `json:"q1"`
		Ix          int32 `json:"İx" msgpack:"İx"`
		SzX         int32 `json:"ßX" msgpack:"ßX"`
		Ωm          int32 `json:"ωm"`
		IsOK        int32 `json:"isOK"`
		OKButton    int32 `json:"okButton"`
		Dz          int32 `json:"ǅx" msgpack:"ǅx"`
		A1B         int32 `json:"a1B"`
		ABCdEF      int32 `json:"abCd_EF" msgpack:"ABCd_EF"`
	}
	vAllNullable struct {
		Bool           *bool                    `json:"bool"`
		Byte           *uint8                   `json:"byte"`
		Short          *int16                   `json:"short"`
		Int            *int32                   `json:"int"`
		Long           *int64                   `json:"long"`
		Float          *float32                 `json:"float"`
		Double         *float64                 `json:"double"`
		Decimal        *protocol.Decimal        `json:"decimal"`
		Char           *protocol.Char           `json:"char"`
		Guid           *protocol.Guid           `json:"guid"`
		DateTime       *protocol.DateTime       `json:"dateTime"`
		DateTimeOffset *protocol.DateTimeOffset `json:"dateTimeOffset"`
		DateOnly       *protocol.DateOnly       `json:"dateOnly"`
		TimeOnly       *protocol.TimeOnly       `json:"timeOnly"`
		TimeSpan       *protocol.TimeSpan       `json:"timeSpan"`
		Color          *Color                   `json:"color"`
		Point          *vPoint                  `json:"point"`
		String         *string                  `json:"string"`
		Bytes          []byte                   `json:"bytes"`
		URI            *string                  `json:"uri" msgpack:"Uri"`
		Version        *string                  `json:"version"`
		List           []int32                  `json:"list"`
		Map            map[string]int32         `json:"map"`
		Any            any                      `json:"any"`
	}
)

func (vByteEnum) EnumNames() map[int64]string  { return map[int64]string{1: "A", 200: "B"} }
func (vSByteEnum) EnumNames() map[int64]string { return map[int64]string{-100: "Low", 100: "High"} }
func (vLongEnum) EnumNames() map[int64]string {
	return map[int64]string{1: "Small", 9007199254740993: "Huge"}
}
func (vULongEnum) EnumNames() map[int64]string { return map[int64]string{1: "Small", -1: "Huge"} }

// valueTypes are our types for those of .NET.
var valueTypes = map[string]reflect.Type{
	"bool": reflect.TypeFor[bool](), "bool?": reflect.TypeFor[*bool](), "byte": reflect.TypeFor[uint8](), "sbyte": reflect.TypeFor[int8](), "short": reflect.TypeFor[int16](), "ushort": reflect.TypeFor[uint16](),
	"int": reflect.TypeFor[int32](), "int?": reflect.TypeFor[*int32](), "uint": reflect.TypeFor[uint32](), "long": reflect.TypeFor[int64](), "ulong": reflect.TypeFor[uint64](),
	"float": reflect.TypeFor[float32](), "double": reflect.TypeFor[float64](), "decimal": reflect.TypeFor[protocol.Decimal](), "decimal?": reflect.TypeFor[*protocol.Decimal](),
	"string": reflect.TypeFor[*string](), "char": reflect.TypeFor[protocol.Char](), "byte[]": reflect.TypeFor[[]byte](), "byte[][]": reflect.TypeFor[[][]byte](), "Guid": reflect.TypeFor[protocol.Guid](), "Guid?": reflect.TypeFor[*protocol.Guid](),
	"DateTime": reflect.TypeFor[protocol.DateTime](), "DateTime?": reflect.TypeFor[*protocol.DateTime](), "DateTimeOffset": reflect.TypeFor[protocol.DateTimeOffset](),
	"TimeSpan": reflect.TypeFor[protocol.TimeSpan](), "TimeSpan?": reflect.TypeFor[*protocol.TimeSpan](), "DateOnly": reflect.TypeFor[protocol.DateOnly](), "TimeOnly": reflect.TypeFor[protocol.TimeOnly](),
	"Color": reflect.TypeFor[Color](), "Color?": reflect.TypeFor[*Color](), "Color[]": reflect.TypeFor[[]Color](), "ByteEnum": reflect.TypeFor[vByteEnum](), "SByteEnum": reflect.TypeFor[vSByteEnum](), "LongEnum": reflect.TypeFor[vLongEnum](), "ULongEnum": reflect.TypeFor[vULongEnum](),
	"Simple": reflect.TypeFor[*vSimple](), "Post": reflect.TypeFor[*vPost](), "Post (record)": reflect.TypeFor[*vPost](), "Node": reflect.TypeFor[*vNode](), "Tree": reflect.TypeFor[*vTree](), "Empty": reflect.TypeFor[*struct{}](),
	"Point": reflect.TypeFor[vPoint](), "Point (record struct)": reflect.TypeFor[vPoint](), "Point?": reflect.TypeFor[*vPoint](), "CamelNames": reflect.TypeFor[*vCamel](), "AllNullable": reflect.TypeFor[*vAllNullable](),
	"int[]": reflect.TypeFor[[]int32](), "int[][]": reflect.TypeFor[[][]int32](), "int?[]": reflect.TypeFor[[]*int32](), "byte?[]": reflect.TypeFor[[]*uint8](), "string[]": reflect.TypeFor[[]*string](), "bool[]": reflect.TypeFor[[]bool](),
	"List<int>": reflect.TypeFor[[]int32](), "List<string>": reflect.TypeFor[[]*string](), "List<object>": reflect.TypeFor[[]any](), "object[]": reflect.TypeFor[[]any](), "object": reflect.TypeFor[any](),
	"Dictionary<string, int>": reflect.TypeFor[map[string]int32](), "Dictionary<string, int?>": reflect.TypeFor[map[string]*int32](), "Dictionary<string, string>": reflect.TypeFor[map[string]*string](), "Dictionary<string, object>": reflect.TypeFor[map[string]any](), "Dictionary<string, Simple>": reflect.TypeFor[map[string]*vSimple](),
	"Dictionary<int, int>": reflect.TypeFor[map[int32]int32](), "Dictionary<int, string>": reflect.TypeFor[map[int32]*string](), "Dictionary<long, int>": reflect.TypeFor[map[int64]int32](), "Dictionary<ulong, int>": reflect.TypeFor[map[uint64]int32](), "Dictionary<byte, int>": reflect.TypeFor[map[uint8]int32](),
	"Dictionary<bool, int>": reflect.TypeFor[map[bool]int32](), "Dictionary<double, int>": reflect.TypeFor[map[float64]int32](), "Dictionary<decimal, int>": reflect.TypeFor[map[protocol.Decimal]int32](), "Dictionary<char, int>": reflect.TypeFor[map[protocol.Char]int32](),
	"Dictionary<Guid, int>": reflect.TypeFor[map[protocol.Guid]int32](), "Dictionary<DateTime, int>": reflect.TypeFor[map[protocol.DateTime]int32](), "Dictionary<DateOnly, int>": reflect.TypeFor[map[protocol.DateOnly]int32](), "Dictionary<TimeSpan, int>": reflect.TypeFor[map[protocol.TimeSpan]int32](),
	"Dictionary<Color, int>": reflect.TypeFor[map[Color]int32](), "Dictionary<Color, Color>": reflect.TypeFor[map[Color]Color](),
	"KeyValuePair<string, int>": reflect.TypeFor[vPair](), "KeyValuePair<string, int>[]": reflect.TypeFor[[]vPair](), "List<KeyValuePair<string, int>>": reflect.TypeFor[[]vPair](), "Tuple<int, string>": reflect.TypeFor[*vTuple](), "(int, string)": reflect.TypeFor[ValueTuple](),
}

type (
	vPair struct {
		//lint:ignore U1000 read by reflection
		_msgpack struct{} `msgpack:",as_array"`
		Key      *string  `json:"key"`
		Value    int32    `json:"value"`
	}
	vTuple struct {
		//lint:ignore U1000 read by reflection
		_msgpack struct{} `msgpack:",as_array"`
		Item1    int32    `json:"item1"`
		Item2    *string  `json:"item2"`
	}
)

// encoded is v in both codecs; an error is text that no encoding is.
func encoded(codec protocol.Codec, v reflect.Value) string {
	b, err := codec.AppendValue(nil, v.Elem().Interface())
	if err != nil {
		return "error: " + err.Error()
	}
	if codec.Binary() {
		return hex.EncodeToString(b)
	}
	return string(b)
}

// What one codec reads of ASP.NET Core's bytes, it writes as the same bytes, and
// the other one as the bytes of the other.
func TestValuesAreWrittenAsASPNETCoreWritesThem(t *testing.T) {
	known, other := loadDifferences(t, "write"), 0
	for _, row := range valueRows(t, "values.json") {
		kind := valueTypes[row.Type]
		text, textWhole := whole(row.JSON)
		pack, packWhole := whole(row.MessagePack)
		switch {
		case row.Part != "write":
			continue
		case kind == nil || row.Options != "" || row.Zone != "" || !textWhole || !packWhole || text == "" && pack == "":
			other++
			continue
		}
		check := func(from protocol.Codec, wire []byte) {
			v := reflect.New(kind)
			if err := from.Unmarshal(wire, v.Interface()); err != nil {
				known.report(row.key(), "%s %s is not read: %v", from.Name(), wire, err)
				return
			}
			lossy := from.Binary() && strings.HasPrefix(row.Type, "DateTime") // which comes as UTC
			if got := encoded(protocol.JSON{}, v); lossy {
			} else if text != "" && got != text || text == "" && !strings.HasPrefix(got, "error: ") {
				known.report(row.key(), "of %s %.100x, JSON: got %.200s, want %.200s", from.Name(), wire, got, text)
			}
			lossy = !from.Binary() && hiddenInJSON.MatchString(row.Type)
			if got := encoded(protocol.MessagePack{}, v); lossy {
			} else if pack != "" && got != pack {
				known.report(row.key(), "of %s %.100x, MessagePack: got %.200s, want %.200s", from.Name(), wire, got, pack)
			}
		}
		if text != "" {
			check(protocol.JSON{}, []byte(text))
		}
		if b, err := hex.DecodeString(pack); err != nil {
			t.Errorf("%s: %v", row.key(), err)
		} else if pack != "" {
			check(protocol.MessagePack{}, b)
		}
	}
	known.end()
	if other > 304 {
		t.Errorf("%d rows are of types that we do not offer, or of options, want 304 at most", other)
	}
}

// readRow decodes the input of a row as the message that it came in.
func readRow(row valueRow, input string, v any) error {
	codec := codecs[row.Protocol]
	if codec.Binary() {
		raw, err := hex.DecodeString(input)
		if err != nil {
			panic(err)
		}
		return codec.Unmarshal(raw, v)
	}
	if digits, ok := strings.CutPrefix(input, "hex "); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil {
			panic(err)
		}
		input = string(raw)
	}
	record := `{"type":1,"target":"T","arguments":[` + input + "]}\x1e"
	switch {
	case strings.Contains(row.Note, "as upload item"):
		record = `{"type":2,"invocationId":"1","item":` + input + "}\x1e"
	case strings.Contains(row.Note, "as client result"):
		record = `{"type":3,"invocationId":"1","result":` + input + "}\x1e"
	}
	m, _, err := codec.Next([]byte(record))
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *protocol.Invocation:
		if len(m.RawArguments) != 1 {
			return fmt.Errorf("%d arguments", len(m.RawArguments))
		}
		return codec.Unmarshal(m.RawArguments[0], v)
	case *protocol.StreamItem:
		return codec.Unmarshal(m.RawItem, v)
	case *protocol.Completion:
		return codec.Unmarshal(m.RawResult, v)
	}
	return fmt.Errorf("message %T", m)
}

func TestValuesAreReadAsASPNETCoreReadsThem(t *testing.T) {
	known, other := loadDifferences(t, "read"), 0
	local := time.Local
	defer func() { time.Local = local }()
	for _, row := range valueRows(t, "values.json") {
		kind := valueTypes[row.Type]
		input, inputWhole := whole(row.Input)
		want, wantWhole := whole(row.JSON)
		if want == "" {
			want, wantWhole = whole(row.Value)
		}
		switch {
		case row.Part != "read":
			continue
		case kind == nil || row.Options != "" || !inputWhole:
			other++
			continue
		}
		time.Local = time.UTC
		if row.Zone != "" {
			zone, err := time.LoadLocation(row.Zone)
			if err != nil {
				t.Fatal(err)
			}
			time.Local = zone
		}
		v := reflect.New(kind)
		err := readRow(row, input, v.Interface())
		switch {
		case row.Error != "" && err == nil:
			known.report(row.key(), "is read as %.100s, want %s", encoded(protocol.JSON{}, v), row.Error)
		case row.Error == "" && err != nil:
			known.report(row.key(), "is not read: %v, want %.100s", err, row.Value)
		case row.Error != "" || !wantWhole || row.JSON == "" && cameAs.MatchString(row.Note): // in words only
		default:
			got := encoded(protocol.JSON{}, v)
			infinite := strings.HasPrefix(got, "error: ") && hasInfinity(v.Elem()) && strings.Contains(row.Value, "Infinity")
			if got != want && !infinite && row.Value != "NaN" {
				known.report(row.key(), "is read as %.100s, want %.100s", got, want)
			}
		}
	}
	known.end()
	if other > 736 {
		t.Errorf("%d rows are of types that we do not offer, or of options, want 736 at most", other)
	}
}

// What the JavaScript client sends is the same value to us in both protocols.
func TestWhatTheJavaScriptClientSendsIsOneValueInBothProtocols(t *testing.T) {
	known := loadDifferences(t, "send")
	for _, row := range valueRows(t, "typescript.json") {
		if row.Part != "send" {
			continue
		}
		key := "send " + row.Value
		var texts []string
		for codec, wire := range map[protocol.Codec]string{protocol.JSON{}: row.JSON, protocol.MessagePack{}: row.MessagePack} {
			wire, ok := whole(wire)
			if wire == "" || !ok {
				continue
			}
			raw := []byte(wire)
			if codec.Binary() {
				var err error
				if raw, err = hex.DecodeString(wire); err != nil {
					t.Fatal(err)
				}
			}
			v := reflect.New(reflect.TypeFor[any]())
			if err := codec.Unmarshal(raw, v.Interface()); err != nil {
				known.report(key, "%s %s is not read: %v", codec.Name(), wire, err)
				continue
			}
			texts = append(texts, encoded(protocol.JSON{}, v))
		}
		if len(texts) == 2 && texts[0] != texts[1] {
			known.report(key, "is %s and %s", texts[0], texts[1])
		}
	}
	known.end()
}

// What the JavaScript client was shown to read are bytes that we write.
func TestWhatTheJavaScriptClientReadsIsWhatWeWrite(t *testing.T) {
	shown := map[string]string{"enum": "Color", "value tuple": "(int, string)", "KeyValuePair": "KeyValuePair<string, int>", "null": "object", "nil": "object"}
	known, other := loadDifferences(t, "receive"), 0
	for _, row := range valueRows(t, "typescript.json") {
		if row.Part != "receive" {
			continue
		}
		name := shown[row.Note]
		if name == "" {
			name = row.Note
		}
		if valueTypes[name] == nil {
			name, _, _ = strings.Cut(name, " ")
		}
		codec, kind := codecs[row.Protocol], valueTypes[name]
		if kind == nil {
			other++
			continue
		}
		raw := []byte(row.Input)
		if codec.Binary() {
			var err error
			if raw, err = hex.DecodeString(row.Input); err != nil {
				t.Fatal(err)
			}
		}
		v := reflect.New(kind)
		err := codec.Unmarshal(raw, v.Interface())
		again, _ := codec.AppendValue(nil, v.Elem().Interface())
		if err != nil || !bytes.Equal(again, raw) {
			known.report("receive "+row.Protocol+" "+row.Note, "%s is written as %q, error %v", row.Input, again, err)
		}
	}
	known.end()
	if other > 6 {
		t.Errorf("%d rows are of types that we do not offer, want 6 at most", other)
	}
}
