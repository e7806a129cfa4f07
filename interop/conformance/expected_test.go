package conformance

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

// expectations is expected.json: where our node is not like ASP.NET Core, on
// purpose or for now.
type expectations struct {
	// Differs are scenarios that are played and must differ.
	Differs []struct {
		Reason string `json:"reason"`
		byRecorder
	} `json:"differs"`
	// Races are scenarios whose outcome is a matter of microseconds, on a node
	// of ASP.NET Core, too: they may differ.
	Races []struct {
		Reason string `json:"reason"`
		byRecorder
	} `json:"races"`
}

// byRecorder holds names, or words, for each of the recorders.
type byRecorder struct {
	HTTP      []string `json:"http,omitempty"`
	Records   []string `json:"records,omitempty"`
	Dialogues []string `json:"dialogues,omitempty"`
}

func (b byRecorder) of(recorder string) []string {
	switch recorder {
	case "http":
		return b.HTTP
	case "records":
		return b.Records
	case "dialogues":
		return b.Dialogues
	}
	panic("unknown recorder " + recorder)
}

func loadExpectations(t *testing.T) expectations {
	t.Helper()
	file, err := os.ReadFile("expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expectations
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatalf("expected.json: %v", err)
	}
	return e
}

// differing returns the reasons of the scenarios that must differ, by name.
func (e expectations) differing(recorder string) map[string]string {
	reasons := map[string]string{}
	for _, d := range e.Differs {
		for _, name := range d.of(recorder) {
			reasons[name] = d.Reason
		}
	}
	return reasons
}

// racing returns the reasons of the scenarios that may differ, by name.
func (e expectations) racing(recorder string) map[string]string {
	reasons := map[string]string{}
	for _, r := range e.Races {
		for _, name := range r.of(recorder) {
			reasons[name] = r.Reason
		}
	}
	return reasons
}

// render writes the list as the Markdown that stands in interop/README.md.
func (e expectations) render() string {
	var b strings.Builder
	recorders := []string{"http", "records", "dialogues"}
	for _, d := range e.Differs {
		fmt.Fprintf(&b, "%s\n\n", d.Reason)
		for _, recorder := range recorders {
			for _, name := range d.of(recorder) {
				fmt.Fprintf(&b, "- %s: %s\n", recorder, quoted(name))
			}
		}
		b.WriteString("\n")
	}
	if len(e.Differs) == 0 {
		b.WriteString("None.\n\n")
	}
	for _, r := range e.Races {
		fmt.Fprintf(&b, "May differ: %s\n\n", r.Reason)
		for _, recorder := range recorders {
			for _, name := range r.of(recorder) {
				fmt.Fprintf(&b, "- %s: %s\n", recorder, quoted(name))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// quoted sets name as code: on one line, between as many backquotes as it needs.
func quoted(name string) string {
	name = strings.NewReplacer("\n", "␊", "\r", "␍", "\x1e", "␞").Replace(name)
	fence := "`"
	for strings.Contains(name, fence) {
		fence += "`"
	}
	if strings.HasPrefix(name, "`") || strings.HasSuffix(name, "`") {
		name = " " + name + " "
	}
	return fence + name + fence
}

const (
	readme    = "../README.md"
	listBegin = "<!-- expected.json begins; written by: go test ./interop/conformance -run Readme -update -->\n"
	listEnd   = "<!-- expected.json ends -->\n"
)

func TestReadmeShowsTheExpectedDifferences(t *testing.T) {
	e := loadExpectations(t)
	for i, d := range e.Differs {
		if d.Reason == "" || len(d.HTTP)+len(d.Records)+len(d.Dialogues) == 0 {
			t.Errorf("expected.json, differs[%d] has no reason or no scenario", i)
		}
	}
	file, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(file), listBegin)
	_, after, ok2 := strings.Cut(rest, listEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has not the lines %q and %q", readme, listBegin, listEnd)
	}
	want := before + listBegin + "\n" + e.render() + listEnd + after
	if want == string(file) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show expected.json; run go test ./interop/conformance -run Readme -update", readme)
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
