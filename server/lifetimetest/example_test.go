package lifetimetest_test

import (
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

// Who writes a LifetimeManager calls Run in a test of it. The managers that are
// returned are nodes of one hub, as those of a backplane; a manager for one process
// is alone. A manager that is a ResultRouter is tested as one, too.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestTheContract(t *testing.T)
		lifetimetest.Run(t, func(t *testing.T) []server.LifetimeManager {
			return []server.LifetimeManager{server.NewLifetimeManager()} // yours
		})
	}
}
