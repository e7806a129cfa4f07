package hubwire_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hubwire/hubwire"

// allowed says which top folders of ours, or which packages, the packages of a
// top folder import.
var allowed = map[string][]string{
	"protocol":  {"protocol"},
	"server":    {"server", "protocol"},
	"backplane": {"backplane", "server", "protocol"},
	"cmd":       {"cmd", "backplane", "server", "protocol", "interop/angular"}, // the demo builds its page
	"interop":   {"interop", "backplane", "server", "protocol"},
	"internal":  {"internal"},
}

// testOnly are modules that users of the library never link.
var testOnly = []string{
	"github.com/philippseith/signalr",
	"github.com/alicebob/miniredis/v2",
	"go.uber.org/goleak",
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
	for _, m := range []string{"github.com/redis/go-redis", "github.com/golang-jwt/jwt"} {
		if strings.Contains(deps, m) {
			t.Errorf("server depends on %s: who runs one node must not link it", m)
		}
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
