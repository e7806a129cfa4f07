package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
)

// A vector is a payload that was captured from a real node, or that is in the
// reference.
type vector struct {
	Source, Name, Prefix, Channel, PayloadHex, Kind string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	list := testvectors.Lines[vector](t, "../../../testdata/redis/vectors.json")
	if len(list) < 100 {
		t.Fatalf("%d vectors, want at least 100", len(list))
	}
	return list
}

// again decodes a payload and encodes it again.
func again(kind string, p []byte) ([]byte, error) {
	switch kind {
	case "invocation", "client-result-invocation":
		m, err := ReadInvocation(p)
		return AppendInvocation(nil, m), err
	case "group-command":
		c, err := ReadGroupCommand(p)
		return AppendGroupCommand(nil, c), err
	case "ack":
		id, err := ReadAck(p)
		return AppendAck(nil, id), err
	}
	c, err := ReadCompletion(p)
	return AppendCompletion(nil, c), err
}

func TestVectorsDecodeAndEncodeToTheSameBytes(t *testing.T) {
	for _, v := range vectors(t) {
		p, err := hex.DecodeString(v.PayloadHex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := again(v.Kind, p)
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("%s (%s)\n got %x, error %v\nwant %x", v.Name, v.Kind, got, err, p)
		}
		for i := range p {
			if _, err := again(v.Kind, p[:i]); err == nil {
				t.Errorf("%s (%s) cut after %d bytes: no error", v.Name, v.Kind, i)
				break
			}
		}
	}
}

func TestWhatMustBeAcceptedAndRefused(t *testing.T) {
	for _, test := range []struct{ name, kind, payload, want string }{
		{"a third item is ignored", "invocation", "93 90 80 a6667574757265", "9290 80"},
		{"items after the fourth are ignored", "invocation", "95 90 80 a26931 a152 07", "94 90 80 a26931 a152"},
		{"a sixth item is ignored", "group-command", "96 2a a153 01 a147 a143 a56578747261", "95 2a a153 01 a147 a143"},
		{"a second item of an ack is ignored", "ack", "92 2a a178", "91 2a"},
		{"a wide integer is accepted", "ack", "91 d2 0000002a", "91 2a"},
		{"a negative id is echoed", "ack", "91 d2 80000000", "91 d2 80000000"},
		{"an invocation needs two items", "invocation", "91 90", "Insufficient items in Invocation array."},
		{"a command needs five items", "group-command", "94 2a a153 01 a147", "Insufficient items in GroupCommand array."},
		{"an ack needs an item", "ack", "90", "Insufficient items in Ack array."},
		{"a completion needs two items", "completion", "91 a46a736f6e", "Insufficient items in CompletionMessage array."},
		{"nil is no list", "invocation", "92 c0 80", "unexpected MessagePack code 0xc0"},
		{"a count larger than the rest is refused", "invocation", "92 dd ffffffff", "Attempted to read past the end of the stream."},
		{"str 8 is no encoding", "completion", "92 a46a736f6e d90178", "unexpected MessagePack code 0xd9"},
		{"fixstr is a encoding", "completion", "92 a46a736f6e a178", "92 a46a736f6e c40178"},
		{"an action above 255 is refused", "group-command", "95 01 a153 cd0100 a147 a143", "Arithmetic operation resulted in an overflow."},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := hex.DecodeString(strings.ReplaceAll(test.payload, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if b, err := again(test.kind, p); err != nil {
				got = err.Error()
			} else {
				got = hex.EncodeToString(b)
			}
			want := test.want
			if !strings.ContainsAny(want, "IAu") {
				want = strings.ReplaceAll(want, " ", "")
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", test.payload, got, want)
			}
		})
	}
}

func TestPrefixIsRawBytesInFrontOfTheChannelOnly(t *testing.T) {
	c := Channels{Prefix: "MyApp", Hub: "MyApp.Hubs.ChatHub"}
	if got, want := c.All(), "MyAppMyApp.Hubs.ChatHub:all"; got != want {
		t.Errorf("All = %s, want %s", got, want)
	}
	if got, want := c.Return("s"), "MyApp.Hubs.ChatHub:internal:return:s"; got != want {
		t.Errorf("Return = %s, want %s", got, want)
	}
}

func FuzzPayloads(f *testing.F) {
	for _, v := range vectors(f) {
		if p, err := hex.DecodeString(v.PayloadHex); err == nil {
			f.Add(v.Kind, p)
		}
	}
	f.Fuzz(func(t *testing.T, kind string, p []byte) {
		first, err := again(kind, p)
		if err != nil {
			return
		}
		second, err := again(kind, first)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s %x: %x, then %x, error %v", kind, p, first, second, err)
		}
	})
}

func BenchmarkInvocation(b *testing.B) {
	m := Invocation{Encodings: []Encoding{{"json", make([]byte, 100)}, {"messagepack", make([]byte, 60)}}}
	p := AppendInvocation(nil, m)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 512)
		for b.Loop() {
			AppendInvocation(dst, m)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadInvocation(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}
