package protocol_test

import (
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

func TestGuids(t *testing.T) {
	const text = "00010203-0405-0607-0809-0a0b0c0d0e0f"
	want := fixedSample().Guid
	if got, err := protocol.ParseGuid(text); err != nil || got != want || got.String() != text {
		t.Errorf("ParseGuid(%q) = %v, error %v", text, got, err)
	}
	refused := []string{"", "000102030405060708090a0b0c0d0e0f", "{" + text + "}", text + "0", text[1:], "00010203x0405-0607-0809-0a0b0c0d0e0f", "0001020g-0405-0607-0809-0a0b0c0d0e0f", "00010203-0405-0607-08090-a0b0c0d0e0f"}
	for _, s := range refused {
		if g, err := protocol.ParseGuid(s); err == nil {
			t.Errorf("ParseGuid(%q) = %v, want an error", s, g)
		}
	}
	testReadings(t, protocol.JSON{}, []reading{
		{`"` + text + `"`, new(protocol.Guid), want}, {`"00010203-0405-0607-0809-0A0B0C0D0E0F"`, new(protocol.Guid), want}, {`null`, new(protocol.Guid), nil}, {`1`, new(protocol.Guid), nil}, {`[1]`, new(protocol.Guid), nil}, {`""`, new(protocol.Guid), nil},
		{`{"a":null}`, new(map[string]protocol.Guid), nil}, {`{"` + text + `":1}`, new(map[protocol.Guid]int), map[protocol.Guid]int{want: 1}},
	})
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\xd9\x24" + text, new(protocol.Guid), want}, {"\xc4\x10" + string(want[:]), new(protocol.Guid), nil}, {"\xd9\x20000102030405060708090a0b0c0d0e0f", new(protocol.Guid), nil}, {"\xc0", new(protocol.Guid), nil}, {"\xc0", new(*protocol.Guid), (*protocol.Guid)(nil)},
	})
}

func TestChars(t *testing.T) {
	testReadings(t, protocol.JSON{}, []reading{
		{`"x"`, new(protocol.Char), protocol.Char('x')}, {`"é"`, new(protocol.Char), protocol.Char('é')}, {`"\u0000"`, new(protocol.Char), protocol.Char(0)},
		{`""`, new(protocol.Char), nil}, {`"xy"`, new(protocol.Char), nil}, {`"🚀"`, new(protocol.Char), nil}, {`120`, new(protocol.Char), nil}, {`null`, new(protocol.Char), nil}, {`"\ud800"`, new(protocol.Char), nil},
	})
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\x78", new(protocol.Char), protocol.Char('x')}, {"\xcd\xd8\x3d", new(protocol.Char), protocol.Char(0xd83d)}, {"\xa1x", new(protocol.Char), nil}, {"\xc0", new(protocol.Char), nil}, {"\xce\x00\x01\x00\x00", new(protocol.Char), nil}, {"\xff", new(protocol.Char), nil},
	})
	for c, want := range map[protocol.Char][2]string{'x': {`"x"`, "\x78"}, '"': {`"\""`, "\x22"}, 0xa0: {`"\u00A0"`, "\xcc\xa0"}, 0xd83d: {"", "\xcd\xd8\x3d"}} {
		if got, err := (protocol.JSON{}).AppendValue(nil, c); string(got) != want[0] || (err == nil) != (want[0] != "") {
			t.Errorf("JSON of Char %#x = %s, error %v, want %s", uint16(c), got, err, want[0])
		}
		if got, err := (protocol.MessagePack{}).AppendValue(nil, c); string(got) != want[1] || err != nil {
			t.Errorf("MessagePack of Char %#x = %x, error %v, want %x", uint16(c), got, err, want[1])
		}
	}
}
