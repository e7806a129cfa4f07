package js

import (
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// TestOfficialClientsOnAnyNode plays what makes most requests of the clients' matrix
// with three nodes, of which each request gets a random one. The groups, results and
// stop of one node are others over Redis: who is on no node is noticed late, and
// with another text. What a node gets for another one goes over Redis, or directly.
func TestOfficialClientsOnAnyNode(t *testing.T) {
	harness.Long(t, "takes a minute")
	harness.NeedOwnNode(t)
	harness.Need(t, "node", "npm", "redis-server")
	modules, node := harness.Modules(t, "."), harness.NodeCommand(t)
	for _, way := range []string{"redis", "direct"} {
		for _, file := range []string{"calls", "raw", "reconnect", "streams", "uploads", "values"} {
			t.Run(way+"/"+file, func(t *testing.T) {
				t.Parallel()
				command := node + " --nodes 3 --prefix " + way + file + ": --redis " + strings.TrimPrefix(harness.Redis(t), "redis://")
				if way == "direct" {
					command += " --direct true"
				}
				args, refused := harness.Refusals(t)
				command += " " + strings.Join(args, " ")
				file += ".test.mjs"
				var outcomes []harness.Outcome
				var err error
				harness.Again(t, refused, func() (failed string) {
					outcomes, err = harness.RunNodeTests(t, modules, file, "NODE_COMMAND="+command, "CLIENTS=current")
					for _, o := range outcomes {
						if !o.Passed {
							failed += "\n" + o.Name() + ": " + o.Error
						}
					}
					if failed == "" && err != nil {
						failed = err.Error()
					}
					return failed
				})
				report(t, file, outcomes, err)
			})
		}
	}
}
