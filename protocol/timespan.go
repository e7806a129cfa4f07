package protocol

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/internal/msgp"
)

// ticksPerSecond is how many ticks of .NET make a second.
const (
	ticksPerSecond = 10_000_000
	ticksPerDay    = 24 * 60 * 60 * ticksPerSecond
)

var errTimeSpan = errors.New("text is not a span of time that .NET reads")

// A TimeSpan is .NET's TimeSpan: a span of time in ticks of 100 nanoseconds. In
// JSON it is "[-][d.]hh:mm:ss[.fffffff]", in MessagePack its ticks.
type TimeSpan int64

// NewTimeSpan returns d as a TimeSpan. It drops what is less than a tick.
func NewTimeSpan(d time.Duration) TimeSpan { return TimeSpan(d / 100) }

// Duration returns t as a Duration; the longest one, of its sign, where t is
// longer than that, about 292 years.
func (t TimeSpan) Duration() time.Duration {
	switch {
	case t > math.MaxInt64/100:
		return math.MaxInt64
	case t < math.MinInt64/100:
		return math.MinInt64
	}
	return time.Duration(t) * 100
}

// String returns t as in JSON, without quotes.
func (t TimeSpan) String() string {
	return string(t.appendText(make([]byte, 0, 32)))
}

func (t TimeSpan) appendText(dst []byte) []byte {
	ticks := uint64(t)
	if t < 0 {
		dst, ticks = append(dst, '-'), -ticks
	}
	if days := ticks / ticksPerDay; days > 0 {
		dst = append(strconv.AppendUint(dst, days, 10), '.')
	}
	seconds := int(ticks % ticksPerDay / ticksPerSecond)
	return appendFraction(appendTimeOfDay(dst, seconds/3600, seconds/60%60, seconds%60), int(ticks%ticksPerSecond), false)
}

// MarshalJSON implements json.Marshaler.
func (t TimeSpan) MarshalJSON() ([]byte, error) { return t.appendJSON(nil) }

func (t TimeSpan) appendJSON(dst []byte) ([]byte, error) {
	return append(t.appendText(append(dst, '"')), '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *TimeSpan) UnmarshalJSON(b []byte) error {
	s, err := unquoted(b)
	if err != nil {
		return err
	}
	p := fields{s, true}
	negative := p.skip('-')
	ticks := p.ticks()
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if !p.ok || ticks > limit {
		return errTimeSpan
	}
	if *t = TimeSpan(ticks); negative {
		*t = -*t
	}
	return nil
}

func (t TimeSpan) appendMessagePack(dst []byte) ([]byte, error) {
	return msgp.AppendInt(dst, int64(t)), nil
}

func (t *TimeSpan) readMessagePack(r mpReader) (mpReader, error) {
	n, ok := r.Signed(64)
	if !ok {
		return r, errKind
	}
	*t = TimeSpan(n)
	return r, nil
}

// A TimeOnly is .NET's TimeOnly: a time of day, in ticks of 100 nanoseconds
// since midnight. In JSON it is "hh:mm:ss[.fffffff]", in MessagePack its ticks.
// Values outside a day are errors.
type TimeOnly int64

// NewTimeOnly returns the time of day that t's clock shows.
func NewTimeOnly(t time.Time) TimeOnly {
	hour, minute, second := t.Clock()
	return TimeOnly(((hour*60+minute)*60+second)*ticksPerSecond + t.Nanosecond()/100)
}

// String returns t as in JSON, without quotes.
func (t TimeOnly) String() string { return TimeSpan(t).String() }

func (t TimeOnly) check() error {
	if t < 0 || t >= ticksPerDay {
		return fmt.Errorf("time of day %v is not within a day", t)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t TimeOnly) MarshalJSON() ([]byte, error) { return t.appendJSON(nil) }

func (t TimeOnly) appendJSON(dst []byte) ([]byte, error) {
	dst, _ = TimeSpan(t).appendJSON(dst)
	return dst, t.check()
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *TimeOnly) UnmarshalJSON(b []byte) error {
	var span TimeSpan
	if err := span.UnmarshalJSON(b); err != nil {
		return err
	}
	return t.set(int64(span), b[1] != '-')
}

func (t *TimeOnly) set(ticks int64, ok bool) error {
	if !ok || TimeOnly(ticks).check() != nil {
		return errTimeSpan
	}
	*t = TimeOnly(ticks)
	return nil
}

func (t TimeOnly) appendMessagePack(dst []byte) ([]byte, error) {
	return msgp.AppendInt(dst, int64(t)), t.check()
}

func (t *TimeOnly) readMessagePack(r mpReader) (mpReader, error) {
	n, ok := r.Signed(64)
	return r, t.set(n, ok)
}

// A DateOnly is .NET's DateOnly: a day, counted from 0001-01-01, which is 0, to
// 9999-12-31. In JSON it is "yyyy-MM-dd", in MessagePack its number. Other
// numbers are errors.
type DateOnly int32

// maxDay is the number of 9999-12-31, and epochDay that of 1970-01-01.
const (
	maxDay   = 3652058
	epochDay = 719162
)

// NewDateOnly returns the day of t, in the zone of t.
func NewDateOnly(t time.Time) DateOnly {
	y, m, d := t.Date()
	days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
	return DateOnly(days + epochDay) // a whole number of days: nothing is rounded
}

// Time returns midnight of the day in UTC.
func (d DateOnly) Time() time.Time {
	return time.Unix((int64(d)-epochDay)*24*60*60, 0).UTC()
}

// String returns d as in JSON, without quotes.
func (d DateOnly) String() string { return d.Time().Format(time.DateOnly) } // of any year

func (d DateOnly) check() error {
	if d < 0 || d > maxDay {
		return fmt.Errorf("day %d is not from 0 to %d", int32(d), maxDay)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d DateOnly) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d DateOnly) appendJSON(dst []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	y, m, day := d.Time().Date()
	return append(appendDate(append(dst, '"'), y, m, day), '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *DateOnly) UnmarshalJSON(b []byte) error {
	s, err := unquoted(b)
	if err != nil {
		return err
	}
	c, err := parseClock(s)
	if err == nil && len(s) != len(time.DateOnly) {
		err = errTime
	}
	if err == nil {
		*d = NewDateOnly(c.clock)
	}
	return err
}

func (d DateOnly) appendMessagePack(dst []byte) ([]byte, error) {
	return msgp.AppendInt(dst, int64(d)), d.check()
}

func (d *DateOnly) readMessagePack(r mpReader) (mpReader, error) {
	n, ok := r.Signed(32)
	if !ok || DateOnly(n).check() != nil {
		return r, errRange
	}
	*d = DateOnly(n)
	return r, nil
}

// ticks reads a span without its sign: d, h:m, h:m:s or h:m:s.f, the last
// three also after d and a point.
func (p *fields) ticks() uint64 {
	days, hours := uint64(p.number(8)), uint64(0)
	switch {
	case len(p.s) == 0:
		p.ok = p.ok && days <= math.MaxInt64/ticksPerDay
		return days * ticksPerDay
	case p.skip('.'):
		hours = uint64(p.number(2))
	default:
		days, hours = 0, days
	}
	p.char(':')
	minutes, seconds, fraction := uint64(p.number(2)), uint64(0), uint64(0)
	if p.skip(':') {
		seconds = uint64(p.number(2))
		if p.skip('.') {
			fraction = uint64(p.fraction(7) / 100)
		}
	}
	p.ok = p.ok && len(p.s) == 0 && days <= math.MaxInt64/ticksPerDay && hours < 24 && minutes < 60 && seconds < 60
	return days*ticksPerDay + ((hours*60+minutes)*60+seconds)*ticksPerSecond + fraction
}
