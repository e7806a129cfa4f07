package hubgen

import (
	"path/filepath"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server/hubgen"
)

func TestDocumentsAreValidByTheSchemaOfAsyncAPI(t *testing.T) {
	types := filepath.Join(t.TempDir(), "types.json")
	write(t, types, hubgen.AsyncAPI, &Types{}, hubgen.Info{Title: "T", Version: "1", Path: "/types", Server: "ws://127.0.0.1:80"}, told, asked)
	chat := harness.Abs(t, golden+"/chat.asyncapi.json")
	harness.Prints(t, harness.Script(t, harness.Modules(t, "."), "asyncapi/validate.cjs", chat, types), limit, "ok")
}
