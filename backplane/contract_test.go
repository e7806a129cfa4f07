package backplane

import (
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

// The suite has tests of its own, which a bubble of synctest cannot have. It waits
// for events, so the clock does not matter.
func TestTheContractOfLifetimeManagers(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		s := startRedis(t)
		contract(t, func(t *testing.T) *Redis { return node(t, s, Options{}) })
	})
	t.Run("memory", func(t *testing.T) {
		m := newMemoryRedis(t)
		contract(t, func(t *testing.T) *Redis { return m.node(t, Options{}) })
	})
}

func contract(t *testing.T, node func(t *testing.T) *Redis) {
	for name, nodes := range map[string]int{"one node": 1, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			lifetimetest.Run(t, func(t *testing.T) []server.LifetimeManager {
				var list []server.LifetimeManager
				for range nodes {
					r := node(t)
					ready(t, r)
					list = append(list, r)
				}
				return list
			})
		})
	}
}
