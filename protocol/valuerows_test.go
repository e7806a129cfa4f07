package protocol_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
)

// A valueRow is one of testdata/values: what ASP.NET Core or the JavaScript
// client writes for a value, or makes of what it reads.
type valueRow struct {
	Part, Protocol, Type, Value, Input, Note, Error, JSON, MessagePack, JSONError, MessagePackError, Options, Zone string
}

// key names a row in differences.txt.
func (r valueRow) key() string {
	if r.Part == "write" {
		return fmt.Sprintf("write %s %s", r.Type, r.Value)
	}
	key := fmt.Sprintf("read %s %s %s", r.Protocol, r.Type, r.Input)
	if as := cameAs.FindString(r.Note); as != "" {
		key += " " + as
	}
	if r.Zone != "" {
		key += " in " + r.Zone
	}
	return strings.ReplaceAll(key, "\n", `\n`)
}

// cameAs says that a value did not come as an argument.
var cameAs = regexp.MustCompile("as (upload item|client result)")

// valueRows are the rows of a file.
func valueRows(t *testing.T, name string) []valueRow {
	t.Helper()
	return testvectors.Lines[valueRow](t, "../testdata/values/"+name)
}

var runs = regexp.MustCompile(`<([^<>]+)\*(\d+)>`)

// whole writes the runs of a text out; ok is false where it is cut.
func whole(text string) (_ string, ok bool) {
	text = runs.ReplaceAllStringFunc(text, func(run string) string {
		m := runs.FindStringSubmatch(run)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return run
		}
		return strings.Repeat(m[1], n)
	})
	return text, !strings.Contains(text, "<...") && !cut.MatchString(text)
}

// cut is in the place of a text that is too long for the recordings.
var cut = regexp.MustCompile(`^\d+ (characters|bytes)`)

// hiddenInJSON are types of which JSON does not show all: the width of numbers in
// an object, and the items of a value tuple.
var hiddenInJSON = regexp.MustCompile(`object|^\(`)

// differences lists the rows that we do not meet: each must be in it, and one
// that is met again must be removed. It has lines of keys below a line with
// their reason, which begins with '#'.
type differences struct {
	t    *testing.T
	left map[string]bool
	met  []string
}

func loadDifferences(t *testing.T, part string) *differences {
	t.Helper()
	text, err := os.ReadFile("../testdata/values/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := &differences{t: t, left: make(map[string]bool)}
	reason := ""
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "#"):
			reason = line
		case strings.HasPrefix(line, part+" "):
			if reason == "" || d.left[line] {
				t.Errorf("differences.txt: %s: has no reason, or is there twice", line)
			}
			d.left[line] = true
		}
	}
	return d
}

// report says that a row is not met.
func (d *differences) report(key, format string, args ...any) {
	d.t.Helper()
	if slices.Contains(d.met, key) {
		return
	}
	d.met = append(d.met, key)
	if !d.left[key] {
		d.t.Errorf("%s\n\t%s", key, fmt.Sprintf(format, args...))
	}
	delete(d.left, key)
}

func (d *differences) end() {
	d.t.Helper()
	for key := range d.left {
		d.t.Errorf("differences.txt: %s: is none any more", key)
	}
}
