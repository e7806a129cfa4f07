package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// describe reads a chunk and says what came, with what payloads say right then.
func describe(r *wire.Reader, chunk []byte) (list []string) {
	for m, err := range r.Messages(chunk) {
		switch {
		case err != nil:
			list = append(list, err.Error())
		default:
			list = append(list, fmt.Sprintf("%d %s", m.Type(), recorded.JSON(recorded.Members(m))))
		}
	}
	return list
}

func TestAStreamCutAnywhereGivesTheSameMessages(t *testing.T) {
	var stream []byte
	for _, v := range recorded.Vectors(t, testdata+"azure-vectors.json") {
		if v.Type != 0 && len(v.Hex) < 400 {
			stream = append(stream, unhex(t, v.Hex)...)
		}
	}
	stream = append(stream, unhex(t, "04922ca178"+"01c1"+"029103")...) // unknown, bad, a ping
	want := describe(&wire.Reader{}, stream)
	if len(want) < 300 || !strings.Contains(strings.Join(want, "\n"), "without a message") {
		t.Fatalf("%d messages: %s", len(want), want[len(want)-2:])
	}
	for _, size := range []int{1, 2, 3, 7, 31, 200, 4096, len(stream) - 1} {
		var r wire.Reader
		var got []string
		for chunk := stream; len(chunk) > 0; {
			n := min(size, len(chunk))
			part := bytes.Clone(chunk[:n])
			got = append(got, describe(&r, part)...)
			clear(part) // the caller's buffer is the caller's again
			chunk = chunk[n:]
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("in chunks of %d: %d messages that are not the %d", size, len(got), len(want))
		}
	}
}

func TestALoopThatEndsEarlyLosesNothing(t *testing.T) {
	frames := func(from, to int) (b []byte) {
		for i := from; i < to; i++ {
			b = wire.Append(b, &wire.ConnectionData{ConnectionID: "c", Payload: fmt.Appendf(nil, "message %d", i)})
		}
		return b
	}
	stream := frames(0, 40)
	var r wire.Reader
	next := 0
	for i := 0; i < len(stream) || next < 40; i += 13 {
		chunk := stream[min(i, len(stream)):min(i+13, len(stream))]
		for m, err := range r.Messages(chunk) {
			if err != nil {
				t.Fatal(err)
			}
			got := m.(*wire.ConnectionData)
			if want := fmt.Sprintf("message %d", next); string(got.Payload) != want {
				t.Fatalf("got %q, want %q", got.Payload, want)
			}
			next++
			break
		}
		if i > 100*len(stream) {
			t.Fatalf("only %d messages", next)
		}
	}
}

func TestAnImpossibleLengthEndsTheStreamForGood(t *testing.T) {
	for _, limit := range []int{0, -1, 100} {
		r := wire.Reader{MaxFrameSize: limit}
		got := describe(&r, unhex(t, "029103"+"ffffffff7f"+"029103"))
		if len(got) != 2 || got[1] != wire.ErrStuck.Error() {
			t.Errorf("limit %d: %q", limit, got)
		}
		if got := describe(&r, unhex(t, "029103")); len(got) != 1 || got[0] != wire.ErrStuck.Error() {
			t.Errorf("limit %d, later: %q", limit, got)
		}
	}
	for cut := range 6 { // the length comes in pieces
		r := wire.Reader{}
		b := unhex(t, "ffffffff7f91")
		got := append(describe(&r, b[:cut]), describe(&r, b[cut:])...)
		if len(got) == 0 || got[len(got)-1] != wire.ErrStuck.Error() {
			t.Errorf("cut after %d: %q", cut, got)
		}
	}
}

func TestAFrameLargerThanTheBoundIsRefusedByItsLength(t *testing.T) {
	frame := wire.Append(nil, &wire.ConnectionData{ConnectionID: "c", Payload: make([]byte, 300)})
	for _, c := range []struct {
		limit int
		ok    bool
	}{{0, true}, {-1, true}, {len(frame), true}, {len(frame) - 1, false}} {
		size, err := wire.FrameSize(frame[:2], c.limit)
		if c.ok && (err != nil || size != len(frame)) || !c.ok && !errors.Is(err, wire.ErrStuck) {
			t.Errorf("limit %d: size %d, %v", c.limit, size, err)
		}
		r := wire.Reader{MaxFrameSize: c.limit}
		if got := describe(&r, frame); len(got) != 1 || (got[0] == wire.ErrStuck.Error()) == c.ok {
			t.Errorf("limit %d: %.60q", c.limit, got)
		}
	}
	// 2 GiB are announced and a little comes: what is kept is what came
	r := wire.Reader{MaxFrameSize: -1}
	lie := unhex(t, "ffffffff079406")
	if n := testing.AllocsPerRun(1, func() { describe(&r, lie) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
	if wire.KeptBytes(&r) > 1<<10 {
		t.Errorf("%d bytes are kept for %d", wire.KeptBytes(&r), len(lie))
	}
}
