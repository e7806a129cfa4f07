package protocol

import (
	"encoding/binary"
	"math/bits"
)

// maxJSONDepth is how many objects and arrays may be open at once, the
// envelope included. Source: docs/reference/hub-protocol.md, section 2.3.
const maxJSONDepth = 64

// A jsonScanner walks over JSON text and checks every byte that it passes.
// Its methods report false where the text is not JSON; i is then at or
// near the offending byte.
type jsonScanner struct {
	b []byte
	i int
}

// space passes blanks.
func (s *jsonScanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// next passes blanks and returns the byte after them without passing it; it
// returns 0, which no token starts with, at the end. There are no blanks as a rule:
// BenchmarkPayloads/page_of_100_orders takes 1.09 times as long to decode where they are
// looked for by a call.
func (s *jsonScanner) next() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' { // nearly always
		return s.b[s.i]
	}
	return s.afterBlanks()
}

func (s *jsonScanner) afterBlanks() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// value passes one value, where open arrays and objects are open around it.
func (s *jsonScanner) value(open int) bool {
	var objects uint64 // one bit for each container opened here, the innermost lowest
	depth := 0
	for {
		switch c := s.next(); c {
		case '{', '[':
			if open+depth >= maxJSONDepth {
				return false
			}
			s.i++
			if s.next() == c+2 { // '}' or ']'
				s.i++
				break
			}
			depth++
			objects <<= 1
			if c == '{' {
				objects |= 1
				if !s.key() {
					return false
				}
			}
			continue
		default:
			if !s.scalar(c) {
				return false
			}
		}
		for { // after a value
			if depth == 0 {
				return true
			}
			c := s.next()
			object := objects&1 == 1
			if c == ',' {
				s.i++
				if object && !s.key() {
					return false
				}
				break
			}
			if c != '}' && c != ']' || (c == '}') != object {
				return false
			}
			s.i++
			depth--
			objects >>= 1
		}
	}
}

// scalar passes the string, number or literal that starts with c.
func (s *jsonScanner) scalar(c byte) bool {
	switch c {
	case '"':
		_, _, ok := s.str()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *jsonScanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return false
	}
	s.i += len(word)
	return s.delimited()
}

// delimited reports whether a number or literal may end here.
func (s *jsonScanner) delimited() bool {
	if s.i == len(s.b) {
		return true
	}
	switch s.b[s.i] {
	case ',', ':', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

func (s *jsonScanner) number() bool {
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	start := s.i
	if !s.digits() || s.b[start] == '0' && s.i > start+1 {
		return false
	}
	if s.i < len(s.b) && s.b[s.i] == ',' { // nearly always
		return true
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return false
		}
	}
	return s.delimited()
}

// digits passes one digit or more.
func (s *jsonScanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > start
}

// key passes the name of a member and its colon.
func (s *jsonScanner) key() bool {
	if s.next() != '"' {
		return false
	}
	if _, _, ok := s.str(); !ok {
		return false
	}
	return s.colon()
}

func (s *jsonScanner) colon() bool {
	if s.next() != ':' {
		return false
	}
	s.i++
	return true
}

// str passes a string, which starts at i, and returns what is between its
// quotes. plain says that it is printable ASCII without escapes; where it is
// not, text decodes it.
func (s *jsonScanner) str() (inner []byte, plain, ok bool) {
	start := s.i + 1
	i := skipPlain(s.b, start)
	if i < len(s.b) && s.b[i] == '"' { // nearly always
		s.i = i + 1
		return s.b[start:i], true, true
	}
	return s.longStr(start, i)
}

// longStr is str from i on, where what is not plain begins.
func (s *jsonScanner) longStr(start, i int) (inner []byte, plain, ok bool) {
	for i < len(s.b) {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:i], false, true
		case c == '\\':
			n := escapeLen(s.b[i:])
			if n == 0 {
				s.i = i
				return nil, false, false
			}
			i += n
		case c < 0x20:
			s.i = i
			return nil, false, false
		}
		i = skipText(s.b, i)
	}
	s.i = len(s.b)
	return nil, false, false
}

// skipPlain returns the index of the first byte from i on that is a quote, a
// backslash, a control character or not ASCII.
func skipPlain(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// A borrow reaches only bytes after the one that it is of, so the lowest bit is right.
		if found := (w | (w - ones*0x20) | (quote - ones) | (slash - ones)) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
		i += 8
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// skipText is skipPlain that passes what is not ASCII, too.
func skipText(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if found := ((w - ones*0x20) | (quote - ones) | (slash - ones)) &^ w & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
		i += 8
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// escapeLen returns the length of the escape sequence at the start of b, or 0
// where there is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads the digits of a \uXXXX escape; it returns -1 where b is not one.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		r <<= 4
		switch {
		case c-'0' <= 9:
			r |= rune(c - '0')
		case (c|0x20)-'a' <= 5:
			r |= rune((c|0x20)-'a') + 10
		default:
			return -1
		}
	}
	return r
}
