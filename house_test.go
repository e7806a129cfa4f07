package hubwire_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hubwire/hubwire"

// allowed says which top folders of ours, or which packages, the packages of a
// top folder import.
var allowed = map[string][]string{
	"protocol":  {"protocol", "internal/msgp"},
	"server":    {"server", "protocol", "internal/members", "internal/replay", "internal/transport", "internal/seam", "internal/rescue", "internal/admission", "internal/rate", "internal/instruments"},
	"azure":     {"azure", "server", "protocol", "backplane", "internal"},
	"backplane": {"backplane", "server", "protocol", "internal/msgp", "internal/members", "internal/fleet", "internal/rescue", "internal/transport", "internal/instruments"},
	"hubtest":   {"hubtest", "server", "protocol", "internal/hubclient", "internal/memnet"},
	"cmd":       {"cmd", "azure", "backplane", "server", "protocol", "hubtest", "internal/hubclient", "internal/npm"}, // the demo has clients and builds its page
	"interop":   {"interop", "azure", "backplane", "server", "protocol", "hubtest", "internal/hubclient", "internal/npm", "internal/testport", "cmd/demo/angular"},
	"internal":  {"internal", "protocol"},
	"examples":  {"backplane", "server", "protocol", "hubtest"},
}

// testOnly are modules and packages that users of the library never link.
var testOnly = []string{
	"github.com/philippseith/signalr",
	"github.com/alicebob/miniredis/v2",
	"github.com/yuin/gopher-lua",
	"go.uber.org/goleak",
	module + "/internal/testvectors",
	module + "/internal/testcert",
	module + "/internal/testport",
	module + "/internal/race",
}

func TestPackagesImportInOneDirection(t *testing.T) {
	for line := range strings.SplitSeq(list(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./..."), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		from, ok := strings.CutPrefix(words[0], module+"/")
		if !ok {
			continue
		}
		folder := topFolder(from)
		if allowed[folder] == nil {
			t.Errorf("%s is in a folder that the layout does not know", from)
		}
		for _, imported := range words[1:] {
			to, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.Contains(allowed[folder], topFolder(to)) && !slices.Contains(allowed[folder], to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

func TestUsersDoNotLinkWhatOnlyTestsNeed(t *testing.T) {
	packages := []string{"./protocol/...", "./server/..."}
	if strings.Contains(list(t, "{{.ImportPath}}", "./..."), module+"/backplane\n") {
		packages = append(packages, "./backplane/...")
	}
	for _, p := range packages {
		deps := list(t, "{{.ImportPath}}", "-deps", p)
		for _, m := range testOnly {
			if strings.Contains(deps, m) {
				t.Errorf("%s depends on %s", p, m)
			}
		}
	}
	deps := list(t, "{{.ImportPath}}", "-deps", "./server", "./protocol")
	for _, m := range []string{"github.com/redis/go-redis", "github.com/golang-jwt/jwt", "go.opentelemetry.io"} {
		if strings.Contains(deps, m) {
			t.Errorf("server depends on %s: who runs one node must not link it", m)
		}
	}
}

// indirectModules is how many modules a user's go.mod gets from us, who uses
// all there is, beside those that the user's own code imports, too.
const indirectModules = 6

func TestUsersGetFewModules(t *testing.T) {
	packages := []string{"./protocol", "./server", "./server/jwtbearer", "./server/hubgen", "./server/lifetimetest", "./backplane", "./hubtest"}
	found := strings.Fields(list(t, "{{with .Module}}{{.Path}}{{end}}", append([]string{"-deps"}, packages...)...))
	slices.Sort(found)
	found = slices.DeleteFunc(slices.Compact(found), func(m string) bool {
		// backplane.New takes a client of go-redis.
		return m == module || strings.HasPrefix(m, "github.com/redis/go-redis/")
	})
	if len(found) > indirectModules {
		t.Errorf("%d modules, want at most %d: %q", len(found), indirectModules, found)
	}
}

func topFolder(path string) string {
	folder, _, _ := strings.Cut(path, "/")
	return folder
}

func list(t *testing.T, format string, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-f", format}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The server of the README is server's Example, word for word, and compiles as
// it stands.
func TestReadmeShowsTheExample(t *testing.T) {
	_, rest, found := strings.Cut(readme(t), "```go\npackage main\n")
	program, _, closed := strings.Cut("package main\n"+rest, "```")
	if !found || !closed {
		t.Fatal("README.md has no program")
	}
	if lines := strings.Count(program, "\n"); lines > 36 {
		t.Errorf("the program of README.md has %d lines", lines)
	}
	_, code, found := strings.Cut(program, ")\n\n")
	if !found {
		t.Fatalf("no code behind the imports of\n%s", program)
	}
	example, err := os.ReadFile(filepath.Join("server", "example_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(code, "func main() {", "func Example() {", 1); !strings.Contains(string(example), want) {
		t.Errorf("server/example_test.go does not have the code of README.md:\n%s", want)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("go vet of the program of README.md: %v\n%s", err, out)
	}
}

// What the README and the documents call a proof exists.
func TestReadmeNamesTestsThatExist(t *testing.T) {
	var code strings.Builder
	for path, text := range goFiles(t) {
		if strings.HasSuffix(path, "_test.go") {
			code.WriteString(text)
		}
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "README.md", "SECURITY.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`).FindAllString(outside(string(text)), -1) {
			if !strings.Contains(code.String(), "\nfunc "+name+"(") {
				t.Errorf("%s names %s, which is no test", document, name)
			}
		}
		for _, path := range regexp.MustCompile("`((?:backplane|cmd|deploy|docs|hubtest|internal|interop|protocol|server|\\.ci)/[\\w./]+)`").FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(path[1]); err != nil {
				t.Errorf("%s names %s: %v", document, path[1], err)
			}
		}
	}
	if proof, err := os.ReadFile("docs/proof.md"); err != nil || !regexp.MustCompile(`\bTest[A-Z]`).Match(proof) {
		t.Errorf("docs/proof.md names no test: %v", err)
	}
}

// citation is a section, or several, of a document in docs/reference, or the
// heading of one.
var (
	citation = regexp.MustCompile(`docs/reference/([\w-]+\.md), (?:sections? ([\d.]+(?:(?:, | and | to )[\d.]+)*)|appendix ([A-Z])|"([^"]+)")`)
	lineEnd  = regexp.MustCompile(`\n\s*//\s*`)
)

// What comments say of SignalR names a section that a reader can open.
func TestReferencesOfCommentsExist(t *testing.T) {
	for path, code := range goFiles(t) {
		if path == "house_test.go" {
			continue
		}
		text := lineEnd.ReplaceAllString(code, " ") // a citation may go over the end of a line
		if m := regexp.MustCompile(`[\w:-]+ reference, (sections?|appendix|\d)`).FindString(text); m != "" {
			t.Errorf("%s: write %q as docs/reference/FILE.md, section N", path, m)
		}
		citations := citation.FindAllStringSubmatch(text, -1)
		if n := strings.Count(text, "docs/reference/") - len(citations); n != 0 {
			t.Errorf("%s cites docs/reference without a section, %d times", path, n)
		}
		for _, m := range citations {
			document, err := os.ReadFile(filepath.Join("docs", "reference", m[1]))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if heading := regexp.MustCompile(`(?m)^#+ ` + regexp.QuoteMeta(m[4]) + `$`); m[4] != "" && !heading.Match(document) {
				t.Errorf("%s: %s has no section %q", path, m[1], m[4])
			}
			for _, section := range append(regexp.MustCompile(`\d+(\.\d+)*`).FindAllString(m[2], -1), m[3]) {
				if heading := regexp.MustCompile(`(?m)^#+ (Appendix )?` + regexp.QuoteMeta(section) + `\.? `); section != "" && !heading.Match(document) {
					t.Errorf("%s: %s has no section %s", path, m[1], section)
				}
			}
		}
	}
}

// What the reference calls its evidence is there.
func TestPathsInTheReferenceExist(t *testing.T) {
	documents, err := filepath.Glob("docs/reference/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatalf("documents: %v, %v", documents, err)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range regexp.MustCompile(`(?:^|[^.])((?:\.\./)+[\w./-]*\w)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("docs", "reference", path[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// largestFile is more than any text or recording of the repository has.
const largestFile = 4 << 20

// What go build has left in the root of a checkout is never committed.
func TestNoProgramIsCommitted(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("this is no checkout: %v", err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(names) < 100 {
		t.Fatalf("git knows %d files only", len(names))
	}
	for _, name := range names {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is being removed
		case err != nil:
			t.Error(err)
		case info.Size() > largestFile:
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}

// goFiles returns the Go files of the repository by their paths.
func goFiles(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		files[filepath.ToSlash(path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOnlyRawIOImportsUnsafe(t *testing.T) {
	for path, text := range goFiles(t) {
		folder, _, _ := strings.Cut(path, "/")
		library := folder == "protocol" || folder == "server" || folder == "backplane" || folder == "internal" || folder == "hubtest"
		raw := strings.HasPrefix(path, "internal/transport/rawio_")
		if library && !raw && !strings.HasSuffix(path, "_test.go") && strings.Contains(text, `"unsafe"`) {
			t.Errorf("%s imports unsafe", path)
		}
	}
}
