package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	root  = "../.."
	limit = 2 * time.Minute // for one program
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pagesWith returns the pages that have blocks in a language, but for those
// that other packages compile.
func pagesWith(t *testing.T, language string) (pages []string) {
	t.Helper()
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, root+"/README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.ToSlash(strings.TrimPrefix(path, root+"/"))
		if page != "docs/generated-clients.md" && strings.Contains(string(text), "```"+language+"\n") {
			pages = append(pages, page)
		}
	}
	return pages
}

// write puts text into a file of dir.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
