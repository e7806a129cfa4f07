// Package recorded loads testdata/azure for tests: what the real app servers of
// Azure SignalR write, read and do. See testdata/azure/README.md.
package recorded

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// AccessKey signed all tokens that were recorded.
const AccessKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

// A Scenario is what happened between an app server, a service and clients.
type Scenario struct {
	Name   string
	Apps   []map[string]any // the options that each app was started with
	IDs    map[string]any   // what is new in every recording, by name
	Events []Event
}

// An Event is something that happened, in milliseconds since the start. Which
// members it has says what it is; the README lists them.
type Event struct {
	T      int
	From   string // "app" or "service"
	On     string // the service connection
	Type   int
	Name   string `json:"typeName"`
	Hex    string // a frame
	Odd    string // bytes that are no frame
	Text   string
	Step   string
	App    string
	Status int

	Members map[string]any
	Upgrade string
	Path    string
	Headers map[string]any
	Token   *Token
	Close   int
	Reason  string
	All     map[string]any `json:"-"` // every member, those above too
}

// A Token is what a recorded token says.
type Token struct {
	Header, Payload json.RawMessage
}

// UnmarshalJSON keeps what no field has.
func (e *Event) UnmarshalJSON(text []byte) error {
	type plain Event
	if err := decode(text, (*plain)(e)); err != nil {
		return err
	}
	return decode(text, &e.All)
}

// A Vector is a frame, or a buffer, and what the real codec says of it.
type Vector struct {
	Name    string
	Type    int
	Message string `json:"typeName"`
	Members map[string]any
	Hex     string
	Read    map[string]any // members that come back different
	Results []Result       // of parsing, one for each call
}

// A Result is what one call of the real parser gave. Stuck is its last.
type Result struct {
	Type       string
	Members    map[string]any
	Ignored    bool
	Exception  string
	Incomplete int
	Stuck      int
}

// Scenarios loads azure.json.
func Scenarios(tb testing.TB, path string) []Scenario { return load[Scenario](tb, path) }

// Vectors loads azure-vectors.json or azure-parsing.json.
func Vectors(tb testing.TB, path string) []Vector { return load[Vector](tb, path) }

func load[T any](tb testing.TB, path string) (list []T) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = decode(expand(text), &list)
	}
	if err != nil || len(list) == 0 {
		tb.Fatalf("%s: %d entries, %v", path, len(list), err)
	}
	return list
}

// decode keeps numbers as they are: tracing ids have 64 bits.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

var runs = regexp.MustCompile(`<(x|78)\*(\d+)>`)

// expand writes out the runs of x that the files have in short.
func expand(text []byte) []byte {
	return runs.ReplaceAllFunc(text, func(run []byte) []byte {
		m := runs.FindSubmatch(run)
		n, _ := strconv.Atoi(string(m[2])) // digits, by the expression
		return []byte(strings.Repeat(string(m[1]), n))
	})
}
