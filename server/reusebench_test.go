package server_test

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/protocol"
)

type benchPoint struct {
	X, Y float64
	Name string
}

type structHub struct{}

func (structHub) Move(p benchPoint, by [2]float64) benchPoint {
	p.X += by[0]
	p.Y += by[1]
	return p
}

// BenchmarkStructs measures calls whose arguments are neither strings nor ints.
func BenchmarkStructs(b *testing.B) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		b.Run(codec.Name(), func(b *testing.B) {
			var records atomic.Int64
			reached := make(chan struct{}, 1)
			c := openMemory(b, newHub(structHub{}, nil), codec.Name(), 1, &records, reached)[0]
			c.wanted, c.end = 16, '!' // once in each answer
			call, err := codec.Append(nil, &protocol.Invocation{InvocationID: "17", Target: "Move", Arguments: []any{benchPoint{1, 2, "p!"}, [2]float64{3, 4}}})
			if err != nil {
				b.Fatal(err)
			}
			one := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(map[bool]ws.OpCode{false: ws.OpText, true: ws.OpBinary}[codec.Binary()], true, call)))
			template := bytes.Repeat(one, 16)
			batch := make([]byte, len(template))
			b.ReportAllocs()
			for b.Loop() {
				records.Store(0)
				copy(batch, template) // the last one was unmasked where it is
				c.in <- batch
				<-reached
			}
		})
	}
}
