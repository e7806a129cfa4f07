package hubgen

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// page is what a reader copies; its blocks use the golden files, as those of
// the hub that it shows.
const page = "docs/generated-clients.md"

func TestTypeScriptOfThePageCompiles(t *testing.T) {
	harness.Need(t, "node", "npm")
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/chat.ts", golden+"/chat.rxjs.ts", golden+"/chat.angular.ts")
	var files []string
	for i, block := range harness.Blocks(t, page, "ts") {
		name := fmt.Sprintf("block%d.ts", i)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	compile(t, ngc, dir, files...)
}

func TestCSharpOfThePageCompiles(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/Chat.cs", "csharp/check.csproj")
	// It is compiled, not run: nothing listens.
	const first = "if (args.Length == 0) { System.Console.WriteLine(\"ok\"); return; }\n"
	program := strings.Join(harness.Blocks(t, page, "csharp"), "\n")
	usings := regexp.MustCompile(`(?m)^using [A-Za-z.]+;\n`)
	program = strings.Join(usings.FindAllString(program, -1), "") + first + usings.ReplaceAllString(program, "")
	if err := os.WriteFile(filepath.Join(dir, "Program.cs"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Prints(t, exec.Command("dotnet", harness.DotnetProgram(t, dir)), limit, "ok")
}
