package demo

import (
	"bufio"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	clickTime = 2 * time.Minute // for a whole browser session
	startTime = 5 * time.Minute // the first time, npm installs Angular
)

func TestPageShowsWhatItsClientsReceive(t *testing.T) {
	harness.Need(t, "node", "npm")
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	program := build(t)
	script, err := filepath.Abs("click.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, backplane := range []string{"on", "off"} {
		t.Run("backplane "+backplane, func(t *testing.T) {
			// In the folder of the packages the page takes signalr.js from there.
			url := start(t, program, modules, openLine, "-angular=off", "-backplane="+backplane)
			click := exec.Command("node", script, url, chromium, backplane)
			click.Dir = modules
			out, err := harness.Run(t, click, clickTime)
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Errorf("click.mjs printed %q and ended with %v", out, err)
			}
		})
	}
}

func TestAngularPageIsServedByBothNodes(t *testing.T) {
	harness.Need(t, "node", "npm")
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	first, second, ok := strings.Cut(start(t, build(t), t.TempDir(), angularLine), " and ")
	if !ok {
		t.Fatalf("the demo names one page only: %s", first)
	}
	script, err := filepath.Abs("angular.mjs")
	if err != nil {
		t.Fatal(err)
	}
	click := exec.Command("node", script, first, second, chromium, harness.Screenshots(t, "demo"))
	click.Dir = modules
	out, err := harness.Run(t, click, clickTime)
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("angular.mjs printed %q and ended with %v", out, err)
	}
}

func TestScriptFromElsewhereIsTheOneOfThePackage(t *testing.T) {
	modules := harness.Modules(t, ".")
	url := start(t, build(t), t.TempDir(), openLine, "-angular=off")
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	html, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`<script src="(https://\S+/npm/@microsoft/signalr@([\d.]+)/(\S+))" integrity="(\S+)" crossorigin`).FindSubmatch(html)
	if m == nil {
		t.Fatalf("no script from elsewhere, with its hash, in\n%s", html)
	}
	folder := filepath.Join(modules, "node_modules", "@microsoft", "signalr")
	manifest, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil || !strings.Contains(string(manifest), `"version": "`+string(m[2])+`"`) {
		t.Errorf("the page wants version %s, the package is another (%v)", m[2], err)
	}
	file, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(string(m[3]))))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum384(file)
	// html/template writes + as an entity.
	got := strings.ReplaceAll(string(m[4]), "&#43;", "+")
	if want := "sha384-" + base64.StdEncoding.EncodeToString(hash[:]); got != want {
		t.Errorf("integrity = %s, want %s", got, want)
	}
}

// build builds cmd/demo.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/hubwire/hubwire/cmd/demo").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// What the demo prints when a page can be opened.
var (
	openLine    = regexp.MustCompile(`^Open (\S+) `)
	angularLine = regexp.MustCompile(`^Angular page: (http.*)$`)
)

// start starts the demo in dir, waits for the line, and returns what is in its
// parentheses.
func start(t *testing.T, program, dir string, line *regexp.Regexp, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process := harness.Start(t, cmd)
	found := make(chan string, 1)
	go func() { // ends with the process: its standard output is closed then
		defer close(found)
		for s := bufio.NewScanner(out); s.Scan(); {
			if m := line.FindStringSubmatch(s.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	select {
	case url, ok := <-found:
		if !ok {
			t.Fatalf("the demo ended before it printed %s", line)
		}
		return url
	case <-time.After(startTime):
		t.Fatalf("the demo has not printed %s after %v", line, startTime)
	}
	return ""
}
