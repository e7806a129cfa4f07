package protocol_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// Numbers as a peer may write them in JSON, wherever they are.
var jsonNumbers = []string{
	"0", "-0", "1", "-1", "7", "8", "9", "127", "128", "-128", "-129", "255", "256", "32767", "32768", "65535", "65536",
	"2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"18446744073709551615", "18446744073709551616", "1e0", "1.0", "1e18", "1e308", "1e309", "-1e309", "5e-324", "1e-325",
	"1e999999999", "-1e999999999", "1e-999999999", "1e99999999999999999999", "1e-99999999999999999999", "0e999999999",
	"79228162514264337593543950335", "79228162514264337593543950336", "0." + strings.Repeat("0", 400) + "1",
	strings.Repeat("9", 1000), "-" + strings.Repeat("9", 1000), "1." + strings.Repeat("9", 1000), "1e" + strings.Repeat("9", 1000),
}

// mpNumbers are numbers in every format of MessagePack.
func mpNumbers() [][]byte {
	list := [][]byte{{0}, {1}, {0x7f}, {0xff}, {0xe0}}
	for i, size := range []int{1, 2, 4, 8} {
		for _, bits := range []uint64{0, 1, 1<<(8*size-1) - 1, 1 << (8*size - 1), 1<<(8*size-1) + 1, math.MaxUint64} {
			digits := binary.BigEndian.AppendUint64(nil, bits)[8-size:]
			list = append(list, append([]byte{0xcc + byte(i)}, digits...), append([]byte{0xd0 + byte(i)}, digits...))
		}
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1, 1.5, 1e18, 1 << 53, 1 << 63, -1 << 63, 1 << 64, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		list = append(list, binary.BigEndian.AppendUint64([]byte{0xcb}, math.Float64bits(f)),
			binary.BigEndian.AppendUint32([]byte{0xca}, math.Float32bits(float32(f))))
	}
	return list
}

// mpLengths are the headers of everything that has a length, with lengths that
// nothing follows, or nearly nothing.
func mpLengths() [][]byte {
	var list [][]byte
	for _, n := range []uint32{0, 1, 2, 0x7fff, 0x8000, 0xffff, 0x10000, math.MaxInt32 - 1, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32} {
		for _, wide := range []byte{0xc6, 0xc9, 0xdb, 0xdd, 0xdf} {
			list = append(list, binary.BigEndian.AppendUint32([]byte{wide}, n))
		}
		if n < 1<<16 {
			for _, wide := range []byte{0xc5, 0xc8, 0xda, 0xdc, 0xde} {
				list = append(list, binary.BigEndian.AppendUint16([]byte{wide}, uint16(n)))
			}
		}
	}
	for _, fixed := range []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8} {
		list = append(list, []byte{fixed})
	}
	for _, wide := range []byte{0xc4, 0xc7, 0xd9} {
		list = append(list, []byte{wide, 0}, []byte{wide, 1}, []byte{wide, 0xff})
	}
	return list
}

// checkNext decodes wire, which must be a message or a proper error, and takes
// little memory.
func checkNext(t *testing.T, codec protocol.Codec, wire []byte) {
	t.Helper()
	var m protocol.Message
	var err error
	used := allocatedBy(func() { m, _, err = codec.Next(wire) })
	var e *protocol.Error
	if (err == nil) == (m == nil) || err != nil && !errors.As(err, &e) && !errors.Is(err, protocol.ErrIncomplete) {
		t.Errorf("%q: message %#v, error %#v", wire, m, err)
	}
	if most := uint64(64*len(wire) + 16<<10); used > most {
		t.Errorf("%q: %d bytes allocated for %d", wire, used, len(wire))
	}
	if m != nil {
		if _, err := codec.Append(nil, m); err != nil && !mayFail(m) {
			t.Errorf("%q, %#v: Append: %v", wire, m, err)
		}
	}
}

func TestAnyNumberOfAPeerIsAMessageOrAnError(t *testing.T) {
	for _, n := range jsonNumbers {
		for _, record := range []string{
			`{"type":%s}`, `{"type":%s,"invocationId":"1","target":"T","arguments":[],"item":1,"sequenceId":1}`,
			`{"type":8,"sequenceId":%s}`, `{"type":9,"sequenceId":%s}`, `{"type":3,"invocationId":"1","result":%s}`,
			`{"type":1,"target":"T","arguments":[%s]}`, `{"type":2,"invocationId":"1","item":%s}`, `{"type":6,"x":%s}`,
			`{"type":7,"error":%s}`, `{"type":7,"allowReconnect":%s}`, `{"type":1,"target":%s,"arguments":[]}`,
			`{"type":3,"invocationId":%s}`, `{"type":1,"target":"T","arguments":[],"streamIds":[%s]}`, `{"type":6,"headers":{"a":%s}}`,
		} {
			checkNext(t, protocol.JSON{}, []byte(fmt.Sprintf(record, n)+"\x1e"))
		}
		for _, record := range []string{`{"protocol":"json","version":%s}`, `{"protocol":%s,"version":1}`, `{"protocol":"json","version":1,"x":%s}`} {
			req, _, err := protocol.ParseHandshakeRequest([]byte(fmt.Sprintf(record, n) + "\x1e"))
			var e *protocol.Error
			if err != nil && !errors.As(err, &e) || int64(req.Version) != int64(int32(req.Version)) {
				t.Errorf("%s: %#v, error %#v", fmt.Sprintf(record, n), req, err)
			}
		}
	}
}

func TestAnyNumberOrLengthOfAPeerInMessagePackIsAMessageOrAnError(t *testing.T) {
	bodies := []string{ // ? is the place
		"?", "\x91?", "\x92\x08?", "\x92\x09?", "\x96\x01?\xc0\xa1T\x90\x90", "\x96\x01\x80?\xa1T\x90\x90", "\x96\x01\x80\xc0?\x90\x90",
		"\x96\x01\x80\xc0\xa1T?\x90", "\x96\x01\x80\xc0\xa1T\x91?\x90", "\x96\x01\x80\xc0\xa1T\x90?", "\x96\x04\x80\xa11\xa1T\x90\x91?",
		"\x94\x02\x80\xa11?", "\x94\x03\x80\xa11?", "\x95\x03\x80\xa11\x03?", "\x95\x03\x80\xa11\x01?", "\x93\x05\x80?",
		"\x93\x07?\xc3", "\x93\x07\xc0?", "\x95\x01\x81?\xa1v\xc0\xa1T\x90", "\x95\x01\x81\xa1k?\xc0\xa1T\x90", "?\x01\x80\xc0\xa1T\x90\x90",
	}
	for _, value := range append(mpNumbers(), mpLengths()...) {
		for _, body := range bodies {
			b := bytes.Replace([]byte(body), []byte("?"), value, 1)
			checkNext(t, protocol.MessagePack{}, append([]byte{byte(len(b))}, b...))
		}
	}
	for _, prefix := range []string{
		"\x00", "\x80\x00", "\x7f", "\xff\x7f", "\xff\xff\xff\xff\x07", "\xff\xff\xff\xff\x08", "\xff\xff\xff\xff\xff", "\x80\x80\x80\x80\x08",
		"\x80\x80\x80\x80\x00", "\xff\xff\xff\xff\x7f", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "\xfe\xff\xff\xff\x07",
	} {
		for n := range len(prefix) + 1 {
			wire := []byte(prefix[:n])
			checkNext(t, protocol.MessagePack{}, wire)
			checkNext(t, protocol.MessagePack{}, append(wire, 0x91, 0x06))
			if missing, _ := protocol.Missing(protocol.MessagePack{}, wire, 0); missing < 0 || missing > math.MaxInt32 {
				t.Errorf("%x: %d bytes are missing", wire, missing)
			}
		}
	}
}

// numberTargets are all types that a number could be for.
func numberTargets() []any {
	return []any{
		new(int), new(int8), new(int16), new(int32), new(int64), new(uint), new(uint8), new(uint16), new(uint32), new(uint64),
		new(float32), new(float64), new(any), new(json.Number), new(protocol.Decimal), new(protocol.TimeSpan), new(protocol.TimeOnly),
		new(protocol.DateOnly), new(protocol.DateTime), new(protocol.DateTimeOffset), new(protocol.Guid), new(protocol.Char), new(time.Time),
		new(time.Duration), new(string), new(bool), new([]byte), new([4]byte), new([]int), new([2]int8), new(map[int8]uint64), new(struct{ A int8 }),
		new(map[string]any), new(*int), new([]float32), new(mood), new(protocol.Raw),
	}
}

// mood is an enum of few bits.
type mood int8

func (mood) EnumNames() map[int64]string { return map[int64]string{0: "Good", 1: "Bad", 300: "Beyond"} }

// hasInfinity reports a number that is infinite, however deep inside v.
func hasInfinity(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.IsInf(v.Float(), 0)
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && hasInfinity(v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if hasInfinity(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			if hasInfinity(each.Key()) || hasInfinity(each.Value()) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if hasInfinity(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

// One rule for numbers wherever they are. Source: captures of ASP.NET Core
// 10.0.12, double and float.
func TestJSONNumbersThatAreTooLargeAreInfiniteWhereverTheyAre(t *testing.T) {
	inf := math.Inf(1)
	type holder struct {
		F  float64  `json:"f"`
		P  *float32 `json:"p"`
		L  []float64
		M  map[string]float32
		A  any
		In struct{ F float64 }
	}
	testReadings(t, protocol.JSON{}, []reading{
		{`1e400`, new(float64), inf}, {`[1e400,-1e400,1]`, new([]float64), []float64{inf, -inf, 1}}, {`[1e39]`, new([1]float32), [1]float32{float32(inf)}},
		{`{"a":1e400}`, new(map[string]float64), map[string]float64{"a": inf}}, {`1e400`, new(any), inf}, {`[{"a":-1e400}]`, new(any), []any{map[string]any{"a": -inf}}},
		{`{"f":1e400,"p":1e39,"L":[1e400],"M":{"x":1e39},"A":1e400,"In":{"F":1e400}}`, new(holder), holder{inf, new(float32(inf)), []float64{inf}, map[string]float32{"x": float32(inf)}, inf, struct{ F float64 }{inf}}},
		{`[1e400]`, new([]int), nil}, {`{"a":1e400}`, new(map[string]uint8), nil}, {`[1e400]`, new([]protocol.Decimal), nil},
	})
}

// checkValue decodes raw; what decodes, encodes, and decodes to the same.
func checkValue(t *testing.T, codec protocol.Codec, raw protocol.Raw, target any) {
	t.Helper()
	var err error
	used := allocatedBy(func() { err = codec.Unmarshal(raw, target) })
	if most := uint64(64*len(raw) + 16<<10); used > most {
		t.Errorf("%.60q into %T: %d bytes allocated for %d", raw, target, used, len(raw))
	}
	if err != nil {
		return
	}
	value := reflect.ValueOf(target).Elem().Interface()
	if !codec.Binary() && hasInfinity(reflect.ValueOf(value)) {
		return // what is too large is read as infinite and cannot be written, as in .NET
	}
	wire, err := codec.AppendValue(nil, value)
	if err != nil {
		t.Errorf("%.60q is %v, a %T, which cannot be encoded: %v", raw, value, value, err)
		return
	}
	again := reflect.New(reflect.TypeOf(value))
	if err := codec.Unmarshal(wire, again.Interface()); err != nil {
		t.Errorf("%.60q is %v, a %T, encoded as %.60q, which cannot be decoded: %v", raw, value, value, wire, err)
	}
}

func TestAnyNumberForAnyTypeIsAValueOrAnError(t *testing.T) {
	texts := append([]string{}, jsonNumbers...)
	for _, s := range jsonNumbers {
		texts = append(texts, `"`+s+`"`, "["+s+"]", "["+s+",1]", `{"A":`+s+`}`, `{"`+s+`":`+s+`}`)
	}
	for _, s := range []string{
		"9999999.23:59:59.9999999", "99999999.00:00:00", "10675199.02:48:05.4775807", "10675199.02:48:05.4775808", "-10675199.02:48:05.4775808",
		"-10675199.02:48:05.4775809", "0000-00-00", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59.9999999Z", "10000-01-01", "0001-01-01T00:00:00+14:00",
		"9999-12-31T23:59:59-14:00", "2026-02-30", "2026-01-02T24:00:00Z", "2026-01-02T23:59:60Z", "2026-01-02T00:00:00+99:99", "2026-01-02T00:00:00." + strings.Repeat("9", 1000) + "Z",
	} {
		texts = append(texts, `"`+s+`"`)
	}
	for _, text := range texts {
		for _, target := range numberTargets() {
			checkValue(t, protocol.JSON{}, protocol.Raw(text), target)
		}
	}
	for _, value := range append(mpNumbers(), mpLengths()...) {
		for _, raw := range [][]byte{value, append([]byte{0x91}, value...), append([]byte{0x81, 0xa1, 'A'}, value...), append([]byte{0x81, 1}, value...), append(bytes.Clone(value), 0xff, 0xff, 0xff, 0xff)} {
			for _, target := range numberTargets() {
				checkValue(t, protocol.MessagePack{}, raw, target)
			}
		}
	}
}

func TestAnyTimestampIsATimeOrAnError(t *testing.T) {
	for _, seconds := range []uint64{0, 1, 1<<34 - 1, 1 << 34, 1 << 62, 1<<63 - 1, 1 << 63, math.MaxUint64, 253402300799, 253402300800, 1<<64 - 62135596800, 1<<64 - 62135596801} {
		for _, nanos := range []uint32{0, 1, 99, 100, 999_999_999, 1_000_000_000, 1<<30 - 1, math.MaxUint32} {
			for _, raw := range [][]byte{
				binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32([]byte{0xc7, 12, 0xff}, nanos), seconds),
				binary.BigEndian.AppendUint64([]byte{0xd7, 0xff}, uint64(nanos)<<34|seconds),
				binary.BigEndian.AppendUint32([]byte{0xd6, 0xff}, uint32(seconds)),
				append([]byte{0x92, 0xd6, 0xff}, binary.BigEndian.AppendUint64(nil, seconds)...),
			} {
				for _, target := range []any{new(time.Time), new(protocol.DateTime), new(protocol.DateTimeOffset), new(any)} {
					checkValue(t, protocol.MessagePack{}, raw, target)
				}
			}
		}
	}
}

// Work on text is bounded by its length, or by the length that a value can
// have: what a number's digits cost is seen in what is allocated for them.
func TestLongTextForANumberOrTimeCostsLittle(t *testing.T) {
	const n = 1 << 15
	for _, text := range []string{
		strings.Repeat("9", n), "1." + strings.Repeat("9", n), "0." + strings.Repeat("0", n) + "1", "1e" + strings.Repeat("9", n), "1e-" + strings.Repeat("9", n),
		strings.Repeat("1.", n/2), strings.Repeat("1:", n/2), strings.Repeat("Good,", n/5) + "Good", strings.Repeat("-", n),
	} {
		for _, codec := range codecs {
			raw, err := codec.AppendValue(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range append(numberTargets(), new([1]protocol.Decimal)) {
				used := allocatedBy(func() { _ = codec.Unmarshal(raw, target) })
				if used > 16*n {
					t.Errorf("%s, %.10q...: %d bytes allocated for a %T", codec.Name(), text, used, target)
				}
			}
		}
		for _, target := range numberTargets() {
			used := allocatedBy(func() { _ = protocol.JSON{}.Unmarshal(protocol.Raw(text), target) })
			if used > 16*n {
				t.Errorf("json %.10q...: %d bytes allocated for a %T", text, used, target)
			}
		}
	}
}
