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
const page = "../../docs/generated-clients.md"

// blocks returns the page's blocks of a language.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 {
		t.Fatalf("the page has no block of %s", language)
	}
	return all
}

func TestTypeScriptOfThePageCompiles(t *testing.T) {
	harness.Need(t, "node", "npm")
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/chat.ts", golden+"/chat.rxjs.ts", golden+"/chat.angular.ts")
	var files []string
	for i, block := range blocks(t, "ts") {
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
	program := strings.Join(blocks(t, "csharp"), "\n")
	usings := regexp.MustCompile(`(?m)^using [A-Za-z.]+;\n`)
	program = strings.Join(usings.FindAllString(program, -1), "") + first + usings.ReplaceAllString(program, "")
	if err := os.WriteFile(filepath.Join(dir, "Program.cs"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := harness.Run(t, exec.Command("dotnet", harness.DotnetProgram(t, dir)), limit)
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("the program printed %q and ended with %v", out, err)
	}
}
