package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Dotnet needs dotnet 10 or newer. If it is not on PATH but HUBWIRE_DOTNET is
// the folder of the offline kit, the kit's environment is set until the test
// ends. A test that calls it must not run in parallel with others before the
// call, which t.Setenv sees to.
func Dotnet(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dotnet"); err != nil {
		useKit(t, os.Getenv("HUBWIRE_DOTNET"))
	}
	out, err := exec.Command(Tool(t, "dotnet"), "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("dotnet --version: %v\n%s", err, out)
	}
	var major int
	version := string(bytes.TrimSpace(out))
	if _, err := fmt.Sscanf(version, "%d.", &major); err != nil {
		t.Fatalf("dotnet --version printed %q", version)
	}
	if major < oldestDotnet {
		Missing(t, "dotnet is version %s; the tests need %d or newer", version, oldestDotnet)
	}
}

// oldestDotnet is the major version of the SDK that the C# programs target.
const oldestDotnet = 10

// useKit sets what the kit's env.sh sets. Without a kit it does nothing.
func useKit(t *testing.T, kit string) {
	t.Helper()
	if kit == "" {
		return
	}
	script := `. "$1/env.sh" && env -0`
	out, err := exec.Command("sh", "-c", script, "sh", kit).Output()
	if err != nil {
		t.Fatalf("environment of the kit in HUBWIRE_DOTNET=%s: %v", kit, err)
	}
	for one := range strings.SplitSeq(string(out), "\x00") {
		name, value, ok := strings.Cut(one, "=")
		if ok && os.Getenv(name) != value {
			t.Setenv(name, value)
		}
	}
}

// DotnetProgram builds the C# project in dir and returns the path of its
// program, to be run as "dotnet PATH". The result is in the user's cache
// folder under a name that is a hash of the sources, so that "dotnet build"
// runs once for each of their versions and the repository stays clean. The
// properties are MSBuild's, as "Net=11". Call Dotnet first. It skips as Need does
// if packages cannot be restored; sources that do not compile fail the test.
func DotnetProgram(t testing.TB, dir string, properties ...string) string {
	t.Helper()
	program, err := dotnetProgram(dir, properties, dotnetBuild)
	if errors.Is(err, errRestore) {
		Missing(t, "packages of %s: %v", dir, err)
	}
	if err != nil {
		t.Fatalf("build %s: %v", dir, err)
	}
	return program
}

// A dotnetBuilder builds the sources in one folder into another.
type dotnetBuilder func(from, to string, properties []string) error

// dotnetProgram is DotnetProgram with the builder as an argument.
func dotnetProgram(dir string, properties []string, build dotnetBuilder) (string, error) {
	projects, err := filepath.Glob(filepath.Join(dir, "*.csproj"))
	if err != nil {
		return "", err
	}
	if len(projects) != 1 {
		return "", fmt.Errorf("%d projects in %s, want 1", len(projects), dir)
	}
	name := strings.TrimSuffix(filepath.Base(projects[0]), ".csproj") + ".dll"
	sources, project, err := dotnetSources(dir, projects[0])
	if err != nil {
		return "", err
	}
	folder, err := built("dotnet-programs", sources.hash(properties...), func(from, to string) error {
		if err := sources.copy(from); err != nil {
			return err
		}
		if err := build(filepath.Join(from, project), to, properties); err != nil {
			return err
		}
		_, err := os.Stat(filepath.Join(to, name))
		return err
	})
	return filepath.Join(folder, name), err
}

// included are the files of other folders that a project compiles, too.
var included = regexp.MustCompile(`<Compile Include="((?:\.\./)+)([^"]+)"`)

// dotnetSources reads the sources below dir, without what a build by hand has
// left there, and those of other folders that its project names. They are where they
// are in relation to each other; project is the folder of the project among them.
func dotnetSources(dir, projectFile string) (sources sourceFiles, project string, err error) {
	own, err := readSources(dir, ".cs", ".csproj")
	if err != nil {
		return nil, "", err
	}
	others := included.FindAllSubmatch(own[filepath.Base(projectFile)], -1)
	if len(others) == 0 {
		return own, ".", nil
	}
	up := "" // the longest way up
	for _, other := range others {
		if len(other[1]) > len(up) {
			up = string(other[1])
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, "", err
	}
	top := filepath.Join(dir, filepath.FromSlash(up))
	if project, err = filepath.Rel(top, dir); err != nil {
		return nil, "", err
	}
	sources = sourceFiles{}
	for name, text := range own {
		sources[filepath.Join(project, name)] = text
	}
	for _, other := range others {
		path := filepath.Join(dir, filepath.FromSlash(string(other[1])+string(other[2])))
		name, err := filepath.Rel(top, path)
		if err != nil {
			return nil, "", err
		}
		if sources[name], err = os.ReadFile(path); err != nil {
			return nil, "", err
		}
	}
	return sources, project, nil
}

// errRestore is the error of a build that did not get its packages.
var errRestore = errors.New("dotnet restore")

func dotnetBuild(from, to string, properties []string) error {
	run := func(args ...string) ([]byte, error) {
		for _, p := range properties {
			args = append(args, "-p:"+p)
		}
		cmd := exec.Command("dotnet", append(args, "--verbosity", "quiet")...)
		cmd.Dir = from
		return cmd.CombinedOutput()
	}
	if out, err := run("restore"); err != nil {
		return fmt.Errorf("%w: %w\n%s", errRestore, err, out)
	}
	if out, err := run("build", "--no-restore", "--configuration", "Release", "--output", to, "--nologo"); err != nil {
		return fmt.Errorf("dotnet build: %w\n%s", err, out)
	}
	return nil
}
