package proxies

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// What docs/deploying.md says of nginx and haproxy is tried as it stands, with
// two nodes that do not know each other: a client that is not kept at its node
// finds no connection there.
func TestTheProxiesOfThePageKeepClientsAtTheirNode(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	modules, command := harness.Modules(t, "."), harness.NodeCommand(t)
	node1, node2 := harness.StartNode(t, command), harness.StartNode(t, command)
	script, err := filepath.Abs("call.mjs")
	if err != nil {
		t.Fatal(err)
	}
	http, _, _ := strings.Cut(nginx, "  map ")
	for tool, before := range map[string]string{"nginx": http, "haproxy": ""} {
		t.Run(tool, func(t *testing.T) {
			block := regexp.MustCompile("(?s)```" + tool + "\n(.*?)```").FindSubmatch(page)
			if block == nil {
				t.Fatalf("docs/deploying.md has no block of %s", tool)
			}
			config := strings.NewReplacer("listen 80;", "listen ADDR;", "bind :80", "bind ADDR",
				"10.0.0.1:8080", strings.TrimPrefix(node1.URL, "http://"), "10.0.0.2:8080", strings.TrimPrefix(node2.URL, "http://")).Replace(before + string(block[1]))
			if before != "" {
				config += "}\n"
			}
			url := start(t, tool, config, "")
			for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
				cmd := exec.Command("node", script, url, transport)
				cmd.Dir = modules
				out, err := harness.Run(t, cmd, callTime)
				if got, want := strings.TrimSpace(string(out)), transport+" 3 0,1,2"; err != nil || got != want {
					t.Errorf("asked for %q: %q, %v; want %q", transport, got, err, want)
				}
			}
		})
	}
}
