package hubgen

import (
	"os"
	"os/exec"
	"path/filepath"
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

func TestCSharpFitsTheOfficialClient(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/Chat.cs", "csharp/Program.cs", "csharp/check.csproj")
	harness.Prints(t, exec.Command("dotnet", harness.DotnetProgram(t, dir)), limit, "ok")
}
