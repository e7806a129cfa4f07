package hubgen

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// golden are the files that the library's own tests compare with.
const golden = "../../server/hubgen/testdata"

const limit = 2 * time.Minute

// copyFiles copies each file into dir under its own name.
func copyFiles(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, file := range files {
		copyAs(t, filepath.Join(dir, filepath.Base(file)), file)
	}
}

func copyAs(t *testing.T, to, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// compile compiles files of dir, strictly, into scripts beside them.
func compile(t *testing.T, dir string, files ...string) {
	t.Helper()
	modules := harness.Modules(t, ".")
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	tsc := exec.Command("node", append([]string{"node_modules/typescript/bin/tsc", "--strict", "--noUnusedLocals", "--noUnusedParameters",
		"--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noImplicitOverride", "--isolatedModules", "--skipLibCheck",
		"--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10", "--lib", "es2022,dom"}, files...)...)
	tsc.Dir = dir
	if out, err := harness.Run(t, tsc, limit); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
}

func TestTypeScriptFitsTheOfficialClient(t *testing.T) {
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/chat.ts", golden+"/chat.messagepack.ts", "typescript/use.ts")
	compile(t, dir, "use.ts", "chat.messagepack.ts")
}

func TestCSharpFitsTheOfficialClient(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/Chat.cs", "csharp/Program.cs", "csharp/check.csproj")
	out, err := harness.Run(t, exec.Command("dotnet", harness.DotnetProgram(t, dir)), limit)
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("the program printed %q and ended with %v", out, err)
	}
}
