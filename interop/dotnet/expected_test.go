package dotnet

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of expected differences into ../README.md")

// expectations is expected.json: cases in which our node differs from ASP.NET
// Core, so that the program's check fails.
type expectations []*expectation

type expectation struct {
	Scenario string `json:"scenario"`
	// Transport and Protocol bound it to some modes; empty means all.
	Transport string `json:"transport,omitempty"`
	Protocol  string `json:"protocol,omitempty"`
	Error     string `json:"error"` // part of what the case fails with
	Reason    string `json:"reason"`

	used bool
}

// of returns what is expected of a case, or nil.
func (list expectations) of(r result) *expectation {
	for _, e := range list {
		if e.Scenario == r.Scenario && (e.Transport == "" || e.Transport == r.Transport) && (e.Protocol == "" || e.Protocol == r.Protocol) {
			e.used = true
			return e
		}
	}
	return nil
}

func loadExpectations(t *testing.T, name string) expectations {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list expectations
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, e := range list {
		if e.Scenario == "" || e.Error == "" || e.Reason == "" {
			t.Errorf("%s has an entry without a scenario, an error or a reason: %+v", name, *e)
		}
	}
	return list
}

// render writes the list as the Markdown of interop/README.md.
func (list expectations) render() string {
	if len(list) == 0 {
		return "None.\n"
	}
	var b strings.Builder
	for _, e := range list {
		mode := ""
		if e.Transport != "" || e.Protocol != "" {
			mode = " (" + strings.TrimSpace(e.Transport+" "+e.Protocol) + ")"
		}
		fmt.Fprintf(&b, "- %s%s: %s\n", e.Scenario, mode, e.Reason)
	}
	return b.String()
}

const (
	readme    = "../README.md"
	listBegin = "<!-- dotnet/expected.json begins; written by: go test ./interop/dotnet -run Readme -update -->\n"
	listEnd   = "<!-- dotnet/expected.json ends -->\n"
)

func TestReadmeShowsTheExpectedDifferences(t *testing.T) {
	file, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(file), listBegin)
	_, after, ok2 := strings.Cut(rest, listEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has not the lines %q and %q", readme, listBegin, listEnd)
	}
	want := before + listBegin + "\n" + loadExpectations(t, "expected.json").render() + "\n" + listEnd + after
	if want == string(file) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show expected.json; run go test ./interop/dotnet -run Readme -update", readme)
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestExpectationsAreFoundByScenarioAndMode(t *testing.T) {
	list := expectations{{Scenario: "a", Transport: "LongPolling", Reason: "1"}, {Scenario: "a", Protocol: "json", Reason: "2"}, {Scenario: "b", Reason: "3"}}
	for _, tt := range []struct {
		name string
		of   result
		want string
	}{
		{name: "the first that fits counts", of: result{Scenario: "a", Transport: "LongPolling", Protocol: "json"}, want: "1"},
		{name: "an entry may be for one protocol", of: result{Scenario: "a", Transport: "WebSockets", Protocol: "json"}, want: "2"},
		{name: "another mode is not expected", of: result{Scenario: "a", Transport: "WebSockets", Protocol: "messagepack"}},
		{name: "an entry without a mode is for all", of: result{Scenario: "b", Transport: "WebSockets", Protocol: "messagepack"}, want: "3"},
		{name: "another scenario is not expected", of: result{Scenario: "c", Transport: "WebSockets", Protocol: "json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if e := list.of(tt.of); e != nil {
				got = e.Reason
			}
			if got != tt.want {
				t.Errorf("of(%s) = %q, want %q", tt.of.name(), got, tt.want)
			}
		})
	}
}
