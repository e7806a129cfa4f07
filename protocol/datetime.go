package protocol

import (
	"errors"
	"fmt"
	"time"

	"github.com/hubwire/hubwire/internal/msgp"
)

// A DateTimeKind says what a DateTime counts from.
type DateTimeKind uint8

// The numbers are those of .NET.
const (
	Unspecified DateTimeKind = 0 // not known: only the clock reading counts
	UTC         DateTimeKind = 1
	Local       DateTimeKind = 2 // the zone of Time
)

// A DateTime is .NET's DateTime: a time.Time that also keeps whether it came
// with a zone. time.Time itself is fine where that does not matter; there a
// missing zone counts as UTC. The zero value is .NET's default value,
// 0001-01-01T00:00:00 without a zone.
//
// JSON has at most seven digits of a second, without zeros at their end, and
// then nothing, Z or the offset for Unspecified, UTC and Local. A time that
// comes with an offset is converted to the zone of this machine, as .NET does.
// MessagePack has a timestamp, which always comes back as UTC; an Unspecified
// time is written as if its clock reading were UTC. Years before 1 and after
// 9999 are errors.
type DateTime struct {
	time.Time
	Kind DateTimeKind
}

// MarshalJSON implements json.Marshaler.
func (d DateTime) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d DateTime) appendJSON(dst []byte) ([]byte, error) {
	t := d.Time
	if d.Kind == UTC {
		t = t.UTC()
	}
	b, err := appendClock(append(dst, '"'), t)
	if err != nil {
		return nil, err
	}
	switch d.Kind {
	case Unspecified:
	case UTC:
		b = append(b, 'Z')
	case Local:
		minutes, err := offsetOf(t)
		if err != nil {
			return nil, err
		}
		b = appendOffset(b, minutes)
	default:
		return nil, fmt.Errorf("unknown kind %d of DateTime", d.Kind)
	}
	return append(b, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *DateTime) UnmarshalJSON(b []byte) error {
	c, err := parseQuotedClock(b)
	if err != nil {
		return err
	}
	switch c.zone {
	case noZone:
		*d = DateTime{c.clock, Unspecified}
	case zuluZone:
		*d = DateTime{c.clock, UTC}
	default:
		t := c.instant().Local()
		if err := checkYear(t); err != nil {
			return err
		}
		*d = DateTime{t, Local}
	}
	return nil
}

func (d DateTime) appendMessagePack(dst []byte) ([]byte, error) {
	if d.Kind == Unspecified {
		return appendTimestamp(dst, asUTC(d.Time))
	}
	return appendTimestamp(dst, d.Time)
}

func (d *DateTime) readMessagePack(r mpReader) (mpReader, error) {
	t, err := r.timestamp()
	if err == nil {
		*d = DateTime{t, UTC}
	}
	return r, err
}

// A DateTimeOffset is .NET's DateTimeOffset: a time whose offset is part of its
// value. In JSON the offset is always written in digits. In MessagePack it is
// an array of the clock reading, as a timestamp, and the offset in minutes. The
// offset must be within 14 hours; seconds of it are dropped. A JSON time
// without an offset gets that of this machine. Years are limited as for
// DateTime.
type DateTimeOffset struct{ time.Time }

// whole returns the clock reading of the time, taken as UTC, and its offset, in
// whole minutes.
func (d DateTimeOffset) whole() (clock time.Time, minutes int, err error) {
	_, seconds := d.Zone()
	if minutes = seconds / 60; minutes < -maxOffset || minutes > maxOffset {
		return time.Time{}, 0, fmt.Errorf("offset of %d minutes is over 14 hours", minutes)
	}
	t := d.Time.UTC()
	if err := checkYear(t); err != nil {
		return time.Time{}, 0, err
	}
	return t.Add(time.Duration(minutes) * time.Minute), minutes, nil
}

// MarshalJSON implements json.Marshaler.
func (d DateTimeOffset) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d DateTimeOffset) appendJSON(dst []byte) ([]byte, error) {
	clock, minutes, err := d.whole()
	if err != nil {
		return nil, err
	}
	b, err := appendClock(append(dst, '"'), clock)
	if err != nil {
		return nil, err
	}
	return append(appendOffset(b, minutes), '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *DateTimeOffset) UnmarshalJSON(b []byte) error {
	c, err := parseQuotedClock(b)
	if err != nil {
		return err
	}
	switch c.zone {
	case noZone:
		y, m, day := c.clock.Date()
		hour, minute, second := c.clock.Clock()
		d.Time = time.Date(y, m, day, hour, minute, second, c.clock.Nanosecond(), time.Local)
		if checkYear(d.Time.UTC()) != nil {
			d.Time = c.clock // the first or last hours of .NET's time
		}
	case zuluZone:
		d.Time = c.clock
	default:
		d.Time = c.instant()
	}
	return nil
}

func (d DateTimeOffset) appendMessagePack(dst []byte) ([]byte, error) {
	clock, minutes, err := d.whole()
	if err != nil {
		return nil, err
	}
	if dst, err = appendTimestamp(append(dst, msgp.FixArray|2), clock); err != nil {
		return nil, err
	}
	return msgp.AppendInt(dst, int64(minutes)), nil
}

func (d *DateTimeOffset) readMessagePack(r mpReader) (mpReader, error) {
	if n, ok := r.Array(); !ok || n != 2 {
		return r, errKind
	}
	clock, err := r.timestamp()
	if err != nil {
		return r, err
	}
	minutes, ok := r.Signed(16)
	if !ok || minutes < -maxOffset || minutes > maxOffset {
		return r, errRange
	}
	t := clockTime{clock, offsetZone, int(minutes)}.instant()
	if err := checkYear(t.UTC()); err != nil {
		return r, err
	}
	d.Time = t
	return r, nil
}

// maxOffset is the largest offset of .NET in minutes.
const maxOffset = 14 * 60

var errTime = errors.New("text is not a time that .NET reads")

// checkYear reports years that .NET does not have.
func checkYear(t time.Time) error { return yearError(t.Year()) }

func yearError(y int) error {
	if y < 1 || y > 9999 {
		return fmt.Errorf("year %d is not from 1 to 9999", y)
	}
	return nil
}

// asUTC is the clock reading of t, taken as UTC.
func asUTC(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// appendClock appends date and time of day of t.
func appendClock(dst []byte, t time.Time) ([]byte, error) {
	y, m, day := t.Date()
	if err := yearError(y); err != nil {
		return nil, err
	}
	hour, minute, second := t.Clock()
	dst = append(appendDate(dst, y, m, day), 'T')
	return appendFraction(appendTimeOfDay(dst, hour, minute, second), t.Nanosecond()/100, true), nil // .NET counts in 100 ns
}

// appendDate appends yyyy-MM-dd; the year is from 1 to 9999.
func appendDate(dst []byte, year int, month time.Month, day int) []byte {
	dst = append(appendTwo(appendTwo(dst, year/100), year%100), '-')
	return appendTwo(append(appendTwo(dst, int(month)), '-'), day)
}

// appendTimeOfDay appends hh:mm:ss.
func appendTimeOfDay(dst []byte, hour, minute, second int) []byte {
	dst = append(appendTwo(dst, hour), ':')
	return appendTwo(append(appendTwo(dst, minute), ':'), second)
}

// appendTwo appends two digits.
func appendTwo(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10), '0'+byte(n%10)) }

// appendFraction appends the seven digits of ticks after a point, those up to the
// last one that is not 0 if short is set, and nothing if there is none.
func appendFraction(dst []byte, ticks int, short bool) []byte {
	if ticks == 0 {
		return dst
	}
	end := len(dst) + len(".1234567")
	dst = append(dst, ".0000000"...)
	for i := end - 1; ticks > 0; i-- {
		dst[i] = '0' + byte(ticks%10)
		ticks /= 10
	}
	for short && dst[end-1] == '0' {
		end--
	}
	return dst[:end]
}

// offsetOf is the offset of t's zone in whole minutes, less than a day.
func offsetOf(t time.Time) (minutes int, err error) {
	_, seconds := t.Zone()
	if seconds <= -24*60*60 || seconds >= 24*60*60 {
		return 0, errors.New("offset of the time's zone is over 24 hours")
	}
	return seconds / 60, nil
}

// appendOffset appends ±hh:mm.
func appendOffset(dst []byte, minutes int) []byte {
	sign := byte('+')
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	dst = append(appendTwo(append(dst, sign), minutes/60), ':')
	return appendTwo(dst, minutes%60)
}

// Ways to give a zone.
const (
	noZone = iota
	zuluZone
	offsetZone
)

// A clockTime is a clock reading and what its text says about the zone.
type clockTime struct {
	clock  time.Time // in UTC
	zone   int
	offset int // minutes
}

// instant is the point in time, in the zone with the offset.
func (c clockTime) instant() time.Time {
	if c.offset == 0 {
		return c.clock
	}
	zone := time.FixedZone("", c.offset*60)
	return c.clock.Add(-time.Duration(c.offset) * time.Minute).In(zone)
}

// parseClock reads the forms of ISO 8601 that System.Text.Json reads: a date,
// or a date, T, and a time of day to the minute or more precise, with up to 16
// digits of a second, of which seven count, and then nothing, Z, ±hh or ±hh:mm.
func parseClock(s []byte) (c clockTime, err error) {
	p := fields{s, true}
	year := p.digits(4)
	p.char('-')
	month := p.digits(2)
	p.char('-')
	day := p.digits(2)
	var hour, minute, second, nanos int
	if len(p.s) > 0 {
		p.char('T')
		hour = p.digits(2)
		p.char(':')
		minute = p.digits(2)
		if p.skip(':') {
			second = p.digits(2)
			if p.skip('.') {
				nanos = p.fraction(16)
			}
		}
		c.zone, c.offset = p.zone()
	}
	if !p.ok || len(p.s) > 0 || hour > 23 || minute > 59 || second > 59 || day < 1 || day > daysIn(month, year) {
		return clockTime{}, errTime
	}
	if err := yearError(year); err != nil {
		return clockTime{}, err
	}
	c.clock = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if c.offset != 0 {
		err = checkYear(c.instant().UTC())
	}
	return c, err
}

// parseQuotedClock is parseClock for a JSON string.
func parseQuotedClock(b []byte) (clockTime, error) {
	s, err := unquoted(b)
	if err != nil {
		return clockTime{}, err
	}
	return parseClock(s)
}

// daysIn is how many days a month has; none if there is no such month.
func daysIn(month, year int) int {
	switch month {
	case 1, 3, 5, 7, 8, 10, 12:
		return 31
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 0
}

// zone reads what follows the time of day.
func (p *fields) zone() (zone, minutes int) {
	sign := 1
	switch {
	case len(p.s) == 0:
		return noZone, 0
	case p.skip('Z'):
		return zuluZone, 0
	case p.skip('-'):
		sign = -1
	default:
		p.char('+')
	}
	hours := p.digits(2)
	if len(p.s) > 0 {
		p.char(':')
		minutes = p.digits(2)
	}
	p.ok = p.ok && minutes < 60 && hours*60+minutes <= maxOffset
	return offsetZone, sign * (hours*60 + minutes)
}

// appendTimestamp appends t in MessagePack's extension -1, in the shortest of
// its three forms.
func appendTimestamp(dst []byte, t time.Time) ([]byte, error) {
	if err := checkYear(t.UTC()); err != nil {
		return nil, err
	}
	return msgp.AppendTime(dst, t), nil
}

// timestamp reads an extension -1.
func (r *mpReader) timestamp() (time.Time, error) {
	t, ok := r.Time()
	if !ok {
		return time.Time{}, errKind
	}
	return t, checkYear(t)
}
