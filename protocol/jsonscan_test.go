package protocol

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
)

func TestTextIsPassedUpToTheFirstByteThatNeedsALook(t *testing.T) {
	for _, tt := range []struct {
		name    string
		passes  string // those beside the special ones, too
		special []string
		skip    func(b []byte) int
	}{
		{"skipPlain", " !#[]a~\x7f", []string{`"`, `\`, "\x00", "\x1f", "\x80", "\xff", "ä"}, func(b []byte) int { return skipPlain(b, 0) }},
		{"skipText", " !#[]~\x7f\x80\x9f\xa0\xa2\xdc\xff", []string{`"`, `\`, "\x00", "\x1f"}, func(b []byte) int { return skipText(b, 0) }},
	} {
		text := strings.Repeat(tt.passes, 4)
		for i, special := range tt.special {
			for before := range 20 {
				for after := range 10 {
					b := []byte(text[i:i+before] + special + text[before%8:before%8+after])
					if got := tt.skip(b); got != before {
						t.Errorf("%s(%q) = %d, want %d", tt.name, b, got, before)
					}
				}
			}
		}
		if b := []byte(text[:24]); tt.skip(b) != len(b) {
			t.Errorf("%s(%q) = %d, want all", tt.name, b, tt.skip(b))
		}
	}
}

// deepest is how many containers are open at most in JSON text.
func deepest(text []byte) int {
	d := json.NewDecoder(strings.NewReader(string(text)))
	depth, most := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
			most = max(most, depth)
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
}

// FuzzJSONScan holds the scanner against encoding/json: they take the same
// texts, except for those that nest too deeply.
func FuzzJSONScan(f *testing.F) {
	for _, v := range testvectors.Load(f, "../testdata/hubprotocol") {
		if v.Codec == "json" {
			f.Add([]byte(strings.TrimSuffix(v.Wire, "\x1e")))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := jsonScanner{b: text}
		got := s.value(0)
		if got {
			s.space()
			got = s.i == len(text)
		}
		want := json.Valid(text)
		if want && deepest(text) > maxJSONDepth {
			want = false
		}
		if got != want {
			t.Fatalf("value(%q) = %v, encoding/json says %v", text, got, want)
		}
		out, ok := appendJSONText(nil, text, maxJSONDepth)
		if ok && (!got || !json.Valid(out)) {
			t.Fatalf("appendJSONText(%q) = %q", text, out)
		}
	})
}

// Each integer is taken or refused as strconv does it, whatever its size, sign and number of digits.
func TestIntegersAreThoseOfStrconv(t *testing.T) {
	check := func(text string, bits int, target any, value func() int64) {
		err := decodeJSONInto([]byte(text), target)
		want, wantErr := strconv.ParseInt(text, 10, bits)
		switch {
		case (err == nil) != (wantErr == nil):
			t.Errorf("%s as int%d: error %v, want %v", text, bits, err, wantErr)
		case err == nil && value() != want:
			t.Errorf("%s as int%d = %d", text, bits, value())
		}
	}
	texts := []string{"0", "-0", "1.0", "1e2", "-1E0", "12.5", "99999999999999999999", "-99999999999999999999"}
	for shift := range 64 {
		for d := int64(-2); d <= 2; d++ {
			n := int64(1)<<shift + d
			texts = append(texts, strconv.FormatInt(n, 10), strconv.FormatInt(-n, 10), strconv.FormatUint(uint64(n), 10))
		}
	}
	for n, digits := int64(9), 1; digits <= 18; n, digits = n*10+9, digits+1 {
		texts = append(texts, strconv.FormatInt(n, 10), strconv.FormatInt(-n, 10), strconv.FormatInt(n+1, 10))
	}
	for _, text := range texts {
		var a int8
		var b int16
		var c int32
		var d int64
		check(text, 8, &a, func() int64 { return int64(a) })
		check(text, 16, &b, func() int64 { return int64(b) })
		check(text, 32, &c, func() int64 { return int64(c) })
		check(text, 64, &d, func() int64 { return d })
		var list struct{ List []int32 }
		if err := decodeJSONInto([]byte(`{"List":[`+text+`,7]}`), &list); err == nil && (len(list.List) != 2 || list.List[0] != c || list.List[1] != 7) {
			t.Errorf("a list of %s and 7 = %v", text, list.List)
		}
	}
}

// What is found wrong with a text by a look at its escapes alone is what is found by unescaping it.
func TestTextsAreCheckedAsTheyAreUnescaped(t *testing.T) {
	pieces := []string{`\u0041`, `\ud83d`, `\ude00`, `\uD800`, `\udfff`, `\\`, `\\u`, `u`, `\n`, `\"`, `d83d`, `x`, "é", `\/`}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var inner []byte
		for range 1 + random.IntN(6) {
			inner = append(inner, pieces[random.IntN(len(pieces))]...)
		}
		text := slices.Concat([]byte(`["\\",{"a":"`), inner, []byte(`"},"u0041"]`))
		s := jsonScanner{b: text}
		if !s.value(0) || s.i != len(text) {
			t.Fatalf("%s is no JSON", text)
		}
		_, want := unescape(nil, inner)
		if err := checkText(text); err != want && (err == nil || want == nil || err.Error() != want.Error()) {
			t.Fatalf("%s: %v, want %v", text, err, want)
		}
	}
}
