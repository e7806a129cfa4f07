package middleware

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// The balancers of docs/fleet.md as they stand, but for their addresses.
func TestTheBalancersOfThePageServeAFleetOfBothKinds(t *testing.T) {
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	f := startFleet(t)
	asp := f.aspNode(t, harness.Net11)
	around := map[string]string{"nginx": harness.NginxConfig("CONFIG"), "haproxy": "CONFIG"}
	for tool, config := range around {
		t.Run(tool, func(t *testing.T) {
			block := regexp.MustCompile("(?s)```" + tool + "\n(.*?)```").FindSubmatch(page)
			if block == nil {
				t.Fatalf("docs/fleet.md has no block of %s", tool)
			}
			shown := strings.TrimPrefix(string(block[1]), "map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n") // NginxConfig has it
			shown = strings.NewReplacer("listen 80;", "listen ADDR;", "bind :80", "bind ADDR", "/chat", "/hub",
				"10.0.0.1:8080", strings.TrimPrefix(f.goNodes[0], "http://"), "10.0.0.2:8080", strings.TrimPrefix(asp, "http://")).Replace(shown)
			groups(t, harness.Proxy(t, tool, strings.Replace(config, "CONFIG", shown, 1)))
		})
	}
}
