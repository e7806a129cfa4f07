package harness

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProgramsAreBuiltOncePerSources(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache) // where there is no XDG
	dir := t.TempDir()
	write := func(name, text string) { t.Helper(); writeFile(t, dir, name, text) }
	builds := 0
	build := func(from, to string, _ []string) error {
		builds++
		for name, want := range map[string]bool{"p.csproj": true, "Program.cs": true, "More/More.cs": true, "obj/left.cs": false, "bin/left.cs": false} {
			if _, err := os.Stat(filepath.Join(from, name)); (err == nil) != want {
				t.Errorf("%s is in the folder that is built: %v, want %v", name, err == nil, want)
			}
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, "p.dll"), nil, 0o644)
	}
	if _, err := dotnetProgram(dir, nil, build); err == nil {
		t.Error("a folder without a project: no error")
	}
	for _, name := range []string{"p.csproj", "Program.cs", "More/More.cs", "obj/left.cs", "bin/left.cs"} {
		write(name, "1")
	}
	first, err := dotnetProgram(dir, nil, build)
	if err != nil || filepath.Base(first) != "p.dll" {
		t.Fatalf("the first call: %q, %v", first, err)
	}
	write("obj/left.cs", "2") // no source
	again, err := dotnetProgram(dir, nil, build)
	if err != nil || again != first || builds != 1 {
		t.Errorf("the second call: %q, %v after %d builds; want %q after 1", again, err, builds, first)
	}
	write("More/More.cs", "2")
	other, err := dotnetProgram(dir, nil, build)
	if err != nil || other == first || builds != 2 {
		t.Errorf("with another source: %q, %v after %d builds; want a new folder after 2", other, err, builds)
	}
	eleven, err := dotnetProgram(dir, []string{Net11.Property()}, build)
	if err != nil || eleven == other || builds != 3 {
		t.Errorf("for another release: %q, %v after %d builds; want a new folder after 3", eleven, err, builds)
	}
	write("Program.cs", "3")
	fails := errors.New("no feed")
	if _, err := dotnetProgram(dir, nil, func(string, string, []string) error { return fails }); !errors.Is(err, fails) {
		t.Errorf("with a builder that fails: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(first)), "building-*")); len(left) > 0 {
		t.Errorf("folders left behind: %v", left)
	}
}

func TestAProgramIsBuiltWithTheSourcesOfOtherFoldersThatItNames(t *testing.T) {
	top := t.TempDir()
	write := func(name, text string) { t.Helper(); writeFile(t, top, name, text) }
	write("a/node/p.csproj", `<Compile Include="../../shared/More.cs" /><Compile Include="../Near.cs" />`)
	write("a/node/Program.cs", "1")
	write("a/Near.cs", "1")
	write("shared/More.cs", "1")
	write("shared/Other.cs", "1") // is not named
	dir := filepath.Join(top, "a", "node")
	read := func() (sourceFiles, string) {
		t.Helper()
		sources, project, err := dotnetSources(dir, filepath.Join(dir, "p.csproj"))
		if err != nil {
			t.Fatal(err)
		}
		return sources, filepath.ToSlash(project)
	}
	first, project := read()
	var names []string
	for name := range first {
		names = append(names, filepath.ToSlash(name))
	}
	slices.Sort(names)
	want := []string{"a/Near.cs", "a/node/Program.cs", "a/node/p.csproj", "shared/More.cs"}
	if !slices.Equal(names, want) || project != "a/node" {
		t.Errorf("the sources are %q and the project is in %q, want %q and a/node", names, project, want)
	}
	write("shared/More.cs", "2")
	if second, _ := read(); second.hash() == first.hash() {
		t.Error("another text of a file of another folder does not change the hash")
	}
	write("a/node/p.csproj", `<Compile Include="../Gone.cs" />`)
	if _, _, err := dotnetSources(dir, filepath.Join(dir, "p.csproj")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheKitsEnvironmentIsThatOfItsScript(t *testing.T) {
	Need(t, "sh")
	kit := t.TempDir()
	if err := os.WriteFile(filepath.Join(kit, "env.sh"), []byte("export HUBWIRE_TEST_KIT='a b\nc='\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("inside", func(t *testing.T) {
		useKit(t, kit)
		if got, want := os.Getenv("HUBWIRE_TEST_KIT"), "a b\nc="; got != want {
			t.Errorf("HUBWIRE_TEST_KIT = %q, want %q", got, want)
		}
	})
	if got, ok := os.LookupEnv("HUBWIRE_TEST_KIT"); ok {
		t.Errorf("after the test HUBWIRE_TEST_KIT is still %q", got)
	}
}

func TestSourcesHaveAnotherHashForOtherWords(t *testing.T) {
	sources := sourceFiles{"pom.xml": []byte("1")}
	seen := map[string]string{}
	for _, words := range [][]string{nil, {"signalr=9"}, {"signalr=7"}, {"signalr=7", "x"}, {"signalr=7x"}} {
		hash := sources.hash(words...)
		if other, ok := seen[hash]; ok {
			t.Errorf("hash(%q) = hash(%s) = %s", words, other, hash)
		}
		seen[hash] = strings.Join(words, ", ")
	}
}
