package protocol_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// framed is body with its length in front.
func framed(body string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

func readMessagePack(t *testing.T, body string) protocol.Message {
	t.Helper()
	m, rest, err := protocol.MessagePack{}.Next(framed(body))
	if err != nil || len(rest) > 0 {
		t.Fatalf("Next(%q) = %v, rest %q, error %v", body, m, rest, err)
	}
	return m
}

func TestMessagePackMessages(t *testing.T) {
	call := func(args ...protocol.Raw) *protocol.Invocation {
		return &protocol.Invocation{Target: "T", RawArguments: append([]protocol.Raw{}, args...)}
	}
	for _, tt := range []struct {
		name, body string
		want       protocol.Message
	}{
		{"five elements, as JS clients send", "\x95\x01\x80\xc0\xa1T\x91\x01", call(protocol.Raw("\x01"))},
		{"extra elements", "\x98\x01\x80\xc0\xa1T\x90\x90\xc0\x81\x01\x02", call()},
		{"an empty id is none", "\x95\x01\x80\xa0\xa1T\x90", call()},
		{"integers in any format", "\x95\xd3\x00\x00\x00\x00\x00\x00\x00\x01\x80\xc0\xa1T\x90", call()},
		{"long headers of short things", "\xdd\x00\x00\x00\x06\xcc\x01\xdf\x00\x00\x00\x00\xc0\xdb\x00\x00\x00\x01T\xdd\x00\x00\x00\x00\xdc\x00\x00", call()},
		{"headers", "\x93\x05\x82\xa1b\xa11\xa1a\xa12\xa11", &protocol.CancelInvocation{InvocationID: "1", Headers: []protocol.Header{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}}},
		{"text that is not UTF-8", "\x93\x05\x80\xa2\xffa", &protocol.CancelInvocation{InvocationID: "\ufffda"}},
		{"a close of two elements", "\x92\x07\xc0", &protocol.Close{}}, {"an empty error of a close is none", "\x93\x07\xa0\xc3", &protocol.Close{AllowReconnect: true}},
		{"a completion with nil for its error", "\x95\x03\x80\xa11\x01\xc0", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultVoid}},
		{"a completion with an empty error", "\x95\x03\x80\xa11\x01\xa0", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultError}},
		{"a completion with kind and result in other formats", "\x95\x03\x80\xa11\xcc\x03\xcc\x05", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, RawResult: protocol.Raw("\xcc\x05")}},
		{"unknown type", "\x92\x2a\x81\x01\x02", &protocol.Unknown{Type: 42}}, {"negative type", "\x91\xff", &protocol.Unknown{Type: -1}}, {"type zero", "\x91\x00", &protocol.Unknown{}},
		{"negative sequence id", "\x92\x09\xff", &protocol.Sequence{SequenceID: -1}},
		{"a ping with more", "\x92\x06\xc1", &protocol.Ping{}},
		{"an item that is cut off", "\x94\x02\x80\xa11\xa5ab", &protocol.StreamItem{InvocationID: "1", RawItem: protocol.Raw("\xa5ab")}},
		{"an item that is missing", "\x93\x02\x80\xa11", &protocol.StreamItem{InvocationID: "1", RawItem: protocol.Raw{}}},
	} {
		if got := readMessagePack(t, tt.body); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: Next(%q)\n got: %#v\nwant: %#v", tt.name, tt.body, got, tt.want)
		}
	}
}

func TestArgumentsThatCannotBeReadFailTheCallOnly(t *testing.T) {
	const noArray = "Reading array length for 'arguments' failed."
	const noValue = "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."
	for _, tt := range []struct{ body, want string }{
		{"\x94\x01\x80\xa11\xa1T", noArray}, {"\x95\x01\x80\xa11\xa1T\xc0", noArray}, {"\x95\x01\x80\xa11\xa1T\x2a", noArray}, {"\x96\x01\x80\xa11\xa1T\x80\x90", noArray}, {"\x95\x01\x80\xa11\xa1T\x95\x01", noArray}, {"\x95\x01\x80\xa11\xa1T\xdd\xff\xff\xff\xff", noArray},
		{"\x95\x01\x80\xa11\xa1T\x91\xa5ab", noValue}, {"\x95\x01\x80\xa11\xa1T\x91\xc1", noValue}, {"\x95\x01\x80\xa11\xa1T\x92\x91\x01", noValue},
		{"\x96\x01\x80\xa11\xa1T\xc0\xc0", noArray}, // what follows is not looked at
	} {
		m := readMessagePack(t, tt.body).(*protocol.Invocation)
		var e *protocol.Error
		if !errors.As(m.ArgumentsErr, &e) || e.Type != "InvalidDataException" || e.Text != tt.want || m.RawArguments != nil || m.InvocationID != "1" || m.Target != "T" {
			t.Errorf("Next(%q) = %+v, want the error %q", tt.body, m, tt.want)
		}
	}
}

// Source: docs/reference/hub-protocol.md, section 3.3, and answers of
// ASP.NET Core 10.0.12.
func TestMessagePackBodiesThatAreRefused(t *testing.T) {
	end := "Attempted to read past the end of the stream."
	for _, tt := range []struct{ body, kind, text string }{
		{"", "EndOfStreamException", end}, {"\x96", "EndOfStreamException", end}, {"\xdc\x00", "EndOfStreamException", end}, {"\xdd\xff\xff\xff\xff\x06", "EndOfStreamException", end},
		{"\xa0", "MessagePackSerializationException", "Unexpected msgpack code 160 (fixstr) encountered."}, {"\xc1", "MessagePackSerializationException", "Unexpected msgpack code 193 ((never used)) encountered."}, {"\xc3", "MessagePackSerializationException", "Unexpected msgpack code 195 (true) encountered."},
		{"\xdf", "MessagePackSerializationException", "Unexpected msgpack code 223 (map 32) encountered."}, {"\xff", "MessagePackSerializationException", "Unexpected msgpack code 255 (negative fixint) encountered."}, {"\xd8", "MessagePackSerializationException", "Unexpected msgpack code 216 (fixext 16) encountered."},
		{"\x91\xce\xff\xff\xff\xff", "InvalidDataException", "Reading 'messageType' as Int32 failed."}, {"\x91\xc0", "InvalidDataException", "Reading 'messageType' as Int32 failed."},
		{"\x92\x01\xde\xff\xff\x01", "InvalidDataException", "Reading map length for 'headers' failed."},
		{"\x93\x05\x81\xc0\xa1a", "InvalidDataException", "Null or empty key in header."}, {"\x93\x05\x81\xa1a\xc0", "InvalidDataException", "Null or empty value in header."},
		{"\x96\x04\x80\xa11\xa1T\x90\x91\xc2", "MessagePackSerializationException", "Unexpected msgpack code 194 (false) encountered."}, {"\x96\x04\x80\xa11\xa1T\x90\x91\xa2a", "EndOfStreamException", end},
		{"\x93\x03\x80\xa11", "InvalidDataException", "Reading 'resultKind' as Int32 failed."}, {"\x92\x09\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "InvalidDataException", "Reading 'sequenceId' as Int64 failed."},
		{"\x93\x07\xc0", "EndOfStreamException", end}, {"\x93\x07\xc0\xc0", "InvalidDataException", "Reading 'allowReconnect' as Boolean failed."},
	} {
		m, _, err := protocol.MessagePack{}.Next(framed(tt.body))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Type != tt.kind || e.Text != tt.text {
			t.Errorf("Next(%q) = %#v\n got: %#v\nwant: %s: %s", tt.body, m, err, tt.kind, tt.text)
		}
	}
}

func TestMessagePackLengths(t *testing.T) {
	for _, prefix := range []string{"", "\x80", "\xff\xff\xff\xff", "\x04\xab\xcd\xef", "\xff\xff\xff\xff\x07", "\xff\xff\xff\xff\x07\x91"} {
		_, rest, err := protocol.MessagePack{}.Next([]byte(prefix))
		if !errors.Is(err, protocol.ErrIncomplete) || string(rest) != prefix {
			t.Errorf("Next(%q): rest %q, error %v, want ErrIncomplete", prefix, rest, err)
		}
	}
	for _, prefix := range []string{"\xff\xff\xff\xff\xff", "\x80\x80\x80\x80\x08", "\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\x08\x91\x06"} {
		_, _, err := protocol.MessagePack{}.Next([]byte(prefix))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Type != "FormatException" || e.Text != "Messages over 2GB in size are not supported." {
			t.Errorf("Next(%q) error = %v, want the one for 2 GB", prefix, err)
		}
	}
	for _, prefix := range []string{"\x02", "\x82\x00", "\x82\x80\x00", "\x82\x80\x80\x00", "\x82\x80\x80\x80\x00"} {
		m, rest, err := protocol.MessagePack{}.Next([]byte(prefix + "\x91\x06x"))
		if _, ok := m.(*protocol.Ping); !ok || string(rest) != "x" || err != nil {
			t.Errorf("Next(%q, ping) = %v, rest %q, error %v, want a ping", prefix, m, rest, err)
		}
	}
}

// Sizes around the borders of one, two and three bytes of length.
func TestMessagePackFramesOfAllSizes(t *testing.T) {
	for _, size := range []int{6, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x3fff, 0x4000, 0x4001, 0xffff, 0x10000, 0x1fffff, 0x200000} {
		for overhead := 1; overhead <= 5; overhead++ {
			item := strings.Repeat("x", max(0, size-5-overhead))
			wire, err := protocol.MessagePack{}.Append([]byte("before"), &protocol.StreamItem{InvocationID: "1", Item: item})
			if err != nil {
				t.Fatal(err)
			}
			wire = wire[len("before"):]
			length, n := binary.Uvarint(wire)
			if int(length) != len(wire)-n || len(binary.AppendUvarint(nil, length)) != n {
				t.Fatalf("item of %d bytes: length %d in %d bytes in front of %d", len(item), length, n, len(wire)-n)
			}
			m, rest, err := protocol.MessagePack{}.Next(append(wire, "behind"...))
			var got string
			if err != nil || string(rest) != "behind" || (protocol.MessagePack{}).Unmarshal(m.(*protocol.StreamItem).RawItem, &got) != nil || got != item {
				t.Fatalf("item of %d bytes does not come back: error %v, %d bytes left", len(item), err, len(rest))
			}
		}
	}
}

func TestDeepResultsAreSkippedWithoutRecursion(t *testing.T) {
	deep := strings.Repeat("\x91", 100_000) + "\x01"
	m := readMessagePack(t, "\x95\x03\x80\xa11\x03"+deep).(*protocol.Completion)
	if string(m.RawResult) != deep {
		t.Errorf("the result has %d bytes, want %d", len(m.RawResult), len(deep))
	}
	if err := (protocol.MessagePack{}).Unmarshal(m.RawResult, new(any)); err == nil {
		t.Error("100,000 nested arrays are decoded")
	}
}

func TestManyHeadersOfMessagePackTakeLittleTime(t *testing.T) {
	const n = 100_000
	body := []byte("\x93\x05\xdf\x00\x01\x86\xa0")
	for i := range n {
		name := fmt.Sprintf("h%d", i)
		body = append(append(append(body, 0xa0|byte(len(name))), name...), "\xa1v"...)
	}
	body = append(body, "\xa11"...)
	m := readMessagePack(t, string(body)).(*protocol.CancelInvocation)
	if len(m.Headers) != n || m.Headers[n-1].Name != fmt.Sprintf("h%d", n-1) {
		t.Errorf("%d headers, want %d", len(m.Headers), n)
	}
}

func TestAFrameThatLiesCostsNothing(t *testing.T) {
	for _, frame := range []string{
		"\xff\xff\xff\xff\x07\x96\x01", "\x07\xdd\x7f\xff\xff\xff\x01\x80", "\x08\x96\x01\xdf\x7f\xff\xff\xff\x80", "\x0b\x96\x01\x80\xc0\xa1T\xdd\x7f\xff\xff\xff", "\x0c\x96\x01\x80\xc0\xa1T\x90\xdd\x7f\xff\xff\xff", "\x08\x93\x05\x80\xdb\x7f\xff\xff\xff",
	} {
		allocated := allocatedBy(func() { _, _, _ = protocol.MessagePack{}.Next([]byte(frame)) }) // whatever it says
		if allocated > 16<<10 {
			t.Errorf("Next(%q) allocated %d bytes", frame, allocated)
		}
	}
}
