package protocol

import (
	"encoding/json"
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
