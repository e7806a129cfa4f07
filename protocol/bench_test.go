package protocol_test

import (
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// echo is a call of Echo as an official client sends it, of about 128 bytes.
func echo(b *testing.B, codec protocol.Codec) (wire []byte, m *protocol.Invocation) {
	b.Helper()
	m = &protocol.Invocation{InvocationID: "1234", Target: "Echo", Arguments: []any{strings.Repeat("hello, hub ", 6)}}
	wire, err := codec.Append(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	return wire, m
}

func forEachCodec(b *testing.B, f func(b *testing.B, codec protocol.Codec)) {
	for name, codec := range codecs {
		b.Run(name, func(b *testing.B) { b.ReportAllocs(); f(b, codec) })
	}
}

func BenchmarkDecodeInvocation(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		wire, _ := echo(b, codec)
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			if _, _, err := codec.Next(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeInvocationAndArgument(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		wire, _ := echo(b, codec)
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			m, _, err := codec.Next(wire)
			if err != nil {
				b.Fatal(err)
			}
			var s string
			if err := codec.Unmarshal(m.(*protocol.Invocation).RawArguments[0], &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodeInvocation(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		wire, m := echo(b, codec)
		dst := make([]byte, 0, 512)
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			if _, err := codec.Append(dst, m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodeCompletion(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		m := &protocol.Completion{InvocationID: "1234", Kind: protocol.ResultValue, Result: strings.Repeat("hello, hub ", 6)}
		dst := make([]byte, 0, 512)
		for b.Loop() {
			if _, err := codec.Append(dst, m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeCompletion(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		wire, err := codec.Append(nil, &protocol.Completion{InvocationID: "1234", Kind: protocol.ResultValue, Result: 5})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := codec.Next(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodeStruct(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		value := fixedSample()
		dst := make([]byte, 0, 4096)
		for b.Loop() {
			if _, err := codec.AppendValue(dst, value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeStruct(b *testing.B) {
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		raw, err := codec.AppendValue(nil, fixedSample())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := codec.Unmarshal(raw, new(Sample)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	wire := []byte("{\"protocol\":\"json\",\"version\":1}\x1e")
	for b.Loop() {
		if _, _, err := protocol.ParseHandshakeRequest(wire); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeLeftOut decodes structs of which the peer has left out every third member,
// as those that are undefined in JavaScript are.
func BenchmarkDecodeLeftOut(b *testing.B) {
	type some struct {
		ID       int64    `json:"id" msgpack:"id"`
		Customer string   `json:"customer" msgpack:"customer"`
		Total    float64  `json:"total" msgpack:"total"`
		Paid     bool     `json:"paid" msgpack:"paid"`
		Tags     []string `json:"tags" msgpack:"tags"`
		Note     string   `json:"note" msgpack:"note"`
		Zip      int      `json:"zip" msgpack:"zip"`
	}
	forEachCodec(b, func(b *testing.B, codec protocol.Codec) {
		raw, err := codec.AppendValue(nil, struct {
			ID       any `json:"id" msgpack:"id"`
			Customer any `json:"customer" msgpack:"customer"`
			Paid     any `json:"paid" msgpack:"paid"`
			Tags     any `json:"tags" msgpack:"tags"`
			Zip      any `json:"zip" msgpack:"zip"`
		}{1, "Customer 1", true, []string{"new"}, 12345})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			var v some
			if err := codec.Unmarshal(raw, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
