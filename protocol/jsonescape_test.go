package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

func TestAppendJSONString(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text", "plain text", `"plain text"`},
		{"nothing", "", `""`},
		{"quotes and backslashes", `"\`, `"\"\\"`},
		{"short escapes", "\b\t\n\f\r", `"\b\t\n\f\r"`},
		{"other controls in upper case", "\x00\x0b\x1e\x1f\x7f", `"\u0000\u000B\u001E\u001F\u007F"`},
		{"what HTML would escape", "<>&'+/`", "\"<>&'+/`\""},
		{"letters of all scripts", "grüße מחרוזת 日本 Ω", `"grüße מחרוזת 日本 Ω"`},
		{"outside the basic plane", "🚀", `"\uD83D\uDE80"`},
		{"blanks that are no spaces", "\u00a0\u2028\u2029\u3000\u2003", `"\u00A0\u2028\u2029\u3000\u2003"`},
		{"private use and byte order marks", "\ue000\uf8ff\ufeff\ufffe", `"\uE000\uF8FF\uFEFF\uFFFE"`},
		{"format characters stay", "\u00ad\u200b\u200d\u180e", "\"\u00ad\u200b\u200d\u180e\""},
		{"the replacement character stays", "\ufffd", "\"\ufffd\""},
		{"bytes that are not UTF-8", "a\xffb\xe2\x82", `"a\uFFFDb\uFFFD\uFFFD"`},
		{"in the middle", "a\nb🚀c", `"a\nb\uD83D\uDE80c"`},
	} {
		if got := string(appendJSONString([]byte("x"), tt.in)); got != "x"+tt.want {
			t.Errorf("%s: appendJSONString(%q) = %s, want x%s", tt.name, tt.in, got, tt.want)
		}
		if got := string(appendJSONString(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("%s: appendJSONString of bytes %q = %s, want %s", tt.name, tt.in, got, tt.want)
		}
	}
}

// Wherever a character stands in a text it is written as by itself.
func TestACharacterIsEscapedWhereverItIs(t *testing.T) {
	for _, special := range []string{`"`, `\`, "\x00", "\x1f", "\x7f", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82", "\xff", "ä", "\u00a0", "\u07ff", "\u0800", "日", "\u2028", "\uffff", "🚀"} {
		var want strings.Builder
		for _, r := range special {
			switch {
			case r == utf8.RuneError:
				want.WriteString(`\uFFFD`)
			case r < 0x20 || r == 0x7f || r == 0xa0 || r == 0x2028 || r == 0xffff:
				fmt.Fprintf(&want, `\u%04X`, r)
			case r > 0xffff:
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(&want, `\u%04X\u%04X`, high, low)
			case r == '"' || r == '\\':
				want.WriteString(`\` + string(r))
			default:
				want.WriteRune(r)
			}
		}
		for before := range 20 {
			for after := range 10 {
				around := strings.Repeat(" !#[]a~@", 3)
				in := around[:before] + special + around[before%8:][:after]
				if got := string(appendJSONString(nil, in)); got != `"`+around[:before]+want.String()+around[before%8:][:after]+`"` {
					t.Errorf("appendJSONString(%q) = %s", in, got)
				}
			}
		}
	}
}

// The table was recorded; this finds slips in it by what Unicode says.
func TestBlockedCharactersAreThoseThatUnicodeSetsApart(t *testing.T) {
	for r := rune(0x80); r < 0x10000; r++ {
		isBlocked := blocked[r/64]&(1<<(r%64)) != 0
		switch {
		case utf8.ValidRune(r) && unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) && isBlocked:
			t.Errorf("%U is a letter, mark, number or sign, but blocked", r)
		case unicode.In(r, unicode.Cc, unicode.Co, unicode.Z) && !isBlocked:
			t.Errorf("%U is a control, private or a blank, but not blocked", r)
		}
	}
}

func TestEveryStringComesBack(t *testing.T) {
	var b strings.Builder
	for r := rune(0); r < 0x20000; r++ {
		if utf8.ValidRune(r) {
			b.WriteRune(r)
		}
	}
	written := appendJSONString(nil, b.String())
	var byStandard string
	if err := json.Unmarshal(written, &byStandard); err != nil || byStandard != b.String() {
		t.Errorf("encoding/json reads something else, error %v", err)
	}
	s := jsonScanner{b: written}
	inner, plain, ok := s.str()
	if got, err := text(inner, plain); !ok || err != nil || got != b.String() || s.i != len(written) {
		t.Errorf("text of what was written is another one, error %v", err)
	}
}

func TestAppendJSONText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{` { "a" : [ 1 , true ] } ` + "\n", `{"a":[1,true]}`},
		{`"\u003c\u00e9\/\ud83d\ude80\u2028"`, `"<é/\uD83D\uDE80\u2028"`},
		{"\"\x7f\"", `"\u007F"`},
		{`"🚀"`, `"\uD83D\uDE80"`},
		{`{"\u0061":"b"}`, `{"a":"b"}`},
	} {
		if got, ok := appendJSONText([]byte("x"), []byte(tt.in), 64); !ok || string(got) != "x"+tt.want {
			t.Errorf("appendJSONText(%q) = %q, %v, want x%q", tt.in, got, ok, tt.want)
		}
	}
	for _, in := range []string{"", " ", "1 2", "[1", `"\ud800"`, "nul", "[[]]", "{\"a\":{}}", "\x001"} {
		if got, ok := appendJSONText(nil, []byte(in), 1); ok {
			t.Errorf("appendJSONText(%q, depth 1) = %q, want a refusal", in, got)
		}
	}
}
