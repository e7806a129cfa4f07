package hubgen

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server/hubgen"
)

func TestDocumentsAreValidByTheSchemaOfAsyncAPI(t *testing.T) {
	modules := harness.Modules(t, ".")
	script, err := filepath.Abs("asyncapi/validate.cjs")
	if err != nil {
		t.Fatal(err)
	}
	chat, err := filepath.Abs(golden + "/chat.asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	types := filepath.Join(t.TempDir(), "types.json")
	write(t, types, hubgen.AsyncAPI, &Types{}, hubgen.Info{Title: "T", Version: "1", Path: "/types", Server: "ws://127.0.0.1:80"}, told, asked)
	cmd := exec.Command("node", script, chat, types)
	cmd.Dir = modules
	out, err := harness.Run(t, cmd, limit)
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("validate.cjs ended with %v and printed\n%s", err, out)
	}
}
