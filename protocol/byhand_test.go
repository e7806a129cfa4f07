package protocol_test

import (
	"encoding/hex"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// called is the argument of "a struct of 12 members" in docs/performance.md; a text stands
// in it that loadgen sends.
const called = `{"bool":true,"byte":255,"int":-7,"long":4503599627370497,"double":0.1,"text":"a text of some forty bytes, with blanks in it",` +
	`"guid":"00010203-0405-0607-0809-0a0b0c0d0e0f","dateTime":"2026-01-02T03:04:05.678Z","color":2,"maybeInt":12,` +
	`"list":[1,2,3,40,500],"map":{"a":"b","Key":"Value"}}`

// BenchmarkSampleByHand has the codec beside one that was written for this struct by hand,
// which knows the order of its members and checks next to nothing: what is between the two
// is the most that any codec could save of such a call.
func BenchmarkSampleByHand(b *testing.B) {
	var codec protocol.JSON
	var s Sample
	raw := protocol.Raw(called)
	decodeByHand(called, &s) // what is encoded
	dst := make([]byte, 0, 2048)
	b.Run("decode/codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = Sample{}
			if err := codec.Unmarshal(raw, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode/by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = Sample{}
			decodeByHand(called, &s)
		}
	})
	b.Run("encode/codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := codec.AppendValue(dst, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode/by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encodeByHand(dst, &s)
		}
	})
}

// It is only worth something as long as both do the same.
func TestTheCodecByHandDoesWhatTheCodecDoes(t *testing.T) {
	var codec protocol.JSON
	var want, got Sample
	if err := codec.Unmarshal(protocol.Raw(called), &want); err != nil {
		t.Fatal(err)
	}
	if decodeByHand(called, &got); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v\n   want %+v", got, want)
	}
	text, err := codec.AppendValue(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	if got := encodeByHand(nil, &want); string(got) != string(text) {
		t.Errorf("encoded %s\n   want %s", got, text)
	}
}

// A cursor reads text whose form is known.
type cursor string

// until returns what stands before end, and passes both.
func (c *cursor) until(end string) string {
	i := strings.Index(string(*c), end)
	text := string(*c)[:i]
	*c = (*c)[i+len(end):]
	return text
}

// integer returns the number that stands before end.
func (c *cursor) integer(end byte) (n int64) {
	i, negative := 0, (*c)[0] == '-'
	if negative {
		i++
	}
	for ; (*c)[i] != end; i++ {
		n = n*10 + int64((*c)[i]-'0')
	}
	*c = (*c)[i+1:]
	if negative {
		return -n
	}
	return n
}

// pass passes a label.
func (c *cursor) pass(label string) { *c = (*c)[len(label):] }

func digits(text string) (n int) {
	for _, d := range []byte(text) {
		n = n*10 + int(d-'0')
	}
	return n
}

func decodeByHand(text string, s *Sample) {
	c := cursor(text)
	c.pass(`{"bool":`)
	s.Bool = c[0] == 't'
	c.until(`,`)
	c.pass(`"byte":`)
	s.Byte = byte(c.integer(','))
	c.pass(`"int":`)
	s.Int = int32(c.integer(','))
	c.pass(`"long":`)
	s.Long = c.integer(',')
	c.pass(`"double":`)
	s.Double, _ = strconv.ParseFloat(c.until(`,`), 64) // it is one
	c.pass(`"text":"`)
	s.Text = new(strings.Clone(c.until(`",`)))
	c.pass(`"guid":"`)
	id := c.until(`",`)
	var plain [32]byte
	n := copy(plain[:], id[:8])
	n += copy(plain[n:], id[9:13])
	n += copy(plain[n:], id[14:18])
	n += copy(plain[n:], id[19:23])
	copy(plain[n:], id[24:])
	_, _ = hex.Decode(s.Guid[:], plain[:]) // it is one
	c.pass(`"dateTime":"`)
	at := c.until(`",`)
	s.DateTime = protocol.DateTime{Kind: protocol.UTC, Time: time.Date(digits(at[:4]), time.Month(digits(at[5:7])), digits(at[8:10]),
		digits(at[11:13]), digits(at[14:16]), digits(at[17:19]), digits(at[20:23])*1_000_000, time.UTC)}
	c.pass(`"color":`)
	s.Color = Color(c.integer(','))
	c.pass(`"maybeInt":`)
	s.MaybeInt = new(int32(c.integer(',')))
	c.pass(`"list":[`)
	s.List = make([]int32, 0, strings.Count(string(c[:strings.IndexByte(string(c), ']')]), ",")+1)
	for list := cursor(c.until(`],`)) + `,`; list != ""; {
		s.List = append(s.List, int32(list.integer(',')))
	}
	c.pass(`"map":{"`)
	s.Map = make(map[string]string)
	for more := true; more; {
		key := c.until(`":"`)
		s.Map[strings.Clone(key)] = strings.Clone(c.until(`"`))
		if more = c[0] == ','; more {
			c.pass(`,"`)
		}
	}
}

func encodeByHand(dst []byte, s *Sample) []byte {
	dst = strconv.AppendBool(append(dst, `{"bool":`...), s.Bool)
	dst = strconv.AppendInt(append(dst, `,"byte":`...), int64(s.Byte), 10)
	dst = strconv.AppendInt(append(dst, `,"int":`...), int64(s.Int), 10)
	dst = strconv.AppendInt(append(dst, `,"long":`...), s.Long, 10)
	dst = append(dst, `,"float":0,"double":`...)
	dst = strconv.AppendFloat(dst, s.Double, 'g', -1, 64)
	dst = append(append(append(dst, `,"decimal":0,"text":"`...), *s.Text...), `","absent":null,"guid":"`...)
	dst = hex.AppendEncode(dst, s.Guid[:4])
	dst = hex.AppendEncode(append(dst, '-'), s.Guid[4:6])
	dst = hex.AppendEncode(append(dst, '-'), s.Guid[6:8])
	dst = hex.AppendEncode(append(dst, '-'), s.Guid[8:10])
	dst = hex.AppendEncode(append(dst, '-'), s.Guid[10:])
	dst = append(dst, `","dateTime":"`...)
	dst = s.DateTime.AppendFormat(dst, "2006-01-02T15:04:05.999Z")
	dst = append(dst, `","dateTimeOffset":"0001-01-01T00:00:00+00:00","timeSpan":"00:00:00","bytes":null,"color":`...)
	dst = strconv.AppendInt(dst, int64(s.Color), 10)
	dst = strconv.AppendInt(append(dst, `,"maybeInt":`...), int64(*s.MaybeInt), 10)
	dst = append(dst, `,"list":[`...)
	for i, n := range s.List {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	dst = append(dst, `],"map":{`...)
	for i, key := range []string{"Key", "a"} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(append(dst, '"'), key...), `":"`...), s.Map[key]...), '"')
	}
	return append(dst, `},"nested":null}`...)
}
