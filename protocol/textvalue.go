package protocol

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/msgp"
)

// unquoted returns the text of the JSON string b, which is in b if it has no
// escapes. Values of .NET that travel as strings are refused in any other form,
// null included.
func unquoted(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != '"' {
		return nil, wrongKind(first(b))
	}
	s := jsonScanner{b: b}
	inner, plain, _ := s.str()
	return textBytes(inner, plain)
}

// first is the first byte of b, or 0.
func first(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// fields takes a text of digits and separators apart. ok turns false for good
// once something is missing.
type fields struct {
	s  []byte
	ok bool
}

// char passes c, which must come.
func (p *fields) char(c byte) {
	if !p.skip(c) {
		p.ok = false
	}
}

// skip passes c if it comes.
func (p *fields) skip(c byte) bool {
	if len(p.s) == 0 || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// digits reads a number of exactly n digits.
func (p *fields) digits(n int) int {
	before := len(p.s)
	number := p.number(n)
	p.ok = p.ok && before-len(p.s) == n
	return number
}

// number reads a number of one to n digits.
func (p *fields) number(n int) int {
	number, i := 0, 0
	for ; i < n && i < len(p.s) && p.s[i]-'0' <= 9; i++ {
		number = number*10 + int(p.s[i]-'0')
	}
	p.s = p.s[i:]
	p.ok = p.ok && i > 0
	return number
}

// fraction reads one to n digits of a second, of which seven count, and
// returns nanoseconds.
func (p *fields) fraction(n int) int {
	nanos, scale, i := 0, 100_000_000, 0
	for ; i < n && i < len(p.s) && p.s[i]-'0' <= 9; i++ {
		if scale >= 100 {
			nanos += int(p.s[i]-'0') * scale
			scale /= 10
		}
	}
	p.s = p.s[i:]
	p.ok = p.ok && i > 0
	return nanos
}

// A Guid is .NET's Guid. Both codecs write it as 36 characters in lower case;
// when it is read, case does not matter, but no other form is accepted. The
// bytes are in the order of the text.
type Guid [16]byte

// guidParts are where the parts of a Guid's text end, each but the last at a dash.
var guidParts = [...]int{8, 13, 18, 23, 36}

// ParseGuid reads the 36 characters of a Guid.
func ParseGuid(s string) (Guid, error) {
	var g Guid
	err := g.UnmarshalText([]byte(s))
	return g, err
}

// String returns the 36 characters of g.
func (g Guid) String() string {
	t := g.text()
	return string(t[:])
}

// MarshalText implements encoding.TextMarshaler.
func (g Guid) MarshalText() ([]byte, error) {
	t := g.text()
	return t[:], nil
}

func (g Guid) appendJSON(dst []byte) ([]byte, error) {
	t := g.text()
	return append(append(append(dst, '"'), t[:]...), '"'), nil
}

func (g Guid) text() (t [36]byte) {
	start, n := 0, 0 // of the text and of the bytes
	for _, end := range guidParts {
		n += hex.Encode(t[start:end], g[n:n+(end-start)/2]) / 2
		if end < len(t) {
			t[end] = '-'
		}
		start = end + 1
	}
	return t
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *Guid) UnmarshalText(text []byte) error {
	if len(text) != 36 {
		return errKind
	}
	var parsed Guid
	start, n := 0, 0
	for _, end := range guidParts {
		decoded, err := hex.Decode(parsed[n:], text[start:end])
		if err != nil || end < len(text) && text[end] != '-' {
			return errKind
		}
		start, n = end+1, n+decoded
	}
	*g = parsed
	return nil
}

// A Char is .NET's char: one unit of UTF-16. In JSON it is a string of one
// character, in MessagePack its number. Halves of surrogate pairs have no form
// in JSON.
type Char uint16

func (c Char) surrogate() bool { return c >= 0xd800 && c < 0xe000 }

// MarshalJSON implements json.Marshaler.
func (c Char) MarshalJSON() ([]byte, error) { return c.appendJSON(nil) }

func (c Char) appendJSON(dst []byte) ([]byte, error) {
	if c.surrogate() {
		return nil, errBadSurrogate(rune(c))
	}
	return appendJSONString(dst, string(rune(c))), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Char) UnmarshalJSON(b []byte) error {
	s, err := unquoted(b)
	if err != nil {
		return err
	}
	r, size := utf8.DecodeRune(s)
	if len(s) == 0 || size != len(s) || r > 0xffff {
		return errKind
	}
	*c = Char(r)
	return nil
}

func (c Char) appendMessagePack(dst []byte) ([]byte, error) {
	return msgp.AppendUint(dst, uint64(c)), nil
}

func (c *Char) readMessagePack(r mpReader) (mpReader, error) {
	u, ok := r.Unsigned(16)
	if !ok {
		return r, errKind
	}
	*c = Char(u)
	return r, nil
}
