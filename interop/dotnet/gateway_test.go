package dotnet

import (
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// betweenClientAndGateway are scenarios in which nodes have no part.
var betweenClientAndGateway = map[string]string{
	"stateful reconnect: a cut goes unnoticed, and nothing is lost": "the gateway, and not the node, has the client: the tests of azure/gateway say what it does",
}

// TestOurNodeBehindOurGateway plays all modes that negotiate against nodes whose
// clients azure/gateway has: others cannot be told where to connect. What differs from
// the same nodes without a service is in expectedservice.json.
func TestOurNodeBehindOurGateway(t *testing.T) {
	forEachClient(t, func(t *testing.T, _ harness.Release, program string) {
		if !harness.OwnNode() {
			t.Skip("the node of HUBWIRE_NODE has no --azure")
		}
		g := harness.StartGateway(t)
		t.Setenv("SERVICE", g.URL()) // the matrix cuts its clients off from it
		report(t, playOn(t, program, harness.NodeCommand(t), playing{
			without: betweenClientAndGateway,
			modes:   func(r result) bool { return !strings.HasSuffix(r.Transport, "without negotiation") },
			more:    func(string) []string { return []string{"--azure", g.ConnectionString(), "--connections", "1"} }, // what is sent has an order then
		}), loadExpectations(t, "expectedservice.json"))
	})
}
