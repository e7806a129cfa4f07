package server_test

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/server"
)

// sendingHub sends from its calls, as most hubs do.
type sendingHub struct{}

func (sendingHub) Broadcast(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "receive", text)
}

// callsThatSend returns what makes 16 calls of Broadcast and waits for what they send.
func callsThatSend(tb testing.TB) func() {
	var records atomic.Int64
	reached := make(chan struct{}, 1)
	c := openMemory(tb, newHub(sendingHub{}, nil), "json", 1, &records, reached)[0]
	c.wanted, c.end = 16, '!'
	template := bytes.Repeat(clientFrame(`{"type":1,"target":"Broadcast","arguments":["a text of some length that goes to everybody!"]}`), 16)
	batch := make([]byte, len(template))
	return func() {
		records.Store(0)
		copy(batch, template) // the last one was unmasked where it is
		c.in <- batch
		<-reached
	}
}

// BenchmarkSendFromCall takes 1.08 times as long where a call has room for what few calls
// have, a message two of its forms, and its bytes room to grow in.
func BenchmarkSendFromCall(b *testing.B) {
	calls := callsThatSend(b)
	b.ReportAllocs()
	for b.Loop() {
		calls()
	}
}

// A call that sends allocates its invocation, the variable of its argument, and the text in
// it, then the message and the bytes of the send; the method itself allocates the list of
// arguments, and what is in it.
func TestACallThatSendsAllocatesSevenTimes(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	const rounds = 500
	calls := callsThatSend(t)
	for range 10 { // what is used again is there
		calls()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		calls()
	}
	runtime.ReadMemStats(&after)
	if got := float64(after.Mallocs-before.Mallocs) / (16 * rounds); got > 7.5 {
		t.Errorf("a call allocates %.1f times, want at most 7", got)
	}
	if got := (after.TotalAlloc - before.TotalAlloc) / (16 * rounds); got > 800 {
		t.Errorf("a call allocates %d bytes, want some 700", got)
	}
}
