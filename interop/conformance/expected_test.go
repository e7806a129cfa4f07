package conformance

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

var update = flag.Bool("update", false, "write the lists of expected differences into ../README.md")

// expectations are a list such as expected.json: where our node differs from a
// release of ASP.NET Core on purpose.
type expectations struct {
	// Differs are scenarios that are played and must differ.
	Differs []struct {
		Reason string `json:"reason"`
		byRecorder
	} `json:"differs"`
	// Races are scenarios whose outcome depends on microseconds, on a node of
	// ASP.NET Core, too: they may differ.
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
	Refresh   []string `json:"refresh,omitempty"`
}

func (b byRecorder) of(recorder string) []string {
	switch recorder {
	case "http":
		return b.HTTP
	case "records":
		return b.Records
	case "dialogues":
		return b.Dialogues
	case "refresh":
		return b.Refresh
	}
	panic("unknown recorder " + recorder)
}

func loadExpectations(t *testing.T, name string) expectations {
	t.Helper()
	return harness.ReadJSON[expectations](t, name)
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

// render writes the list as the Markdown of interop/README.md.
func (e expectations) render() string {
	var b strings.Builder
	recorders := []string{"http", "records", "dialogues", "refresh"}
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

// A list of expected differences is in the README between these lines.
func listBegin(r release) string {
	return "<!-- " + r.list + " begins; written by: go test ./interop/conformance -run Readme -update -->\n"
}

func listEnd(r release) string { return "<!-- " + r.list + " ends -->\n" }

func TestReadmeShowsTheExpectedDifferences(t *testing.T) {
	for _, r := range releases {
		t.Run(r.name, func(t *testing.T) { readmeShows(t, r) })
	}
}

func readmeShows(t *testing.T, r release) {
	e := loadExpectations(t, r.list)
	for i, d := range e.Differs {
		if d.Reason == "" || len(d.HTTP)+len(d.Records)+len(d.Dialogues)+len(d.Refresh) == 0 {
			t.Errorf("%s, differs[%d] has no reason or no scenario", r.list, i)
		}
	}
	harness.ReadmeHas(t, listBegin(r), listEnd(r), e.render(), *update)
}
