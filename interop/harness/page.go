package harness

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository: the packages of interop are two folders below it.
const root = "../.."

var fenced = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")

// Blocks returns the blocks of code of a page in one language, in their order. The
// page is named by its path in the repository; one without such a block ends the test.
func Blocks(t testing.TB, page, language string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return found
}

// ReadmeHas fails the test unless interop/README.md has text between the lines begin
// and end, of which begin says how it is written. With update it is written.
func ReadmeHas(t testing.TB, begin, end, text string, update bool) {
	t.Helper()
	const readme = root + "/interop/README.md"
	file, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(file), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not the lines %q and %q", readme, begin, end)
	}
	want := before + begin + "\n" + text + end + after
	if want == string(file) {
		return
	}
	if !update {
		t.Fatalf("%s is out of date below %s", readme, begin)
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
