package testvectors

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestEveryVectorIsComplete(t *testing.T) {
	seen := make(map[string]int)
	for _, v := range Load(t, "../../testdata/hubprotocol") {
		seen[v.Codec+" "+v.Direction]++
		if v.Name == "" || v.Source == "" || v.Wire == "" {
			t.Errorf("vector %+v lacks its name, source or bytes", v)
		}
		if (v.Direction == Error) != (v.ErrorText != "") {
			t.Errorf("vector %q has direction %q and error %q", v.Name, v.Direction, v.ErrorText)
		}
	}
	for _, kind := range []string{"json both", "json decode", "json error", "messagepack both", "messagepack decode", "messagepack error", "handshake both"} {
		if seen[kind] == 0 {
			t.Errorf("no vector is %q; there are %v", kind, seen)
		}
	}
}

func TestLoadReadsTextAndHex(t *testing.T) {
	dir := t.TempDir()
	lines := `{"name":"a","codec":"json","source":"s","direction":"both","text":"{}\u001e"}` + "\n" +
		`{"name":"b","codec":"messagepack","source":"s","direction":"error","hex":"91ff","errorType":"T","errorText":"x"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "v.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got := Load(t, dir)
	want := []Vector{
		{Name: "a", Codec: "json", Source: "s", Direction: Both, Wire: "{}\x1e"},
		{Name: "b", Codec: "messagepack", Source: "s", Direction: Error, Wire: "\x91\xff", ErrorType: "T", ErrorText: "x"},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
}

// A recorder is told how a test would end.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestLinesReadsObjectsAndFailsForWhatIsNone(t *testing.T) {
	type point struct{ X int }
	for _, tt := range []struct {
		name, text, failure string
		want                []point
	}{
		{name: "an array", text: "[\n  {\"x\": 1, \"other\": 2},\n  {\"x\": 3}\n]\n", want: []point{{1}, {3}}},
		{name: "one object a line", text: "{\"x\":1}\n\n{\"x\":3}", want: []point{{1}, {3}}},
		{name: "another type", text: "{\"x\":1}\n{\"x\":\"a\"}\n", failure: "line 2"},
		{name: "half an object", text: "{\"x\":\n1}\n", failure: "line 1"},
		{name: "no object", text: "[\n]\n", failure: "no objects"},
		{name: "a line that is none", text: "{\"x\":1}\nx\n", failure: "line 2"},
		{name: "a line that is too long", text: `{"x":1, "other": "` + strings.Repeat("x", longestLine) + `"}`, failure: "too long"},
		{name: "no file", failure: "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "f.json")
			if tt.text != "" {
				if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := &recorder{TB: t}
			var got []point
			var wait sync.WaitGroup
			wait.Go(func() { got = Lines[point](r, file) })
			wait.Wait()
			if !slices.Equal(got, tt.want) || !strings.Contains(r.failure, tt.failure) || (tt.failure == "") != (r.failure == "") {
				t.Errorf("Lines = %v, failure %q, want %v, %q", got, r.failure, tt.want, tt.failure)
			}
		})
	}
}
