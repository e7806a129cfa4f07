package protocol_test

import (
	"math"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// Source: answers of ASP.NET Core 10.0.12 to EchoSample; an empty want is a
// refusal.
func TestTimeSpansInJSON(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"00:00:00", "00:00:00"}, {"1.02:03:04.005", "1.02:03:04.0050000"}, {"-1.02:03:04.0050000", "-1.02:03:04.0050000"}, {"1:2:3", "01:02:03"}, {"01:02", "01:02:00"}, {"1.00:00:00", "1.00:00:00"}, {"5", "5.00:00:00"}, {"-00:00:01", "-00:00:01"}, {"00:00:00.1", "00:00:00.1000000"},
		{"10675199.02:48:05.4775807", "10675199.02:48:05.4775807"}, {"-10675199.02:48:05.4775808", "-10675199.02:48:05.4775808"},
		{"10675199.02:48:05.4775808", ""}, {"-10675199.02:48:05.4775809", ""}, {"10675200", ""}, {"99999999.00:00:00", ""}, {"24:00:00", ""}, {"00:60:00", ""}, {"00:00:60", ""}, {"00:00:00.12345678", ""}, {"+01:00:00", ""}, {" 01:00:00", ""}, {"00:00:00.", ""}, {"1.2", ""}, {"", ""}, {"-", ""}, {"x", ""}, {"00:00:00x", ""}, {"--00:00:00", ""},
	} {
		if got := echoJSON[protocol.TimeSpan](t, tt.in); got != tt.want {
			t.Errorf("TimeSpan %q comes back as %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestTimeSpansAndDurations(t *testing.T) {
	for _, tt := range []struct {
		span protocol.TimeSpan
		want time.Duration
	}{
		{protocol.NewTimeSpan(90 * time.Minute), 90 * time.Minute}, {protocol.NewTimeSpan(-199), -100}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}, {math.MaxInt64 / 100, math.MaxInt64 / 100 * 100},
	} {
		if got := tt.span.Duration(); got != tt.want {
			t.Errorf("TimeSpan(%d).Duration() = %v, want %v", int64(tt.span), got, tt.want)
		}
	}
}

func TestTimesOfDayInJSON(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"03:04:05", "03:04:05"}, {"03:04:05.678", "03:04:05.6780000"}, {"3:4:5", "03:04:05"}, {"03:04", "03:04:00"}, {"03:04:05.6780000", "03:04:05.6780000"}, {"23:59:59.9999999", "23:59:59.9999999"},
		{"24:00:00", ""}, {"1.00:00:00", ""}, {"03:04:05.12345678", ""}, {"-00:00:01", ""}, {"", ""},
	} {
		if got := echoJSON[protocol.TimeOnly](t, tt.in); got != tt.want {
			t.Errorf("TimeOnly %q comes back as %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestDaysInJSON(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"2026-01-02", "2026-01-02"}, {"0001-01-01", "0001-01-01"}, {"9999-12-31", "9999-12-31"}, {"2024-02-29", "2024-02-29"},
		{"2026-01-02T00:00:00", ""}, {"2026-1-2", ""}, {"2026-02-30", ""}, {"", ""},
	} {
		if got := echoJSON[protocol.DateOnly](t, tt.in); got != tt.want {
			t.Errorf("DateOnly %q comes back as %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := protocol.NewDateOnly(time.Date(1, 1, 1, 23, 0, 0, 0, time.FixedZone("", 3600))); got != 0 {
		t.Errorf("the first day is number %d, want 0", got)
	}
	if got := protocol.NewDateOnly(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)); got != 3652058 {
		t.Errorf("the last day is number %d, want 3652058", got)
	}
	if got, want := protocol.NewDateOnly(noon).Time(), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("midnight of the day is %v, want %v", got, want)
	}
}

func TestSpansAndDaysInMessagePack(t *testing.T) {
	testReadings(t, protocol.MessagePack{}, []reading{
		{"\x05", new(protocol.TimeSpan), protocol.TimeSpan(5)}, {"\xff", new(protocol.TimeSpan), protocol.TimeSpan(-1)}, {"\xa800:00:01", new(protocol.TimeSpan), nil}, {"\xc0", new(protocol.TimeSpan), nil},
		{"\x05", new(protocol.TimeOnly), protocol.TimeOnly(5)}, {"\xff", new(protocol.TimeOnly), nil}, {"\xcf\x00\x00\x00\xc9\x2a\x69\xc0\x00", new(protocol.TimeOnly), nil}, {"\xcf\x00\x00\x00\xc9\x2a\x69\xbf\xff", new(protocol.TimeOnly), protocol.TimeOnly(0xc92a69bfff)}, {"\xa0", new(protocol.TimeOnly), nil},
		{"\x05", new(protocol.DateOnly), protocol.DateOnly(5)}, {"\xff", new(protocol.DateOnly), nil}, {"\xce\x00\x37\xb9\xda", new(protocol.DateOnly), protocol.DateOnly(3652058)}, {"\xce\x00\x37\xb9\xdb", new(protocol.DateOnly), nil}, {"\xa0", new(protocol.DateOnly), nil},
	})
}
