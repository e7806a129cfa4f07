package lifetimetest_test

import (
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

func TestTheManagerOfOneProcess(t *testing.T) {
	lifetimetest.Run(t, func(*testing.T) []server.LifetimeManager {
		return []server.LifetimeManager{server.NewLifetimeManager()}
	})
}
