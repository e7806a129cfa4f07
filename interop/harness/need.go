package harness

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// programs are the names under which a tool may be installed. A tool that is
// not listed has one name, its own.
var programs = map[string][]string{
	"chromium": {"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"},
}

// oldestNode is the oldest major version of Node whose test runner takes a
// custom reporter.
const oldestNode = 20

// Need skips the test, with the reason, unless every tool is installed. With
// HUBWIRE_REQUIRE_TOOLS=1 the test fails instead.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		Tool(t, tool)
	}
}

// Tool returns the path of an installed tool: node, npm, redis-server, dotnet,
// chromium or any program by its name. A tool that is missing skips the test,
// as Need does.
func Tool(t testing.TB, tool string) string {
	t.Helper()
	names := programs[tool]
	if names == nil {
		names = []string{tool}
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if tool == "node" {
			checkNode(t, path)
		}
		return path
	}
	Missing(t, "%s is not installed", tool)
	return ""
}

// Missing skips the test because something is missing, or fails it with
// HUBWIRE_REQUIRE_TOOLS=1. It does not return.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if toolsRequired() {
		t.Fatalf(format+" (HUBWIRE_REQUIRE_TOOLS=1)", args...)
	}
	t.Skipf(format, args...)
}

// A Release is a version of .NET and of ASP.NET Core: "10" or "11".
type Release string

// The releases that the tests know.
const (
	Net10 Release = "10"
	Net11 Release = "11"
)

// Releases are all of them. The newest comes first: Hubwire follows that one.
var Releases = []Release{Net11, Net10}

// Property is what a C# project of the tests is built with for the release.
func (r Release) Property() string { return "Net=" + string(r) }

// ReferenceNode returns the command line of the real ASP.NET Core node of a
// release, words divided by blanks. It needs dotnet, and HUBWIRE_REFERENCE10_DLL
// or HUBWIRE_REFERENCE11_DLL, which .ci/run sets to the reference.dll that it has
// built; else the test is skipped as by Need.
func ReferenceNode(t testing.TB, release Release) string {
	t.Helper()
	Need(t, "dotnet")
	name := "HUBWIRE_REFERENCE" + string(release) + "_DLL"
	dll := os.Getenv(name)
	if dll == "" {
		Missing(t, "%s does not say where the reference node is", name)
	}
	return "dotnet " + dll
}

var nodeVersion = regexp.MustCompile(`^v(\d+)\.`)

func checkNode(t testing.TB, path string) {
	t.Helper()
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Fatalf("%s --version: %v", path, err)
	}
	m := nodeVersion.FindSubmatch(out)
	if m == nil {
		t.Fatalf("%s --version printed %q", path, out)
	}
	if major, err := strconv.Atoi(string(m[1])); err != nil || major < oldestNode {
		Missing(t, "%s is version %s; the tests need %d or newer", path, m[1], oldestNode)
	}
}
