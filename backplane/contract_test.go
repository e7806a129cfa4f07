package backplane

import (
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/lifetimetest"
)

func TestTheContractOfLifetimeManagers(t *testing.T) {
	on(t, func(t *testing.T, addr string) {
		for name, nodes := range map[string]int{"one node": 1, "two nodes": 2} {
			t.Run(name, func(t *testing.T) {
				lifetimetest.Run(t, func(t *testing.T) []server.LifetimeManager {
					var list []server.LifetimeManager
					for range nodes {
						r := node(t, addr, Options{})
						ready(t, r)
						list = append(list, r)
					}
					return list
				})
			})
		}
	})
}
