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

// clickTime is how long the whole browser session may take.
const clickTime = 2 * time.Minute

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
			url := start(t, program, modules, "-backplane="+backplane)
			click := exec.Command("node", script, url, chromium, backplane)
			click.Dir = modules
			out, err := harness.Run(t, click, clickTime)
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Errorf("click.mjs printed %q and ended with %v", out, err)
			}
		})
	}
}

func TestScriptFromElsewhereIsTheOneOfThePackage(t *testing.T) {
	modules := harness.Modules(t, ".")
	url := start(t, build(t), t.TempDir())
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

// start starts the demo in dir and returns the URL of its page.
func start(t *testing.T, program, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process := harness.Start(t, cmd)
	lines := make(chan string, 1)
	go func() { // ends with the process: its standard output is closed then
		open := regexp.MustCompile(`^Open (\S+) `)
		for s := bufio.NewScanner(out); s.Scan(); {
			if m := open.FindStringSubmatch(s.Text()); m != nil {
				lines <- m[1]
			}
		}
		close(lines)
	}()
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	select {
	case url, ok := <-lines:
		if !ok {
			t.Fatal("the demo ended before it had a page")
		}
		return url
	case <-time.After(time.Minute):
		t.Fatal("the demo has no page after a minute")
	}
	return ""
}
