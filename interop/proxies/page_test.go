package proxies

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

// pageProxy starts a proxy as the block of a page in docs configures it, with these
// nodes for those of the page, and returns its URL.
func pageProxy(t *testing.T, page, tool string, nodes ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```" + tool + "\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("docs/%s has no block of %s", page, tool)
	}
	config := strings.NewReplacer("listen 80;", "listen ADDR;", "bind :80", "bind ADDR").Replace(string(block[1]))
	for i, node := range nodes {
		there := fmt.Sprintf("10.0.0.%d:8080", i+1)
		if strings.Count(config, there) != 1 {
			t.Fatalf("the block of %s in docs/%s has not one server %s", tool, page, there)
		}
		config = strings.Replace(config, there, strings.TrimPrefix(node, "http://"), 1)
	}
	if tool == "nginx" {
		before, _, _ := strings.Cut(nginx, "  map ")
		config = before + config + "}\n"
	}
	return start(t, tool, config, "")
}

// What docs/deploying.md says of nginx and haproxy is tried as it stands, with
// two nodes that do not know each other: a client that is not kept at its node
// finds no connection there.
func TestTheProxiesOfThePageKeepClientsAtTheirNode(t *testing.T) {
	modules, command := harness.Modules(t, "."), harness.NodeCommand(t)
	node1, node2 := harness.StartNode(t, command), harness.StartNode(t, command)
	script, err := filepath.Abs("call.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"nginx", "haproxy"} {
		t.Run(tool, func(t *testing.T) {
			url := pageProxy(t, "deploying.md", tool, node1.URL, node2.URL)
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
