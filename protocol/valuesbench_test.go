package protocol_test

import (
	"fmt"
	"testing"

	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/protocol"
)

// An order is a value as hubs have them, of 12 members.
type order struct {
	ID       int64    `json:"id" msgpack:"Id"`
	Customer string   `json:"customer"`
	Email    *string  `json:"email"`
	Total    float64  `json:"total"`
	Paid     bool     `json:"paid"`
	Count    int32    `json:"count"`
	Tags     []string `json:"tags"`
	Color    Color    `json:"color"`
	Note     string   `json:"note"`
	Width    float32  `json:"width"`
	Parent   *int64   `json:"parent"`
	Address  address  `json:"address"`
}

type address struct {
	Street string `json:"street"`
	Zip    int    `json:"zip"`
}

func orders(n int) []order {
	list := make([]order, n)
	for i := range list {
		list[i] = order{
			ID: int64(i) * 1e6, Customer: fmt.Sprint("Customer ", i), Email: new("someone@example.org"), Total: 12.5 * float64(i), Paid: i%2 == 0, Count: int32(i),
			Tags: []string{"new", "express"}, Color: 1, Note: "leave it at the door, please", Width: 0.5, Address: address{"Some Street 5", 12345 + i},
		}
	}
	return list
}

func nestedAny(depth int) any {
	if depth == 0 {
		return "leaf"
	}
	return map[string]any{"name": "node", "on": true, "n": 1.5, "list": []any{1.0, "two", nil}, "inner": nestedAny(depth - 1)}
}

func benchmarkValue[T any](b *testing.B, value T) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		raw, err := codec.AppendValue(nil, value)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode", func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 2*len(raw))
			for b.Loop() {
				if _, err := codec.AppendValue(dst, &value); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v T
				if err := codec.Unmarshal(raw, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkValueStruct(b *testing.B)  { benchmarkValue(b, orders(1)[0]) }
func BenchmarkValueStructs(b *testing.B) { benchmarkValue(b, orders(100)) }
func BenchmarkValueSample(b *testing.B)  { benchmarkValue(b, *fixedSample()) }
func BenchmarkValueNested(b *testing.B)  { benchmarkValue(b, nestedAny(5)) }
func BenchmarkValueNumbers(b *testing.B) { benchmarkValue(b, make([]float64, 100)) }
func BenchmarkValueDict(b *testing.B) {
	dict := make(map[string]int)
	for i := range 20 {
		dict[fmt.Sprint("key", i)] = i
	}
	benchmarkValue(b, dict)
}

// A holder has a value in a struct, where it usually is.
type holder[T any] struct{ V T }

// allocs is how often memory is allocated to encode v, and to decode it into an old
// holder.
func allocs[T any](t *testing.T, codec protocol.Codec, v T) (encode, decode float64) {
	t.Helper()
	in, out := &holder[T]{v}, &holder[T]{}
	raw, err := codec.AppendValue(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 2*len(raw)+64)
	encode = testing.AllocsPerRun(100, func() {
		if _, err := codec.AppendValue(dst, in); err != nil {
			t.Error(err)
		}
	})
	decode = testing.AllocsPerRun(100, func() {
		if err := codec.Unmarshal(raw, out); err != nil {
			t.Error(err)
		}
	})
	return encode, decode
}

// What a value allocates is what a program keeps of it: a text, an element, a map's
// entries. MessagePack has one object more, its encoder or reader.
func TestValuesAllocateNoMoreThanTheirOutput(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	check := func(name string, codec protocol.Codec, encode, decode, wantEncode, wantDecode float64) {
		if codec.Binary() {
			wantEncode++
			wantDecode++
		}
		if encode > wantEncode || decode > wantDecode {
			t.Errorf("%s, %s: encoding allocates %v times, want %v; decoding %v, want %v", codec.Name(), name, encode, wantEncode, decode, wantDecode)
		}
	}
	s := fixedSample()
	for _, codec := range codecs {
		one := func(name string, wantEncode, wantDecode float64) func(encode, decode float64) {
			return func(encode, decode float64) { check(name, codec, encode, decode, wantEncode, wantDecode) }
		}
		one("bool", 0, 0)(allocs(t, codec, true))
		one("float64", 0, 0)(allocs(t, codec, 0.1))
		one("string", 0, 1)(allocs(t, codec, "a text of some length"))
		one("DateTime", 0, 0)(allocs(t, codec, s.DateTime))
		one("DateTimeOffset", 0, 0)(allocs(t, codec, s.DateTimeOffset))
		one("time.Time", 0, 0)(allocs(t, codec, noon))
		one("list of numbers", 0, 1)(allocs(t, codec, []int32{1, 2, 3, 40, 500}))
		one("map", 0, 8)(allocs(t, codec, map[string]string{"an": "entry", "Key": "Value"})) // four texts; a variable for keys and one for values
		if codec.Binary() {
			continue // texts there: a Guid, a Decimal
		}
		one("Guid", 0, 0)(allocs(t, codec, s.Guid))
		one("TimeSpan", 0, 0)(allocs(t, codec, s.TimeSpan))
		one("Decimal", 0, 0)(allocs(t, codec, s.Decimal))
		one("DateOnly", 0, 0)(allocs(t, codec, protocol.NewDateOnly(noon)))
		one("TimeOnly", 0, 0)(allocs(t, codec, protocol.NewTimeOnly(noon)))
	}
}
