// Package testvectors loads the files of testdata/hubprotocol for tests: records
// as real servers and clients put them on the wire.
package testvectors

import (
	"bufio"
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
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var list []Vector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		v, err := parse(lines.Bytes())
		if err != nil {
			tb.Fatalf("%s, line %d: %v", file, n, err)
		}
		list = append(list, v)
	}
	if err := lines.Err(); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return list
}

func parse(line []byte) (Vector, error) {
	var v struct {
		Vector
		Text string
		Hex  string
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Vector{}, err
	}
	b, err := hex.DecodeString(v.Hex)
	v.Wire = v.Text + string(b)
	return v.Vector, err
}
