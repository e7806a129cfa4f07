package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

// An app is two nodes and, where there is a bus, another app on it.
type app struct {
	node1, node2 *node
	bus          *bus         // nil with -backplane=off
	angular      *angularPage // nil without npm, or with -angular=off
	screen       *screen
	clients      []*client
}

func newApp(addr, redisURL string, backplane, angular bool, screen *screen) (*app, error) {
	a := &app{screen: screen}
	if err := a.build(addr, redisURL, backplane, angular); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *app) build(addr, redisURL string, backplane, angular bool) (err error) {
	if backplane {
		if a.bus, err = openBus(redisURL); err != nil {
			return err
		}
	}
	if a.node1, err = listen(addr); err != nil {
		return err
	}
	if a.node2, err = listen(nextPort(addr)); err != nil {
		return err
	}
	nodes := []*node{a.node1, a.node2}
	for _, n := range nodes {
		manager, err := a.bus.manager("Demo:", n.metrics)
		if err != nil {
			return err
		}
		n.addHub("", manager, nodes)
	}
	// The other app could run anywhere; here it shares node 2's web server.
	manager, err := a.bus.manager("OtherApp:", a.node2.metrics)
	if err != nil {
		return err
	}
	a.node2.addHub("/other", manager, nodes)
	if angular {
		a.angular = newAngularPage(nodes)
	}
	for _, n := range nodes {
		page{Backplane: backplane, Angular: a.angular != nil, Node1: a.node1.url, Panes: []pane{
			{Name: "Client A on node 1", Hub: a.node1.url + "/hub"},
			{Name: "Client B on node 2", Hub: a.node2.url + "/hub"},
			{Name: "Client of another app", Hub: a.node2.url + "/other/hub"},
		}}.serve(n)
		n.start()
	}
	return nil
}

// connect adds a client in the terminal, until the app stops.
func (a *app) connect(ctx context.Context, name, url string) (*client, error) {
	c, err := connect(ctx, name, url, a.screen)
	if err == nil {
		a.clients = append(a.clients, c)
	}
	return c, err
}

// buildAngular begins to build the Angular page, if there is to be one.
func (a *app) buildAngular(ctx context.Context) {
	if a.angular != nil {
		a.angular.build(ctx, []string{a.node1.url + "/app", a.node2.url + "/app"}, a.screen)
	}
}

// stop ends everything that newApp and connect have begun.
func (a *app) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, c := range a.clients {
		c.Close()
	}
	a.angular.close()
	var errs []error
	for _, n := range []*node{a.node1, a.node2} {
		if n != nil {
			errs = append(errs, n.stop(ctx))
		}
	}
	return errors.Join(append(errs, a.bus.close())...)
}

func nextPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	n, atoiErr := strconv.Atoi(port)
	if err != nil || atoiErr != nil || n == 0 {
		return addr
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}
