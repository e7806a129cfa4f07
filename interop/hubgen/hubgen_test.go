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
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTypeScriptFitsTheOfficialClient(t *testing.T) {
	modules := harness.Modules(t, ".")
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/chat.ts", "typescript/use.ts")
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	tsc := exec.Command("node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--noUnusedLocals", "--skipLibCheck",
		"--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom", "use.ts")
	tsc.Dir = dir
	if out, err := harness.Run(t, tsc, limit); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
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
