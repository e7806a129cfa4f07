package autobahn

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// samples are texts, good and bad; what UTF-8 is decides.
var samples = []string{
	"", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε",
	"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
	// The first and the last of each length, and what is no character.
	"\x00", "\u0080", "\u0800", "\U00010000", "\x7f", "\u07ff", "\uffff", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\ufdd0", "\U0001fffe",
	// Longer than UTF-8 goes, and beyond its last.
	"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf", "\xf4\x90\x80\x80",
	// Single bytes that are no character.
	"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\xc0 \xc1 ", "\xe0 \xe1 ", "\xf0 \xf1 ", "\xf8 ", "\xfc ", "\xfe", "\xff", "\xfe\xfe\xff\xff",
	// Characters cut short.
	"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf",
	// Longer than need be.
	"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80", "\xe0\x80\x80",
	// Halves of UTF-16.
	"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "a\xed\xa0\x80\xed\xb0\x80b",
}

func texts() (cases []testCase) {
	all := samples
	for cut := 1; cut < len("κόσμε"); cut++ {
		all = append(all[:len(all):len(all)], "κόσμε"[:cut])
	}
	for i, s := range all {
		cases = append(cases, text(fmt.Sprintf("%d: %+q", i, s), s)...)
	}
	for i, s := range []string{strings.Repeat("ab", 20000) + "\xe2\x82", strings.Repeat("€", 6000) + "\xff"} {
		cases = append(cases,
			refused(fmt.Sprintf("long %d", i), one(frame(0x81, []byte(s))), 1007),
			refused(fmt.Sprintf("long %d, in pieces", i), chop(frame(0x81, []byte(s)), 1000), 1007))
	}
	good, bad := []byte("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"), []byte("\xf4\x90\x80\x80")
	return append(cases,
		// The server may refuse it before its end.
		refused("a message without its end", [][]byte{frame(1, good), frame(0, bad)}, 1007),
		refused("a frame without its end", [][]byte{frame(0x81, append(append(good[:len(good):len(good)], bad...), "edited"...))[:6+15]}, 1007),
		echoed("binary may be anything", one(frame(0x82, []byte("\xff\xfe\xed\xa0\x80"))), []byte("\xff\xfe\xed\xa0\x80")))
}

// text is a text as a whole, byte by byte, and with a frame for each byte.
func text(name, s string) []testCase {
	b := []byte(s)
	ways := map[string][][]byte{"": one(frame(0x81, b)), ", byte by byte": chop(frame(0x81, b), 1)}
	if len(b) > 0 {
		var frames [][]byte
		for i, x := range b {
			first := byte(0)
			if i == 0 {
				first = 1
			}
			if i == len(b)-1 {
				first |= 0x80
			}
			frames = append(frames, frame(first, []byte{x}))
		}
		ways[", frames of a byte"] = one(frames...)
	}
	var cases []testCase
	for way, writes := range ways {
		if utf8.ValidString(s) {
			cases = append(cases, echoed(name+way, writes, b))
		} else {
			cases = append(cases, refused(name+way, writes, 1007))
		}
	}
	return cases
}
