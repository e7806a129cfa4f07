package telemetry

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A recording is testdata/telemetry11.json.
type recording struct {
	Instruments []struct {
		Meter, Name, Kind, Number, Unit, Description string
		Buckets                                      []float64
	}
	Measures map[string]struct {
		Instrument string
		Tags       []tag
	}
	Shapes map[string]shape
	Steps  []*step
}

// A shape is what many activities share.
type shape struct {
	Operation, Display, Kind, Status, StatusText string
	Tags                                         []tag
	TagsAtStart                                  *int
}

// A step is what the clients saw and the server did.
type step struct {
	Step     string
	Notes    []any
	Unstable []string
	Server   struct {
		Measurements []struct {
			Shape string
			Value any
		}
		Activities []activity
		Current    [][2]*string
	}
}

// An activity is .NET's word for a span.
type activity struct {
	ID, Shape, State, Trace string
	Parent                  *string
	ParentIsRemote          bool
	Links                   []struct{ To string }
	Flags                   *int
	Baggage                 [][2]string
	Events                  []struct{ Name string }
	Stopped                 *int
}

// A tag is an attribute.
type tag struct{ key, value string }

func (t *tag) UnmarshalJSON(text []byte) error {
	var list []any
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) < 2 {
		return fmt.Errorf("a tag %s", text)
	}
	t.key, t.value = fmt.Sprint(list[0]), fmt.Sprint(list[1])
	return nil
}

func loadRecording(t *testing.T) *recording {
	t.Helper()
	text, err := os.ReadFile("testdata/telemetry11.json")
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// facts are what is compared of a step, a line each.
type facts struct{ notes, measurements, spans, current []string }

// differences returns the lines that only one of them has.
func (f facts) differences(want facts, unstable bool) (lines []string) {
	if unstable {
		f.spans, want.spans = withoutNumbers(f.spans), withoutNumbers(want.spans)
	}
	for _, part := range []struct{ got, want []string }{{f.notes, want.notes}, {f.measurements, want.measurements}, {f.spans, want.spans}, {f.current, want.current}} {
		lines = append(lines, lacks(part.want, part.got, "-")...)
		lines = append(lines, lacks(part.got, part.want, "+")...)
	}
	return lines
}

var number = regexp.MustCompile(`\b(http|connected|disconnected)\d+\b`)

// withoutNumbers leaves out of lines which of several spans it is.
func withoutNumbers(lines []string) []string {
	list := slices.Clone(lines)
	for i, line := range list {
		list[i] = number.ReplaceAllString(line, "$1")
	}
	return list
}

// lacks returns the lines of a that b does not have, as often as it does not.
func lacks(a, b []string, mark string) (lines []string) {
	left := slices.Clone(b)
	for _, line := range a {
		if i := slices.Index(left, line); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		lines = append(lines, mark+" "+line)
	}
	return lines
}

// isHTTP reports whether the activity is one of HTTP's own.
func (a *activity) isHTTP() bool { return strings.HasPrefix(a.ID, "http") }

// facts are those of a step of the recording.
func (r *recording) facts(s *step) (f facts) {
	for _, note := range s.Notes {
		f.notes = append(f.notes, fmt.Sprint(note))
	}
	for _, m := range s.Server.Measurements {
		what := r.Measures[m.Shape]
		if strings.HasPrefix(what.Instrument, "signalr.") {
			f.measurements = append(f.measurements, measurementLine(what.Instrument, fmt.Sprint(m.Value), what.Tags))
		}
	}
	for i := range s.Server.Activities {
		if a := &s.Server.Activities[i]; !a.isHTTP() {
			f.spans = append(f.spans, r.span(a).line())
		}
	}
	for _, c := range s.Server.Current {
		if c[1] == nil {
			f.current = append(f.current, *c[0]+" in none")
		} else {
			f.current = append(f.current, *c[0]+" in "+*c[1])
		}
	}
	return f
}

func measurementLine(instrument, value string, tags []tag) string {
	return fmt.Sprintf("%s %s %v", instrument, value, tags)
}

// A span is what is compared of one.
type span struct {
	id, name, kind, status, parent, trace, state string
	remote, ended                                bool
	sampled                                      bool
	atStart                                      int // attributes
	attributes                                   []tag
	links, events, baggage                       []string
}

func (s *span) line() string {
	slices.Sort(s.baggage)
	return fmt.Sprintf("%s %s, %s, status %q, parent %q remote %v, trace %s, links %v, attributes %v, at the start %d, events %v, state %q, baggage %q, sampled %v, ended %v",
		s.id, s.name, s.kind, s.status, s.parent, s.remote, s.trace, s.links, s.attributes, s.atStart, s.events, s.state, s.baggage, s.sampled, s.ended)
}

func (r *recording) span(a *activity) *span {
	shape := r.Shapes[a.Shape]
	s := &span{
		id: a.ID, name: shape.Display, kind: strings.ToLower(shape.Kind), status: strings.TrimSpace(shape.Status + " " + shape.StatusText),
		state: a.State, remote: a.ParentIsRemote, ended: a.Stopped != nil, attributes: shape.Tags, atStart: len(shape.Tags),
		trace: "new", sampled: a.Flags == nil || *a.Flags&1 != 0,
	}
	if a.Parent != nil {
		s.parent, s.trace = *a.Parent, "its parent's"
	}
	if a.Trace == "driver" {
		s.trace = "driver"
	}
	if shape.TagsAtStart != nil {
		s.atStart = *shape.TagsAtStart
	}
	for _, l := range a.Links {
		s.links = append(s.links, l.To)
	}
	for _, e := range a.Events {
		s.events = append(s.events, e.Name)
	}
	for _, b := range a.Baggage {
		s.baggage = append(s.baggage, b[0]+"="+b[1])
	}
	return s
}
