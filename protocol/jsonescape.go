package protocol

import (
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// appendJSONString appends s with its quotes, escaped exactly as ASP.NET Core
// escapes envelopes and values: '<', '>', '&', apostrophes and letters of all
// scripts are written as they are; characters outside the Basic Multilingual
// Plane and those of blockedRanges are not. Bytes that are not UTF-8 become
// U+FFFD.
//
// Source: docs/reference/hub-protocol.md, section 2.2.
func appendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] is written
	for i := plainASCII(s, 0); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			dst = append(dst, s[done:i]...)
			dst = appendASCIIEscape(dst, c)
			done = i + 1
			i = plainASCII(s, done)
			continue
		}
		// Nearly all letters of other scripts have two or three bytes: no call for these.
		var r rune
		n := 0
		if c&0xe0 == 0xc0 && len(s)-i >= 2 && s[i+1]&0xc0 == 0x80 {
			r, n = rune(c&0x1f)<<6|rune(s[i+1]&0x3f), 2
		} else if c&0xf0 == 0xe0 && len(s)-i >= 3 && s[i+1]&0xc0 == 0x80 && s[i+2]&0xc0 == 0x80 {
			r, n = rune(c&0x0f)<<12|rune(s[i+1]&0x3f)<<6|rune(s[i+2]&0x3f), 3
		}
		if r < 0x80 || n == 3 && r < 0x800 || utf16.IsSurrogate(r) {
			// The conversion of at most four bytes does not allocate.
			r, n = utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		}
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[done:i]...)
			dst = append(dst, `\uFFFD`...)
			done = i + n
		case r > 0xffff:
			dst = append(dst, s[done:i]...)
			high, low := utf16.EncodeRune(r)
			dst = appendHexEscape(appendHexEscape(dst, high), low)
			done = i + n
		case blocked[r/64]&(1<<(r%64)) != 0:
			dst = append(dst, s[done:i]...)
			dst = appendHexEscape(dst, r)
			done = i + n
		}
		if i += n; i < len(s) && s[i] < utf8.RuneSelf {
			i = plainASCII(s, i)
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// plainASCII returns the index of the first byte of s from i on that is not ASCII, or
// ASCII that is escaped; else the length of s.
func plainASCII[T string | []byte](s T, i int) int {
	last := len(s) - 8
	for ; i <= last; i += 8 {
		if found := notPlain(eightBytes(s, i)); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	if last >= 0 {
		// The last bytes, with zeros behind them: the first of these ends the search.
		return i + bits.TrailingZeros64(notPlain(eightBytes(s, last)>>(8*(i-last))))/8
	}
	for i < len(s) && s[i] < utf8.RuneSelf && !escapedASCII[s[i]] {
		i++
	}
	return i
}

// eightBytes returns those of s from i on, the first lowest.
func eightBytes[T string | []byte](s T, i int) uint64 {
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

// notPlain returns a word whose lowest bit that is set is the high one of the first byte of
// w that is not ASCII, or ASCII that is escaped. A byte that is equal to another leaves 0
// when the two are combined, one below 0x20 borrows when that is taken away, and 0x7f and
// what is not ASCII have their high bit set after 1 is added. What is carried reaches only
// bytes after the one that it is of, so the first that is found is right.
func notPlain(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return (w | (w + ones) | (w - ones*0x20) | (quote - ones) | (slash - ones)) & highs
}

// escapedASCII are the ASCII characters that are not written as they are.
var escapedASCII = func() (escaped [utf8.RuneSelf]bool) {
	for c := range escaped {
		escaped[c] = c < 0x20 || c == 0x7f || c == '"' || c == '\\'
	}
	return escaped
}()

func appendASCIIEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return appendHexEscape(dst, rune(c))
}

func appendHexEscape(dst []byte, r rune) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// appendJSONText appends the JSON text src without blanks, with its strings
// escaped as appendJSONString does. It returns dst and false where src is not
// one JSON value, or nests deeper than depth.
func appendJSONText(dst, src []byte, depth int) (_ []byte, ok bool) {
	s := jsonScanner{b: src}
	if !s.value(maxJSONDepth - depth) {
		return dst, false
	}
	end := s.i
	if s.next() != 0 || s.i != len(src) {
		return dst, false
	}
	for s.i = 0; s.i < end; {
		switch c := src[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		case '"':
			start := s.i
			inner, plain, _ := s.str()
			if plain && !hasDelete(inner) {
				dst = append(dst, src[start:s.i]...)
				continue
			}
			clean, err := unescape(make([]byte, 0, len(inner)), inner)
			if err != nil {
				return dst, false
			}
			dst = appendJSONString(dst, clean)
		default:
			dst = append(dst, c)
			s.i++
		}
	}
	return dst, true
}

// hasDelete reports the one ASCII character that is legal in JSON but escaped.
func hasDelete(b []byte) bool {
	for _, c := range b {
		if c == 0x7f {
			return true
		}
	}
	return false
}
