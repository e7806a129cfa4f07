package backplane

import (
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

// On miniredis the contract cannot be kept: it answers PING before what was
// published earlier has come. So without a redis-server it is the Redis in
// memory.
func TestTheContractOfLifetimeManagers(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		addr := startRedis(t).addr
		contract(t, func(t *testing.T) *Redis { return node(t, addr, Options{}) })
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
