package protocol

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
)

func TestSkipPlainStopsAtTheFirstByteThatNeedsALook(t *testing.T) {
	plain := " !#[]a~\x7f" // those beside the special ones, too
	for i, special := range []string{`"`, `\`, "\x00", "\x1f", "\x80", "\xff", "ä"} {
		for before := range 20 {
			for after := range 10 {
				text := strings.Repeat(plain, 4)
				b := []byte(text[i:i+before] + special + text[before%8:before%8+after])
				if got := skipPlain(b, 0); got != before {
					t.Errorf("skipPlain(%q) = %d, want %d", b, got, before)
				}
			}
		}
	}
	if b := []byte(" !#[]~\x7f09azAZ"); skipPlain(b, 0) != len(b) {
		t.Errorf("skipPlain(%q) = %d, want all", b, skipPlain(b, 0))
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
