// Package testvectors loads files of testdata for tests: records as real servers
// and clients put them on the wire.
package testvectors

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Directions of a vector.
const (
	Both   = "both"   // decodes, and encodes again to the same bytes
	Decode = "decode" // decodes
	Error  = "error"  // is refused
)

// Codecs of a vector that are no hub protocols.
const (
	Handshake         = "handshake"
	HandshakeResponse = "handshake response"
)

// longestLine bounds a line of a file, in bytes.
const longestLine = 1 << 20

// A Vector is one record or frame, with its framing.
type Vector struct {
	Name      string
	Codec     string // "json", "messagepack", Handshake or HandshakeResponse
	Source    string // where it comes from
	Direction string
	Wire      string // its bytes

	ErrorType, ErrorText string // of an Error
}

// Load returns the vectors of all .jsonl files in dir, in order of file names
// and lines. It fails the test if there are none, or if a line is not a vector.
func Load(tb testing.TB, dir string) []Vector {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no vectors in %s: %v", dir, err)
	}
	var all []Vector
	for _, file := range files {
		all = append(all, loadFile(tb, file)...)
	}
	return all
}

func loadFile(tb testing.TB, file string) []Vector {
	tb.Helper()
	var list []Vector
	type record struct {
		Vector
		Text, Hex string
	}
	for n, line := range Lines[record](tb, file) {
		b, err := hex.DecodeString(line.Hex)
		if err != nil {
			tb.Fatalf("%s, vector %d: %v", file, n+1, err)
		}
		line.Wire = line.Text + string(b)
		list = append(list, line.Vector)
	}
	return list
}

// Lines returns the JSON objects of a file that has each on a line of its own: a
// .jsonl file, or an array in a .json file. It fails the test if there is none, or
// if a line is not a T. Members that T does not have are ignored.
func Lines[T any](tb testing.TB, file string) []T {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var list []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, longestLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSuffix(bytes.TrimSpace(lines.Bytes()), []byte(","))
		if len(text) == 0 || string(text) == "[" || string(text) == "]" {
			continue
		}
		var one T
		if err := json.Unmarshal(text, &one); err != nil {
			tb.Fatalf("%s, line %d: %v", file, n, err)
		}
		list = append(list, one)
	}
	if err := lines.Err(); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	if len(list) == 0 {
		tb.Fatalf("%s has no objects", file)
	}
	return list
}
