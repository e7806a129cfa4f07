package testvectors

import (
	"os"
	"path/filepath"
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
