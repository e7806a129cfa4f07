package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/jwtbearer"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows returns the cells of the tables of a page, row by row.
func rows(t *testing.T, page string) (found [][]string) {
	t.Helper()
	for line := range strings.Lines(read(t, page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|---") {
			found = append(found, strings.Split(strings.Trim(line, "|"), " | "))
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no table", page)
	}
	return found
}

// Every option is in a table of the page. Defaults are compared in package server.
func TestEveryOptionIsInThePageOfLimits(t *testing.T) {
	var cells strings.Builder
	for _, row := range rows(t, "docs/limits.md") {
		cells.WriteString(row[0] + " " + row[min(1, len(row)-1)] + "\n")
	}
	for _, options := range []struct {
		prefix string
		value  any
	}{
		{"", server.Options{}}, {"Endpoint.", server.EndpointOptions{}}, {"", server.AdmissionOptions{}}, {"Drain.", server.DrainOptions{}},
		{"", server.RateLimitOptions{}}, {"", server.Rate{}},
		{"", backplane.Options{}}, {"", jwtbearer.Options{}},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(options.value)) {
			if name := options.prefix + field.Name; !strings.Contains(cells.String(), "`"+name+"`") {
				t.Errorf("docs/limits.md does not have %s of %T", name, options.value)
			}
		}
	}
}

// Every page of docs is in the index.
func TestEveryPageIsInTheIndex(t *testing.T) {
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	index := read(t, "docs/README.md")
	for _, page := range pages {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not have %s", name)
		}
	}
}

// What the page of troubles quotes is said by our code or by the official
// client. A text is in backquotes, "…" is in the place of what differs.
func TestTextsOfTroubleshootingAreThoseThatUsersSee(t *testing.T) {
	said := sources(t, root, "server", ".go") + sources(t, root, "internal", ".go") + sources(t, root, "backplane", ".go") +
		sources(t, harness.Modules(t, "."), "node_modules/@microsoft/signalr/dist/esm", ".js")
	quoted := regexp.MustCompile("`([^`]*)`")
	checked := 0
	for _, row := range rows(t, "docs/troubleshooting.md") {
		for _, text := range quoted.FindAllStringSubmatch(row[0], -1) {
			if !strings.Contains(text[1], " ") || strings.HasPrefix(text[1], "TypeError") {
				continue // a name, or a browser's own
			}
			for part := range strings.SplitSeq(text[1], "…") {
				if part = strings.Trim(part, " ':"); len(part) > 3 && !saidBy(said, part) {
					t.Errorf("nobody says %q of %q", part, text[1])
				}
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("%d texts were checked, want 40 at least", checked)
	}
}

// ownTexts are not in the sources that the test reads: they are composed there,
// or of a browser and of the system.
var ownTexts = []string{"Failed to fetch", "connection refused", "Warning:", "'404"}

func saidBy(said, part string) bool {
	for _, own := range ownTexts {
		part = strings.TrimSpace(strings.ReplaceAll(part, own, ""))
	}
	return strings.Contains(said, part)
}

// sources are the texts of the files below a folder, but for tests; strings
// that are put together with " +" are joined.
func sources(t *testing.T, base, folder, extension string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(base, folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, extension) || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`["`+"`"+`]\s*\+\s*["`+"`"+`]`).ReplaceAllString(all.String(), "")
}
