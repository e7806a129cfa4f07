package js

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// browserTime bounds a session of the browser.
const browserTime = 5 * time.Minute

func TestOldClientInABrowserFromAnotherOrigin(t *testing.T) {
	harness.Need(t, "node", "npm")
	chromium := harness.Tool(t, "chromium")
	modules := harness.Modules(t, ".")
	node := harness.StartNode(t, harness.NodeCommand(t))
	cmd := exec.Command("node", absolute(t, "browser.mjs"), node.URL, chromium)
	cmd.Dir = modules
	out, err := harness.Run(t, cmd, browserTime)
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("browser.mjs printed %q and ended with %v", out, err)
	}
}
