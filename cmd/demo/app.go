package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// stopTime is how long a node may take to stop.
const stopTime = 5 * time.Second

// An app is two nodes and, where there is a bus, another app on it.
type app struct {
	bus     *bus         // nil with -backplane=off
	angular *angularPage // nil without npm, or with -angular=off
	screen  *screen
	clients []*client
	origins []string    // of the pages of both nodes
	node2   *node       // runs as long as the app
	running atomic.Bool // node 1 runs

	mu    sync.Mutex // held while node 1 stops or starts; guards what follows
	node1 *node      // the latest one
	ended bool       // the app stops for good
}

func newApp(addr, redisURL string, backplane bool, angular *angularPage, screen *screen) (*app, error) {
	a := &app{angular: angular, screen: screen}
	if err := a.build(addr, redisURL, backplane); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *app) build(addr, redisURL string, backplane bool) (err error) {
	if backplane {
		if a.bus, err = openBus(redisURL); err != nil {
			return err
		}
	}
	if a.node1, err = listen("node 1", addr, a.screen); err != nil {
		return err
	}
	if a.node2, err = listen("node 2", nextPort(a.node1.l.Addr().String()), a.screen); err != nil {
		return err
	}
	a.origins = origins(a.node1, a.node2)
	for _, n := range []*node{a.node1, a.node2} {
		if err := a.furnish(n); err != nil {
			return err
		}
	}
	// The other app could run anywhere; here it shares node 2's web server.
	if err := a.addHub(a.node2, "/other", "OtherApp:"); err != nil {
		return err
	}
	a.addSwitch(a.node2)
	a.node1.start()
	a.running.Store(true)
	a.node2.start()
	return nil
}

// furnish gives a node the hub and the pages.
func (a *app) furnish(n *node) error {
	if err := a.addHub(n, "", "Demo:"); err != nil {
		return err
	}
	now := func() page {
		return page{
			Backplane: a.bus != nil, Angular: a.angular != nil, Here: n.name,
			Nodes: []pageNode{{"node 1", a.node1.url, a.running.Load()}, {"node 2", a.node2.url, true}},
			Panes: []pane{{"A", "Ada", 0, ""}, {"B", "Grace", 1, ""}, {"C", "Linus", 1, "/other"}},
		}
	}
	a.angular.addTo(n, now)
	addPage(n, now)
	return nil
}

// addHub adds the hub of the app with this prefix in Redis.
func (a *app) addHub(n *node, path, prefix string) error {
	manager, err := a.bus.manager(prefix, n.metrics)
	if err != nil {
		return err
	}
	n.addHub(path, manager, a.bus.people(prefix), a.origins)
	return nil
}

// connect adds a client in the terminal, until the app stops.
func (a *app) connect(ctx context.Context, name string, urls ...string) (*client, error) {
	c, err := connect(ctx, name, a.screen, urls...)
	if err == nil {
		a.clients = append(a.clients, c)
	}
	return c, err
}

// buildAngular begins to build the Angular page, if there is to be one.
func (a *app) buildAngular(ctx context.Context) {
	a.angular.build(ctx, []string{a.node1.url + "/app/", a.node2.url + "/app/"}, a.screen)
}

// stop ends everything that newApp and connect have begun.
func (a *app) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for _, c := range a.clients {
		c.close()
	}
	a.angular.close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	var errs []error
	for _, n := range []*node{a.node1, a.node2} {
		if n != nil {
			errs = append(errs, n.stop(ctx))
		}
	}
	return errors.Join(append(errs, a.bus.close())...)
}

// nextPort returns an address with the port after that of addr.
func nextPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	n, atoiErr := strconv.Atoi(port)
	if err != nil || atoiErr != nil || n == 65535 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}
