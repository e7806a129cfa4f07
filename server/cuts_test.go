package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// cutsHub has methods whose answers depend on their arguments alone.
type cutsHub struct{}

func (cutsHub) Length(text string) int { return len(text) }
func (cutsHub) Echo(v any) any         { return v }
func (cutsHub) Sum(items <-chan int) (sum int) {
	for n := range items {
		sum += n
	}
	return sum
}

// cutsLimit is the longest message that is taken.
const cutsLimit = 40_000

// A script is what one client sends in its life.
type script struct {
	codec protocol.Codec
	wire  []byte
	calls int // that are answered
	r     *rand.Rand
}

// newScript makes a handshake and messages of all kinds. What ends the
// connection comes first or not at all: calls that still run then may be
// answered or not.
func newScript(r *rand.Rand) *script {
	s := &script{codec: protocol.JSON{}, r: r}
	if r.IntN(2) == 0 {
		s.codec = protocol.MessagePack{}
	}
	request := `{"protocol":"` + s.codec.Name() + `","version":1,"x":"` + s.text(3000) + `"}`
	switch r.IntN(12) {
	case 0:
		request = `{"protocol":"none","version":1}`
	case 1:
		request = `{"version":9` + s.text(10)
	case 2:
		request = `{"protocol":"json","version":1,"x":"` + strings.Repeat("x", cutsLimit)
	}
	s.wire = append(append(s.wire, request...), 0x1e)
	switch r.IntN(12) {
	case 0:
		s.wire = append(s.wire, "\x01\xc0 no message of either protocol\x1e"...)
	case 1:
		s.add(&protocol.Invocation{InvocationID: "long", Target: "Length", Arguments: []any{strings.Repeat("x", cutsLimit)}})
	}
	for i := range r.IntN(20) {
		s.step("i" + strconv.Itoa(i))
	}
	s.add(&protocol.Invocation{InvocationID: "last", Target: "Length", Arguments: []any{""}})
	return s
}

func (s *script) add(m protocol.Message) {
	wire, err := s.codec.Append(s.wire, m)
	if err != nil {
		panic(err)
	}
	s.wire = wire
	if call, ok := m.(*protocol.Invocation); ok && call.InvocationID != "" {
		s.calls++
	}
}

// text has up to n bytes, not all of them ASCII.
func (s *script) text(n int) string {
	return strings.Repeat([]string{"x", "ü", "🚀", "\u2028"}[s.r.IntN(4)], s.r.IntN(n/4+1))
}

func (s *script) step(id string) {
	call := func(target string, args ...any) *protocol.Invocation {
		return &protocol.Invocation{InvocationID: id, Target: target, Arguments: args}
	}
	switch s.r.IntN(10) {
	case 0:
		s.add(call("Length", s.text(cutsLimit/8)))
	case 1:
		s.add(call("Echo", []any{s.text(100), 1, nil, map[string]any{"a": true}}))
	case 2:
		s.add(call("Unknown" + s.text(10)))
	case 3:
		s.add(call("Length", 1, 2, 3))
	case 4:
		s.add(&protocol.Invocation{Target: "Length", Arguments: []any{s.text(100)}, Headers: []protocol.Header{{Name: "a", Value: s.text(100) + "b"}}})
	case 5:
		s.add(&protocol.Ping{})
	case 6:
		s.add(&protocol.Unknown{Type: 77})
	case 7:
		s.add(&protocol.StreamItem{InvocationID: "nobody", Item: s.text(1000)})
	case 8:
		s.add(&protocol.CancelInvocation{InvocationID: "nobody"})
	case 9:
		sum := call("Sum")
		sum.Arguments, sum.StreamIDs = []any{}, []string{"s" + id}
		s.add(sum)
		for n := range s.r.IntN(5) {
			s.add(&protocol.StreamItem{InvocationID: "s" + id, Item: n})
		}
		s.add(&protocol.Completion{InvocationID: "s" + id, Kind: protocol.ResultVoid})
	}
}

// cut makes frames of the script: messages and fragments that end anywhere,
// with pings between them.
func (s *script) cut() (out []byte) {
	rest := s.wire
	most := []int{1, 10, 1000, 100_000}[s.r.IntN(4)]
	for len(rest) > 0 {
		n := min(len(rest), 1+s.r.IntN(most))
		if most == 1 {
			n = min(len(rest), 1+s.r.IntN(200))
		}
		op := ws.OpBinary
		if utf8.Valid(rest[:n]) && s.r.IntN(2) == 0 {
			op = ws.OpText
		}
		fragments := frames(rest[:n], op, 1+s.r.IntN(min(n, most)))
		for len(fragments) > 0 {
			if s.r.IntN(8) == 0 {
				out = append(out, 0x89, 0x82, 0, 0, 0, 0, 'h', 'i')
			}
			h, err := ws.ReadHeader(bytes.NewReader(fragments))
			if err != nil {
				panic(err)
			}
			size := ws.HeaderSize(h) + int(h.Length)
			out, fragments = append(out, fragments[:size]...), fragments[size:]
		}
		rest = rest[n:]
	}
	return out
}

// play sends frames in writes of their own and returns the messages that come
// until all calls are answered or the connection ends; nil if it is reset.
// Calls with uploads run beside others, so the order of answers says nothing.
func (s *script) play(t *testing.T, url string, frames []byte, piece func() int) (answers []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/hub")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if in == nil {
		in = bufio.NewReader(conn)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // nothing waits so long but for a fault
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for len(frames) > 0 {
			n := min(len(frames), piece())
			if _, err := conn.Write(frames[:n]); err != nil {
				return // the server has ended the connection
			}
			frames = frames[n:]
		}
	}()
	defer func() { _ = conn.Close(); <-sent }()
	var got []byte
	for len(answers) < 1+s.calls {
		h, err := ws.ReadHeader(in)
		p := make([]byte, h.Length)
		if err == nil {
			_, err = io.ReadFull(in, p)
		}
		switch {
		case errors.Is(err, syscall.ECONNRESET): // it may have ended while we sent, and TCP forgotten its answer
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("no more comes after %q", answers)
		case err != nil || h.OpCode == ws.OpClose:
			slices.Sort(answers)
			return answers
		case h.OpCode != ws.OpPong:
			got = append(got, p...)
		}
		for {
			rest, ok := s.first(got, len(answers) == 0)
			if !ok {
				break
			}
			answers = append(answers, string(got[:len(got)-len(rest)]))
			got = rest
		}
	}
	slices.Sort(answers)
	return answers
}

// first passes the first message of got, or the answer to the handshake.
func (s *script) first(got []byte, handshake bool) (rest []byte, ok bool) {
	if handshake {
		_, rest, ok = bytes.Cut(got, []byte{0x1e})
		return rest, ok
	}
	_, rest, err := s.codec.Next(got)
	return rest, err == nil
}

// Whatever the network does to the bytes of a client, it is told the same.
func FuzzAnswersDoNotDependOnWhereTheBytesAreCut(f *testing.F) {
	url := serve(f, newHub(cutsHub{}, &server.Options{EnableDetailedErrors: true, MaximumReceiveMessageSize: cutsLimit}))
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		s := newScript(rand.New(rand.NewPCG(seed, 1)))
		whole := s.play(t, url, frames(s.wire, ws.OpBinary, len(s.wire)), func() int { return 1 << 20 })
		cut := s.cut()
		most := []int{3, 100, 10_000}[s.r.IntN(3)]
		if len(cut) > 20_000 {
			most = max(most, 500)
		}
		pieces := rand.New(rand.NewPCG(seed, 2))
		got := s.play(t, url, cut, func() int { return 1 + pieces.IntN(most) })
		if got != nil && whole != nil && !slices.Equal(got, whole) {
			t.Errorf("%s, %d bytes:\n  cut %.2000q\nwhole %.2000q", s.codec.Name(), len(s.wire), got, whole)
		}
	})
}
