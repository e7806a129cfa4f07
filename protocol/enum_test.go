package protocol_test

import (
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// flag is an enum of a small unsigned kind.
type flag uint8

func (flag) EnumNames() map[int64]string { return map[int64]string{1: "A", 2: "B", 128: "Top"} }

// Source: answers of ASP.NET Core 10.0.12 to EchoColor.
func TestEnums(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\xa3Red", new(Color), Color(0)}, {"\xa4Blue", new(Color), Color(2)}, {"\xa11", new(Color), Color(1)}, {"\xa299", new(Color), Color(99)}, {"\xa2-1", new(Color), Color(-1)}, {"\xa9Red, Blue", new(Color), Color(2)}, {"\xaaGreen,Blue", new(Color), Color(3)},
		{"\xa3red", new(Color), nil}, {"\x02", new(Color), nil}, {"\xc0", new(Color), nil}, {"\xa0", new(Color), nil}, {"\xa4Nope", new(Color), nil}, {"\xa9Red, Nope", new(Color), nil}, {"\xaa3000000000", new(Color), nil}, {"\xb499999999999999999999", new(Color), nil}, {"\xc0", new(*Color), (*Color)(nil)},
		{"\x81\x01\xa3Red", new(map[int]Color), map[int]Color{1: 0}}, {"\x81\xa4Blue\x01", new(map[Color]int), map[Color]int{2: 1}},
		{"\xa3Top", new(flag), flag(128)}, {"\x92\xa1A\xa1B", new([]flag), []flag{1, 2}}, {"\xa3256", new(flag), nil}, {"\xa2-1", new(flag), nil},
	})
	testReadings(t, protocol.JSON{}, []reading{
		{`0`, new(Color), Color(0)}, {`99`, new(Color), Color(99)}, {`-1`, new(Color), Color(-1)}, {`"Red"`, new(Color), nil}, {`1.5`, new(Color), nil}, {`3000000000`, new(Color), nil}, {`null`, new(Color), nil}, {`[1,null]`, new([]Color), nil},
	})
	for _, tt := range []struct {
		value      any
		json, pack string
	}{
		{Color(2), "2", "\xa4Blue"}, {Color(99), "99", "\xa299"}, {Color(-5), "-5", "\xa2-5"}, {[]any{Color(1)}, "[1]", "\x91\xa5Green"}, {flag(128), "128", "\xa3Top"}, {flag(4), "4", "\xa14"}, {struct{ F []flag }{[]flag{1}}, "", "\x81\xa1F\x91\xa1A"},
	} {
		if got, err := (protocol.MessagePack{}).AppendValue(nil, tt.value); err != nil || string(got) != tt.pack {
			t.Errorf("MessagePack of %#v = %q, error %v, want %q", tt.value, got, err, tt.pack)
		}
		if got, err := (protocol.JSON{}).AppendValue(nil, tt.value); tt.json != "" && (err != nil || string(got) != tt.json) {
			t.Errorf("JSON of %#v = %s, error %v, want %s", tt.value, got, err, tt.json)
		}
	}
}
