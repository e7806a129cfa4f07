package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// Source of the first lines: answers of ASP.NET Core 10.0.12 to EchoSample.
func TestDecimals(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"12.50", "12.50"}, {"1e3", "1000"}, {"1.0", "1.0"}, {"100", "100"}, {"0.000", "0.000"}, {"1e-28", "0.0000000000000000000000000001"},
		{"79228162514264337593543950335", "79228162514264337593543950335"}, {"-79228162514264337593543950335", "-79228162514264337593543950335"}, {"0.10e1", "1.0"}, {"-0", "0"}, {"-0.00", "0.00"}, {"1.5e-7", "0.00000015"}, {"123e5", "12300000"},
		{"0.12345678901234567890123456789012", "0.1234567890123456789012345679"}, {"1e28", "10000000000000000000000000000"}, {"0.00000000000000000000000000005", "0.0000000000000000000000000000"},
		{"79228162514264337593543950336", ""}, {"1e29", ""}, {"1e400", ""}, {"1e2147483648", ""}, {"1e99999999999999999999", ""},
		{"0.00000000000000000000000000015", "0.0000000000000000000000000002"}, {"0.00000000000000000000000000025", "0.0000000000000000000000000002"}, {"0.000000000000000000000000000250000000000000000000000000000000000000000000001", "0.0000000000000000000000000003"},
		{"8.00000000000000000000000000149", "8.000000000000000000000000001"}, {"9.5209593055599995655485204525387", "9.520959305559999565548520453"}, {"7.9228162514264337593543950335", "7.9228162514264337593543950335"}, {"7.9228162514264337593543950336", "7.922816251426433759354395034"}, {"79228162514264337593543950335.4", "79228162514264337593543950335"}, {"79228162514264337593543950335.5", ""}, {"-7.5", "-7.5"}, {"1e-400", "0.0000000000000000000000000000"}, {"0e5", "0"}, {"0e-999", "0.0000000000000000000000000000"},
		{"1" + strings.Repeat("0", 28) + "." + strings.Repeat("0", 100) + "1", "10000000000000000000000000000"},
	} {
		var d protocol.Decimal
		got := ""
		if err := (protocol.JSON{}).Unmarshal(protocol.Raw(tt.in), &d); err == nil {
			b, err := protocol.JSON{}.AppendValue(nil, d)
			if err != nil {
				t.Errorf("AppendValue(%v): %v", d, err)
			}
			got = string(b)
		}
		if got != tt.want {
			t.Errorf("decimal %s comes back as %s, want %s", tt.in, got, tt.want)
		}
		parsed, err := protocol.ParseDecimal(tt.in)
		if (err == nil) != (tt.want != "") || err == nil && parsed.String() != tt.want {
			t.Errorf("ParseDecimal(%q) = %v, error %v, want %s", tt.in, parsed, err, tt.want)
		}
	}
	for _, in := range []string{"", "-", ".", "1.", "1..2", "1e", "e5", "1,000", " 1", "0x1", "1_0", "--1", "NaN", "1e1.5"} {
		if d, err := protocol.ParseDecimal(in); err == nil {
			t.Errorf("ParseDecimal(%q) = %v, want an error", in, d)
		}
	}
}

func TestManyDigitsOfADecimalTakeLittleTime(t *testing.T) {
	start := time.Now()
	for _, in := range []string{strings.Repeat("9", 1_000_000), "0." + strings.Repeat("9", 1_000_000), "1e-999999999", "0." + strings.Repeat("0", 1_000_000) + "1e1000000"} {
		_, _ = protocol.ParseDecimal(in) // some fit, some do not
	}
	if took := time.Since(start); took > time.Minute { // it is 20 ms; the square of a million digits would be more
		t.Errorf("four hostile decimals took %v", took)
	}
}

func TestNewDecimal(t *testing.T) {
	for _, tt := range []struct {
		d    protocol.Decimal
		want string
	}{
		{protocol.Decimal{}, "0"}, {protocol.NewDecimal(1250, 2), "12.50"}, {protocol.NewDecimal(-1250, 2), "-12.50"}, {protocol.NewDecimal(-5, 3), "-0.005"}, {protocol.NewDecimal(-1<<63, 0), "-9223372036854775808"}, {protocol.NewDecimal(5, -1), "5"}, {protocol.NewDecimal(1, 99), "0.0000000000000000000000000001"},
	} {
		if got := tt.d.String(); got != tt.want {
			t.Errorf("String() = %s, want %s", got, tt.want)
		}
		parsed, err := protocol.ParseDecimal(tt.want)
		if err != nil || parsed != tt.d {
			t.Errorf("ParseDecimal(%s) = %#v, error %v, want %#v", tt.want, parsed, err, tt.d)
		}
	}
	if got := protocol.NewDecimal(1250, 2).Float64(); got != 12.5 {
		t.Errorf("Float64() = %v, want 12.5", got)
	}
}

func TestDecimalsInMessagePackAreStrings(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\xa512.50", new(protocol.Decimal), protocol.NewDecimal(1250, 2)}, {"\xa31e3", new(protocol.Decimal), protocol.NewDecimal(1000, 0)},
		{"\x05", new(protocol.Decimal), nil}, {"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", new(protocol.Decimal), nil}, {"\xa0", new(protocol.Decimal), nil}, {"\xc0", new(protocol.Decimal), nil},
	})
	testReadings(t, protocol.JSON{}, []reading{{`"12.50"`, new(protocol.Decimal), nil}, {`null`, new(protocol.Decimal), nil}, {`{"a":null}`, new(map[string]protocol.Decimal), nil}, {`null`, new(*protocol.Decimal), (*protocol.Decimal)(nil)}})
}

func TestHelpersWorkWithTheStandardLibrary(t *testing.T) {
	b, err := json.Marshal(fixedSample())
	if err != nil {
		t.Fatal(err)
	}
	var got Sample
	if err := json.Unmarshal(b, &got); err != nil || got.Decimal != protocol.NewDecimal(1250, 2) || got.Guid != fixedSample().Guid || got.TimeSpan != fixedSample().TimeSpan {
		t.Errorf("encoding/json decodes %+v, error %v", got, err)
	}
}

// Short decimals are read without big numbers; with an exponent they are not.
func TestShortDecimalsAreThoseOfBigNumbers(t *testing.T) {
	for _, whole := range []string{"", "0", "00", "7", "-7", "+7", "-", "-0", "123456789", "999999999999999999", "9999999999999999999", "18446744073709551616"} {
		for _, rest := range []string{"", ".", ".0", ".5", ".000", ".0000000000000000001", ".1234567890", "..5", ".5.", ".-5", "x", " "} {
			got, err := protocol.ParseDecimal(whole + rest)
			want, wantErr := protocol.ParseDecimal(whole + rest + "e0")
			if got != want || (err == nil) != (wantErr == nil) {
				t.Errorf("ParseDecimal(%q) = %v, %v; with an exponent %v, %v", whole+rest, got, err, want, wantErr)
			}
			var d protocol.Decimal
			if err := d.UnmarshalText([]byte(whole + rest)); d != got || (err == nil) != (wantErr == nil) {
				t.Errorf("UnmarshalText(%q) = %v, %v, want %v", whole+rest, d, err, got)
			}
		}
	}
}
