package middleware

import (
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// The balancers of docs/fleet.md as they stand, but for their addresses.
func TestTheBalancersOfThePageServeAFleetOfBothKinds(t *testing.T) {
	f := startFleet(t)
	asp := f.aspNode(t, harness.Net11)
	for _, tool := range []string{"nginx", "haproxy"} {
		t.Run(tool, func(t *testing.T) {
			groups(t, harness.PageProxy(t, "fleet.md", "## With ASP.NET Core nodes", tool, []string{f.goNodes[0], asp}, "/chat", "/hub"))
		})
	}
}
