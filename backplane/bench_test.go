package backplane

import (
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// counting is a Receiver that only counts.
type counting struct {
	fakeClient
	got sync.WaitGroup
}

func (c *counting) Send(*server.Message) error { c.got.Done(); return nil }

// benchmarkNode is a ready node on s.
func benchmarkNode(b *testing.B, s place, opts Options) *Redis {
	b.Helper()
	r := node(b, s, opts)
	if err := r.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	return r
}

// benchmarkNodes are two nodes on a redis-server of the benchmark.
func benchmarkNodes(b *testing.B) (near, far *Redis) {
	s := startRedis(b)
	return benchmarkNode(b, s, Options{}), benchmarkNode(b, s, Options{})
}

func text(n int) *server.Message {
	return server.NewMessage(&protocol.Invocation{Target: "Receive", Arguments: []any{strings.Repeat("x", n)}})
}

// BenchmarkSend sends to all from one node and waits until a client of the
// other has it: latency. Its time is that of both nodes and Redis.
func BenchmarkSend(b *testing.B) {
	for name, to := range map[string]func(near *Redis, m *server.Message) error{
		"all":        func(near *Redis, m *server.Message) error { return near.Send(b.Context(), toAll(), m) },
		"connection": func(near *Redis, m *server.Message) error { return near.Send(b.Context(), toConnections("c"), m) },
	} {
		b.Run(name, func(b *testing.B) {
			near, far := benchmarkNodes(b)
			c := &counting{fakeClient: fakeClient{id: "c", codec: protocol.JSON{}, ctx: b.Context()}}
			if err := far.Connected(b.Context(), c); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.got.Add(1)
				if err := to(near, text(100)); err != nil {
					b.Fatal(err)
				}
				c.got.Wait()
			}
		})
	}
}

// BenchmarkSendParallel has many sends in flight: throughput.
func BenchmarkSendParallel(b *testing.B) {
	near, far := benchmarkNodes(b)
	c := &counting{fakeClient: fakeClient{id: "c", codec: protocol.JSON{}, ctx: b.Context()}}
	if err := far.Connected(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	c.got.Add(b.N)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := near.Send(b.Context(), toAll(), text(100)); err != nil {
				b.Error(err)
			}
		}
	})
	c.got.Wait()
}
