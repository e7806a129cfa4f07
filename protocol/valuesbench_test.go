package protocol_test

import (
	"fmt"
	"testing"

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
