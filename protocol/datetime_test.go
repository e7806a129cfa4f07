package protocol_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// inZone runs the test as on a machine of that zone.
func inZone(t *testing.T, minutes int) {
	t.Helper()
	before := time.Local
	time.Local = time.FixedZone("test", minutes*60)
	t.Cleanup(func() { time.Local = before })
}

// Source: answers of ASP.NET Core 10.0.12, in a zone without an offset, to
// EchoDateTime and EchoSample. want is empty where it refused.
var dateTimes = []struct{ in, dateTime, offset string }{
	{"2026-01-02", "2026-01-02T00:00:00", "2026-01-02T00:00:00+00:00"},
	{"2026-01-02T03:04", "2026-01-02T03:04:00", "2026-01-02T03:04:00+00:00"},
	{"2026-01-02T03:04:05", "2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"},
	{"2026-01-02T03:04Z", "2026-01-02T03:04:00Z", "2026-01-02T03:04:00+00:00"},
	{"2026-01-02T03:04:05.1", "2026-01-02T03:04:05.1", "2026-01-02T03:04:05.1+00:00"},
	{"2026-01-02T03:04:05.1234567", "2026-01-02T03:04:05.1234567", "2026-01-02T03:04:05.1234567+00:00"},
	{"2026-01-02T03:04:05.12345678", "2026-01-02T03:04:05.1234567", "2026-01-02T03:04:05.1234567+00:00"},
	{"2026-01-02T03:04:05.1234567890123456", "2026-01-02T03:04:05.1234567", "2026-01-02T03:04:05.1234567+00:00"},
	{"2026-01-02T03:04:05+02", "2026-01-02T01:04:05+00:00", "2026-01-02T03:04:05+02:00"},
	{"2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00", "2026-01-02T03:04:05+02:00"},
	{"2026-01-02T03:04:05-14:00", "2026-01-02T17:04:05+00:00", "2026-01-02T03:04:05-14:00"},
	{"2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00:00"},
	{"2026-01-02T03:04:05.5+02:30", "2026-01-02T00:34:05.5+00:00", "2026-01-02T03:04:05.5+02:30"},
	{"2016-05-10T13:51:20+12:34", "2016-05-10T01:17:20+00:00", "2016-05-10T13:51:20+12:34"},
	{"9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999+00:00"},
	{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"},
	{in: "2026-01-02T03:04:05.12345678901234567"}, {in: "2026-01-02T03:04:05."}, {in: "2026-01-02T03:04:05+0200"}, {in: "2026-01-02T03:04:05+14:01"}, {in: "2026-01-02T03:04:05z"},
	{in: "2026-01-02t03:04:05Z"}, {in: "2026-01-02 03:04:05"}, {in: "2026-01"}, {in: "2026"}, {in: ""}, {in: "2026-01-02T24:00:00"}, {in: "2026-01-02T23:59:60"}, {in: "2026-02-29"}, {in: "2026-00-01"}, {in: "2026-01-00"}, {in: "2026-13-01"},
	{in: "0001-01-01T00:00:00+01:00"}, {in: "9999-12-31T23:59:59-01:00"}, {in: "0000-01-01"}, {in: "2026-01-02T03"}, {in: "2026-01-02Z"}, {in: "2026-1-2"}, {in: " 2026-01-02"}, {in: "2026-01-02T03:04:05Zx"}, {in: "20260102"}, {in: "2026-01-02T03:04:05,5"}, {in: "2026-01-02T"}, {in: "2026-01-02T03:04:05+02:60"},
}

// echoJSON decodes text, a JSON string's inside, into target and encodes it
// again; "" is a refusal.
func echoJSON[T any](t *testing.T, text string) string {
	t.Helper()
	var v T
	if (protocol.JSON{}).Unmarshal(protocol.Raw(`"`+text+`"`), &v) != nil {
		return ""
	}
	b, err := protocol.JSON{}.AppendValue(nil, v)
	if err != nil || len(b) < 2 {
		t.Errorf("%q decodes to %v, which is encoded as %q, error %v", text, v, b, err)
		return ""
	}
	return string(b[1 : len(b)-1])
}

func TestDateTimesInJSON(t *testing.T) {
	inZone(t, 0)
	for _, tt := range dateTimes {
		if got := echoJSON[protocol.DateTime](t, tt.in); got != tt.dateTime {
			t.Errorf("DateTime %q comes back as %q, want %q", tt.in, got, tt.dateTime)
		}
		if got := echoJSON[protocol.DateTimeOffset](t, tt.in); got != tt.offset {
			t.Errorf("DateTimeOffset %q comes back as %q, want %q", tt.in, got, tt.offset)
		}
	}
}

func TestTimesTakeTheZoneOfTheMachine(t *testing.T) {
	inZone(t, -150)
	for _, tt := range []struct{ in, dateTime, offset string }{
		{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"},
		{"2026-01-02T03:04:05", "2026-01-02T03:04:05", "2026-01-02T03:04:05-02:30"},
		{"2026-01-02T03:04:05+02:00", "2026-01-01T22:34:05-02:30", "2026-01-02T03:04:05+02:00"},
		{"9999-12-31T23:00:00", "9999-12-31T23:00:00", "9999-12-31T23:00:00+00:00"},
		{"0001-01-01T00:00:00+00:00", "", "0001-01-01T00:00:00+00:00"},
	} {
		if got := echoJSON[protocol.DateTime](t, tt.in); got != tt.dateTime {
			t.Errorf("DateTime %q comes back as %q, want %q", tt.in, got, tt.dateTime)
		}
		if got := echoJSON[protocol.DateTimeOffset](t, tt.in); got != tt.offset {
			t.Errorf("DateTimeOffset %q comes back as %q, want %q", tt.in, got, tt.offset)
		}
	}
}

func TestTimesInMessagePack(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"UTC", protocol.DateTime{Time: noon, Kind: protocol.UTC}, "\xd7\xff\xa1\xa5\xd6\x00\x69\x57\x35\xa5"},
		{"the instant of a local time", protocol.DateTime{Time: noon.In(berlin), Kind: protocol.Local}, "\xd7\xff\xa1\xa5\xd6\x00\x69\x57\x35\xa5"},
		{"the clock of an unspecified time", protocol.DateTime{Time: noon.Add(-time.Hour).In(berlin)}, "\xd7\xff\xa1\xa5\xd6\x00\x69\x57\x35\xa5"},
		{"a time after 2106", time.Unix(1<<32, 0), "\xd7\xff\x00\x00\x00\x01\x00\x00\x00\x00"},
		{"a time after 2514", time.Unix(1<<34, 100), "\xc7\x0c\xff\x00\x00\x00\x64\x00\x00\x00\x04\x00\x00\x00\x00"},
		{"an offset", protocol.DateTimeOffset{Time: noon.Add(-2 * time.Hour).In(time.FixedZone("", 7200))}, "\x92\xd7\xff\xa1\xa5\xd6\x00\x69\x57\x35\xa5\x78"},
		{"a negative offset", protocol.DateTimeOffset{Time: time.Unix(3600, 0).In(time.FixedZone("", -3600))}, "\x92\xd6\xff\x00\x00\x00\x00\xd0\xc4"},
		{"seconds of an offset are dropped", protocol.DateTimeOffset{Time: time.Unix(0, 0).In(time.FixedZone("", 65))}, "\x92\xd6\xff\x00\x00\x00\x3c\x01"},
	} {
		got, err := protocol.MessagePack{}.AppendValue(nil, tt.value)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: AppendValue(%v) = %x, error %v, want %x", tt.name, tt.value, got, err, tt.want)
		}
	}
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\xd6\xff\x00\x00\x00\x01", new(time.Time), time.Unix(1, 0).UTC()},
		{"\xd7\xff\x00\x00\x00\x01\x00\x00\x00\x00", new(time.Time), time.Unix(1<<32, 0).UTC()},
		{"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00", new(time.Time), time.Time{}},
		{"\xc7\x0c\xff\xff\xff\xff\xff\x00\x00\x00\x00\x69\x57\x35\xa5", new(time.Time), time.Unix(0x695735a5, 0xffffffff).UTC()},
		{"\xc7\x04\xff\x00\x00\x00\x01", new(time.Time), time.Unix(1, 0).UTC()},
		{"\xd6\xff\x00\x00\x00\x01", new(protocol.DateTime), protocol.DateTime{Time: time.Unix(1, 0).UTC(), Kind: protocol.UTC}},
		{"\x92\xd6\xff\x00\x00\x00\x01\x00", new(protocol.DateTimeOffset), protocol.DateTimeOffset{Time: time.Unix(1, 0).UTC()}},
		{"\xd6\x00\x00\x00\x00\x01", new(time.Time), nil}, {"\xd5\xff\x00\x00", new(time.Time), nil}, {"\xa42026", new(time.Time), nil}, {"\x01", new(time.Time), nil}, {"\x92\x01\x01", new(time.Time), nil}, {"\xc0", new(protocol.DateTime), nil},
		{"\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff", new(time.Time), nil},
		{"\xd6\xff\x00\x00\x00\x01", new(protocol.DateTimeOffset), nil}, {"\x93\xd6\xff\x00\x00\x00\x01\x00\x00", new(protocol.DateTimeOffset), nil}, {"\x92\xd6\xff\x00\x00\x00\x01\xcd\x03\x49", new(protocol.DateTimeOffset), nil}, {"\x92\x00\x00", new(protocol.DateTimeOffset), nil}, {"\x92\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00\x01", new(protocol.DateTimeOffset), nil},
	})
}

func TestTimesThatNETDoesNotHaveAreErrors(t *testing.T) {
	for _, value := range []any{
		protocol.DateTime{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, protocol.DateTime{Time: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), Kind: protocol.UTC}, protocol.DateTime{Time: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), Kind: protocol.Local},
		protocol.DateTimeOffset{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 15*3600))}, protocol.DateTimeOffset{Time: time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))},
		protocol.TimeOnly(-1), protocol.TimeOnly(24 * 3600 * 1e7), protocol.DateOnly(-1), protocol.DateOnly(3652059),
	} {
		for name, codec := range codecs {
			if got, err := codec.AppendValue(nil, value); err == nil {
				t.Errorf("%s: AppendValue(%#v) = %q, want an error", name, value, got)
			}
		}
	}
	if got, err := (protocol.JSON{}).AppendValue(nil, protocol.DateTime{Kind: 3}); err == nil {
		t.Errorf("AppendValue of a DateTime of kind 3 = %s, want an error", got)
	}
}

// Times are written digit by digit, as the layouts of package time would.
func TestTimesAreWrittenAsByTheirLayouts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		seconds := rnd.Int64N(9998*365*24*60*60) + time.Date(1, 2, 1, 0, 0, 0, 0, time.UTC).Unix()
		nanos := [...]int64{0, 678e6, 1e2, 99, 123456789, rnd.Int64N(1e9)}[rnd.IntN(6)]
		offset := [...]int{0, 90, -90, 14 * 60, -14 * 60, rnd.IntN(1680) - 840}[rnd.IntN(6)]
		at := time.Unix(seconds, nanos).In(time.FixedZone("", offset*60))
		short := at.Add(-time.Duration(at.Nanosecond() % 100))
		const clock = "2006-01-02T15:04:05.999999999"
		timeOfDay := at.Format(time.TimeOnly)
		if ticks := at.Nanosecond() / 100; ticks > 0 {
			timeOfDay += fmt.Sprintf(".%07d", ticks)
		}
		for want, value := range map[string]any{
			short.Format(clock + "Z07:00"):  at,
			short.Format(clock):             protocol.DateTime{Time: at},
			short.UTC().Format(clock) + "Z": protocol.DateTime{Time: at, Kind: protocol.UTC},
			short.Format(clock + "-07:00"):  protocol.DateTimeOffset{Time: at},
			at.Format(time.DateOnly):        protocol.NewDateOnly(at),
			timeOfDay:                       protocol.NewTimeOnly(at),
		} {
			got, err := protocol.JSON{}.AppendValue(nil, value)
			if err != nil || string(got) != strconv.Quote(want) {
				t.Fatalf("%T %v is %s, error %v; want %q", value, value, got, err, want)
			}
		}
	}
}

// Each day of four centuries is read, and no other.
func TestDaysThatAreNoneAreRefused(t *testing.T) {
	for year := 1899; year < 2102; year++ {
		for month := 0; month <= 13; month++ {
			for day := 0; day <= 32; day++ {
				text := fmt.Sprintf(`"%04d-%02d-%02d"`, year, month, day)
				_, want := time.Parse(`"`+time.DateOnly+`"`, text)
				var d protocol.DateTime
				if err := d.UnmarshalJSON([]byte(text)); (err == nil) != (want == nil) {
					t.Fatalf("%s: error %v, want %v", text, err, want)
				}
			}
		}
	}
}
