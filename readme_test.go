package hubwire_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "README.md", "SECURITY.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`).FindAllString(string(text), -1) {
			if !strings.Contains(code.String(), "\nfunc "+name+"(") {
				t.Errorf("%s names %s, which is no test", document, name)
			}
		}
		for _, path := range regexp.MustCompile("`((?:cmd|docs|interop|server|\\.ci)/[\\w./]+)`").FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(path[1]); err != nil {
				t.Errorf("%s names %s: %v", document, path[1], err)
			}
		}
	}
	if !regexp.MustCompile(`\bTest[A-Z]`).MatchString(readme(t)) {
		t.Error("README.md names no test")
	}
}
