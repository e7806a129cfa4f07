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

// An app is two nodes or more and, where there is a bus, a balancer in front of them
// and another app on it.
type app struct {
	bus      *bus         // nil with -backplane=off
	angular  *angularPage // nil without npm, or with -angular=off
	screen   *screen
	clients  []*client
	origins  []string    // of the pages of all nodes
	url1     string      // of node 1, whether it runs or not
	node2    *node       // runs as long as the app
	more     []*node     // node 3 and so on, as long
	balancer *node       // it has no hub, and passes requests on; nil without a bus
	running  atomic.Bool // node 1 runs

	mu    sync.Mutex // held while node 1 stops or starts; guards what follows
	node1 *node      // the latest one
	ended bool       // the app stops for good
}

func newApp(f flags, angular *angularPage, screen *screen) (*app, error) {
	a := &app{angular: angular, screen: screen}
	if err := a.build(f); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *app) build(f flags) (err error) {
	if f.backplane {
		if a.bus, err = openBus(f.redis); err != nil {
			return err
		}
	}
	if err := a.listen(f); err != nil {
		return err
	}
	a.origins = origins(a.all()...)
	if a.balancer != nil {
		a.origins = append(a.origins, origins(a.balancer)...)
		addBalancer(a.balancer, a.origins, a.pageNodes)
	}
	for _, n := range a.all() {
		if err := a.furnish(n); err != nil {
			return err
		}
	}
	// The other app could run anywhere; here it shares node 2's web server.
	if err := a.addHub(a.node2, "/other", "OtherApp:"); err != nil {
		return err
	}
	a.addSwitch(a.node2)
	for _, n := range a.all() {
		n.start()
	}
	a.running.Store(true)
	if a.balancer != nil {
		a.balancer.start()
	}
	return nil
}

// listen makes the nodes and the balancer, each on the port after the one before.
func (a *app) listen(f flags) (err error) {
	if a.node1, err = listen("node 1", f.addr, a.screen); err != nil {
		return err
	}
	a.url1 = a.node1.url
	last := a.node1
	next := func(name string) (*node, error) {
		n, err := listen(name, nextPort(last.l.Addr().String()), a.screen)
		if err == nil {
			last = n
		}
		return n, err
	}
	if a.node2, err = next("node 2"); err != nil {
		return err
	}
	for i := 3; i <= f.nodes; i++ {
		n, err := next("node " + strconv.Itoa(i))
		if err != nil {
			return err
		}
		a.more = append(a.more, n)
	}
	if a.bus != nil {
		a.balancer, err = next("the balancer")
	}
	return err
}

// all returns the nodes, without the balancer, that have been made.
func (a *app) all() (nodes []*node) {
	for _, n := range append([]*node{a.node1, a.node2}, a.more...) {
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// pageNodes are the nodes as pages see them now.
func (a *app) pageNodes() []pageNode {
	nodes := []pageNode{{"node 1", a.url1, a.running.Load()}, {"node 2", a.node2.url, true}}
	for _, n := range a.more {
		nodes = append(nodes, pageNode{n.name, n.url, true})
	}
	return nodes
}

// furnish gives a node the hub and the pages.
func (a *app) furnish(n *node) error {
	if err := a.addHub(n, "", "Demo:"); err != nil {
		return err
	}
	anyNode := ""
	if a.balancer != nil {
		anyNode = a.balancer.url
	}
	now := func() page {
		return page{
			Backplane: a.bus != nil, Angular: a.angular != nil, Here: n.name, AnyNode: anyNode,
			Nodes: a.pageNodes(),
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
	var urls []string
	for _, n := range a.all() {
		urls = append(urls, n.url+"/app/")
	}
	a.angular.build(ctx, urls, a.screen)
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
	for _, n := range a.all() {
		errs = append(errs, n.stop(ctx))
	}
	if a.balancer != nil {
		errs = append(errs, a.balancer.stop(ctx))
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
