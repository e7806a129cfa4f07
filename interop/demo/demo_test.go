package demo

import (
	"bytes"
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
	clickTime = 6 * time.Minute // for a whole browser session, however busy the machine is
	startTime = 5 * time.Minute // the first time, npm installs Angular
)

func TestPageShowsWhatItsClientsReceive(t *testing.T) {
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	program := build(t)
	shots := harness.Screenshots(t, "demo-page")
	for _, backplane := range []string{"on", "off"} {
		t.Run("backplane "+backplane, func(t *testing.T) {
			url := start(t, program, t.TempDir(), openLine, "-angular=off", "-backplane="+backplane)
			click(t, modules, url, chromium, backplane, shots)
		})
	}
}

// The page of Angular shows what the plain page shows, by what hubgen has written.
func TestAngularPageIsServedByEveryNode(t *testing.T) {
	harness.Need(t, "node", "npm")
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	pages := strings.Split(start(t, build(t), t.TempDir(), angularLine, "-nodes=3"), " and ")
	if len(pages) != 3 {
		t.Fatalf("three nodes name the pages %q", pages)
	}
	first := pages[0]
	if !bytes.Contains(fetch(t, strings.TrimSuffix(first, "app/")), []byte(`href="app/"`)) {
		t.Error("the plain page does not name the page of Angular")
	}
	for _, other := range pages[1:] {
		if one, two := fetch(t, first), fetch(t, other); !bytes.Equal(one, two) {
			t.Errorf("%s serves\n%s\n%s serves\n%s", first, one, other, two)
		}
	}
	click(t, modules, first, chromium, "on", harness.Screenshots(t, "demo"))
}

// click plays click.mjs on the page at url.
func click(t *testing.T, modules, url, chromium, backplane, shots string) {
	t.Helper()
	harness.Prints(t, harness.Script(t, modules, "click.mjs", url, chromium, backplane, shots), clickTime, "ok")
}

func TestTheClientOfThePageIsTheOneOfNpm(t *testing.T) {
	modules := harness.Modules(t, ".")
	url := start(t, build(t), t.TempDir(), openLine, "-angular=off")
	page := fetch(t, url)
	for name, file := range map[string]string{
		"signalr":                  "signalr.min.js",
		"signalr-protocol-msgpack": "signalr-protocol-msgpack.min.js",
	} {
		folder := filepath.Join(modules, "node_modules", "@microsoft", name)
		want, err := os.ReadFile(filepath.Join(folder, "dist", "browser", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, url+"/web/third-party/"+file); !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the package", file)
		}
		if !bytes.Contains(page, []byte(`src="web/third-party/`+file+`"`)) {
			t.Errorf("the page does not take %s", file)
		}
		manifest, err := os.ReadFile(filepath.Join(folder, "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		version := regexp.MustCompile(`"version": "([\d.]+)"`).FindSubmatch(manifest)
		if version == nil || !bytes.Contains(page, append([]byte("@microsoft/signalr "), version[1]...)) {
			t.Errorf("the page does not say version %s of %s", version, name)
		}
	}
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %s, %v", url, answer.Status, err)
	}
	return body
}

// build builds cmd/demo.
func build(t *testing.T) string {
	t.Helper()
	return harness.GoProgram(t, "github.com/hubwire/hubwire/cmd/demo")
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
	process, found := harness.StartUntil(t, cmd, line, startTime)
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	return found
}
