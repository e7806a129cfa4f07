package protocol

import (
	"fmt"
	"testing"
)

func TestNextInDecodesLikeNext(t *testing.T) {
	var messages []Message
	for i := range 12 { // more and fewer arguments than a Room holds, one after the other
		inv := Invocation{Target: "Method", Arguments: []any{}, InvocationID: fmt.Sprint(i)}
		for j := range (i * 7) % 10 {
			inv.Arguments = append(inv.Arguments, fmt.Sprint(i, j))
		}
		if i%3 == 1 {
			inv.Target, inv.StreamIDs, inv.Headers = "Other", []string{"a"}, []Header{{"n", "v"}}
		}
		messages = append(messages, &inv, &Ping{}, &StreamInvocation{inv})
		if i%3 == 2 {
			inv.InvocationID = ""
		}
	}
	for _, codec := range []RoomCodec{JSON{}, MessagePack{}} {
		var buf []byte
		var err error
		for _, m := range messages {
			if buf, err = codec.Append(buf, m); err != nil {
				t.Fatal(err)
			}
		}
		var room Room
		for rest := buf; len(rest) > 0; {
			want, after, err := codec.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			got, gotAfter, err := codec.NextIn(&room, rest)
			if err != nil || len(gotAfter) != len(after) {
				t.Fatalf("%s: NextIn: %v, %d bytes left, want %d", codec.Name(), err, len(gotAfter), len(after))
			}
			if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
				t.Errorf("%s:\n got  %s\n want %s", codec.Name(), g, w)
			}
			rest = after
		}
		if _, _, err := codec.NextIn(&room, nil); err != ErrIncomplete {
			t.Errorf("%s: error %v, want ErrIncomplete", codec.Name(), err)
		}
	}
}

func TestNextInAllocatesLess(t *testing.T) {
	for codec, most := range map[RoomCodec]float64{JSON{}: 1, MessagePack{}: 1} { // the invocation id
		buf, err := codec.Append(nil, &Invocation{InvocationID: "12", Target: "Echo", Arguments: []any{"text", 1}})
		if err != nil {
			t.Fatal(err)
		}
		var room Room
		if n := testing.AllocsPerRun(100, func() { _, _, _ = codec.NextIn(&room, buf) }); n > most {
			t.Errorf("%s: %v allocations, want %v at most", codec.Name(), n, most)
		}
	}
}
