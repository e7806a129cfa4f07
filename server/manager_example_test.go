package server_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/hubwire/hubwire/server"
)

// counting counts the sends of a hub by whom they are for. It embeds the
// manager that it wraps, and that manager's ResultRouter, so that clients can
// still be asked for results.
type counting struct {
	server.LifetimeManager
	server.ResultRouter

	mu    sync.Mutex
	sends map[server.AudienceKind]int
}

func newCounting(m server.LifetimeManager) *counting {
	results, _ := m.(server.ResultRouter)
	return &counting{LifetimeManager: m, ResultRouter: results, sends: map[server.AudienceKind]int{}}
}

func (c *counting) Send(ctx context.Context, to server.Audience, m *server.Message) error {
	c.mu.Lock()
	c.sends[to.Kind]++
	c.mu.Unlock()
	return c.LifetimeManager.Send(ctx, to, m)
}

// A LifetimeManager that counts, traces or logs sends wraps another one and has
// one method of its own.
func ExampleLifetimeManager() {
	manager := newCounting(server.NewLifetimeManager()) // or a backplane
	hub := server.MustHub(Chat{}, &server.Options{LifetimeManager: manager})
	ctx := context.Background()
	for _, to := range []server.ClientProxy{hub.Clients().All(), hub.Clients().Group("lobby"), hub.Clients().Group("chess")} {
		if err := to.Send(ctx, "Said", "hello"); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(manager.sends)
	// Output: map[all:1 groups:2]
}
