package js

import (
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// browserTime bounds a session of the browser.
const browserTime = 5 * time.Minute

func TestOldClientInABrowserFromAnotherOrigin(t *testing.T) {
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	node := harness.StartNode(t, harness.NodeCommand(t))
	harness.Prints(t, harness.Script(t, modules, "browser.mjs", node.URL, chromium), browserTime, "ok")
}
