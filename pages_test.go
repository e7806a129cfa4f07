package hubwire_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// book are the pages whose commands and blocks are checked here and in
// interop/pages.
var book = []string{
	"README.md", "CONTRIBUTING.md", "SECURITY.md",
	"docs/README.md", "docs/authentication.md", "docs/clients.md", "docs/deploying.md", "docs/dotnet.md", "docs/getting-started.md", "docs/hubs.md",
	"docs/limits.md", "docs/proof.md", "examples/blog/README.md", "docs/redis.md", "docs/security.md", "docs/troubleshooting.md",
}

// commands are the lines of the shell that the book shows, and the test that
// runs each of them, or why none does.
var commands = map[string]string{
	"go run ./cmd/demo":                                      "TestAngularPageIsServedByEveryNode",
	"go get github.com/hubwire/hubwire":                      "TestGettingStartedRuns", // which replaces the module by this one
	"mkdir chat && cd chat":                                  "TestGettingStartedRuns",
	"go mod init example.com/chat":                           "TestGettingStartedRuns",
	"go run .":                                               "TestGettingStartedRuns",
	"npm install @microsoft/signalr":                         "TestGettingStartedRuns",
	"node client.mjs":                                        "TestGettingStartedRuns",
	"dotnet new console -o client && cd client":              "TestGettingStartedRuns", // with a project of the same content
	"dotnet add package Microsoft.AspNetCore.SignalR.Client": "TestGettingStartedRuns",

	`export JWT_KEY="a secret of 32 bytes or more, to try things out"`: "TestTheTemplateRunsAsItsReadmeSays",
	"go run ./examples/blog":                           "TestTheTemplateRunsAsItsReadmeSays",
	"go run ./examples/blog -token alice -role author": "TestTheTemplateRunsAsItsReadmeSays",
	"go mod init example.com/blog":                     "TestTheTemplateRunsAsItsReadmeSays",
	"go mod tidy":                                      "no test: it asks the module proxy; TestTheTemplateRunsAsItsReadmeSays has this module's versions",
	`curl -X POST -H "Authorization: Bearer $TOKEN" -d "title=What a hub is" http://127.0.0.1:8080/api/posts/42/publish`: "TestTheTemplateRunsAsItsReadmeSays",

	"go test -short ./protocol ./server/... ./hubtest/...": "no test: CI runs more than that",
	"go test ./...":            "no test: CI runs it",
	"go test ./interop/dotnet": "no test: CI runs it",
	"HUBWIRE_REFERENCE11_DLL=path/to/reference.dll go test ./interop/dotnet -run Table -table":                   "TestTable",
	`dotnet run --project interop/dotnet/matrix -- --plain URL --detailed URL --impatient URL --only "a stream"`: "TestOurNode",
}

// Every command of the book is run by a test, or has a reason why not.
func TestCommandsOfTheBookAreRun(t *testing.T) {
	tests := ""
	for path, text := range goFiles(t) {
		if strings.HasSuffix(path, "_test.go") {
			tests += text
		}
	}
	seen := make(map[string]bool)
	for _, page := range book {
		for _, b := range blocksOf(t, page) {
			if b.language == "" {
				t.Errorf("%s: a block has no language:\n%s", page, b.code)
			}
			if b.language != "sh" {
				continue
			}
			for line := range strings.Lines(b.code) {
				line, _, _ = strings.Cut(line, "  #")
				if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				seen[line] = true
				by := commands[line]
				if by == "" {
					t.Errorf("%s: no test runs %q: name it in commands", page, line)
				} else if strings.HasPrefix(by, "Test") && !strings.Contains(tests, "\nfunc "+by+"(") {
					t.Errorf("%s: %q is to be run by %s, which is no test", page, line, by)
				}
			}
		}
	}
	for line := range commands {
		if !seen[line] {
			t.Errorf("no page shows %q", line)
		}
	}
}

type block struct{ language, code string }

var fenced = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")

// outside is a page without its blocks of code.
func outside(page string) string { return fenced.ReplaceAllString(page, "") }

// blocksOf returns the blocks of code of a page, in order.
func blocksOf(t *testing.T, page string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// A stranger reads so much before the reference tables.
func TestReadmeIsShort(t *testing.T) {
	text, _, found := strings.Cut(readme(t), "\n## Where to go on\n")
	if words := len(strings.Fields(text)); !found || words > 900 {
		t.Errorf("README.md has %d words before its tables, want at most 900", words)
	}
}

// The service of the README is that of the page that explains it, so that the
// test of one is the test of both.
func TestReadmeShowsTheServiceOfGettingStarted(t *testing.T) {
	first := func(page string) string {
		blocks := blocksOf(t, page)
		if i := slices.IndexFunc(blocks, func(b block) bool { return b.language == "ts" }); i >= 0 {
			return blocks[i].code
		}
		t.Fatalf("%s has no TypeScript", page)
		return ""
	}
	if first("README.md") != first("docs/getting-started.md") {
		t.Error("README.md and docs/getting-started.md show different services for Angular")
	}
}

var (
	link    = regexp.MustCompile(`(?:\]\(|(?:src|srcset|href)=")([^)"\s]+)[)"]`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// Links between pages, to files and to headings click.
func TestLinksOfThePagesResolve(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(documents, "README.md", "SECURITY.md", "CONTRIBUTING.md", "interop/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(outside(string(text)), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			content, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr != nil {
				t.Errorf("%s: %v", page, statErr)
			} else if anchor != "" && (info.IsDir() || err != nil || !slices.Contains(anchors(string(content)), anchor)) {
				t.Errorf("%s: %s has no heading #%s", page, target, anchor)
			}
		}
	}
}

// anchors are what GitHub makes of the headings of a page.
func anchors(page string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(outside(page), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

func TestPicturesAreWhatTheirProgramsDraw(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs go run")
	}
	for _, picture := range []string{"fleet", "cost"} {
		dir := t.TempDir()
		if out, err := exec.Command("go", "run", "docs/images/"+picture+".go", dir).CombinedOutput(); err != nil {
			t.Fatalf("go run: %v\n%s", err, out)
		}
		for _, theme := range []string{"light", "dark"} {
			name := picture + "-" + theme + ".svg"
			drawn, err1 := os.ReadFile(filepath.Join(dir, name))
			committed, err2 := os.ReadFile(filepath.Join("docs/images", name))
			if err1 != nil || err2 != nil || string(drawn) != string(committed) {
				t.Errorf("docs/images/%s is not what %s.go draws (%v, %v): run it again", name, picture, err1, err2)
			}
		}
	}
}

// What a page shows of a file is in the file.
func TestTheIngressOfThePageIsTheFile(t *testing.T) {
	file, err := os.ReadFile("deploy/kubernetes/components/ingress-sticky/ingress.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocksOf(t, "docs/deploying.md") {
		if b.language == "yaml" && !strings.HasSuffix(string(file), b.code) {
			t.Errorf("deploy/kubernetes/components/ingress-sticky/ingress.yaml does not end with\n%s", b.code)
		}
	}
}

// What a package is for, an example shows that a user would copy.
func TestEveryPackageHasAnExample(t *testing.T) {
	if testing.Short() {
		t.Skip("packages that others begin may not have theirs yet")
	}
	files := goFiles(t)
	examples := make(map[string]bool)
	for path, text := range files {
		if strings.HasSuffix(path, "_test.go") && strings.Contains(text, "\nfunc Example") {
			examples[filepath.ToSlash(filepath.Dir(path))] = true
		}
	}
	packages := strings.Fields(list(t, "{{.ImportPath}}", "./protocol/...", "./server/...", "./backplane/...", "./hubtest/..."))
	for _, p := range packages {
		folder := strings.TrimPrefix(p, module+"/")
		if !strings.Contains(folder, "internal/") && !examples[folder] {
			t.Errorf("%s has no example", folder)
		}
	}
}
