package proxies

import (
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// What docs/deploying.md says of nginx and haproxy is tried as it stands, with
// two nodes that do not know each other: a client that is not kept at its node
// finds no connection there.
func TestTheProxiesOfThePageKeepClientsAtTheirNode(t *testing.T) {
	modules, command := harness.Modules(t, "."), harness.NodeCommand(t)
	node1, node2 := harness.StartNode(t, command), harness.StartNode(t, command)
	for _, tool := range []string{"nginx", "haproxy"} {
		t.Run(tool, func(t *testing.T) {
			url := harness.PageProxy(t, "deploying.md", "## "+tool, tool, []string{node1.URL, node2.URL})
			for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
				harness.Prints(t, harness.Script(t, modules, "call.mjs", url, transport), callTime, transport+" 3 0,1,2")
			}
		})
	}
}
