// Demo shows Hubwire in a terminal and on a web page: an app of two nodes, with
// a client on each, and one Redis between them. What is sent on node 1 reaches
// the client of node 2. Another app uses the same Redis with another prefix, and
// its client hears nothing of it.
//
//	go run ./cmd/demo                          # Redis is part of the program (miniredis)
//	go run ./cmd/demo -redis redis://localhost # a real one
//	go run ./cmd/demo -backplane=off           # none: the client of node 2 misses the post
//	go run ./cmd/demo -once                    # ends by itself; status 0 if all went well
//
// Read hub.go first, then node.go: that is what an app writes. clients.go and
// page.html are the clients, bus.go is Redis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// storyTime is how long the story in the terminal may take.
const storyTime = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the story and then serves until ctx is done, or returns at once
// with -once.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:5000", "address of node 1; node 2 has the next port. A port that is taken is replaced by a free one")
	redisURL := flags.String("redis", "", "URL of a Redis, as redis://localhost:6379; none means one inside this program")
	backplane := flags.String("backplane", "on", "off: the nodes do not know each other")
	once := flags.Bool("once", false, "end after the story; status 0 says that every client has received what it should, and nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	app, err := newApp(*addr, *redisURL, *backplane != "off", &screen{out: out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.stop()) }()
	story, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	clients, cancelClients := context.WithCancel(ctx)
	defer cancelClients()
	if err := app.play(story, clients); err != nil || *once {
		return err
	}
	app.screen.printf("\nOpen %s to go on in a browser, or: curl -X POST %s/api/posts/43/publish\nCtrl+C ends the demo.\n", app.node1.url, app.node1.url)
	<-ctx.Done()
	return nil
}

// An app is two nodes and, where there is a bus, another app on it.
type app struct {
	node1, node2 *node
	bus          *bus // nil with -backplane=off
	screen       *screen
}

func newApp(addr, redisURL string, backplane bool, screen *screen) (a *app, err error) {
	a = &app{screen: screen}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop())
		}
	}()
	if backplane {
		if a.bus, err = openBus(redisURL); err != nil {
			return nil, err
		}
	}
	if a.node1, err = listen(addr); err != nil {
		return nil, err
	}
	if a.node2, err = listen(nextPort(addr)); err != nil {
		return nil, err
	}
	nodes := []*node{a.node1, a.node2}
	for _, n := range nodes {
		manager, err := a.bus.manager("Demo:")
		if err != nil {
			return nil, err
		}
		n.addHub("", manager, nodes)
	}
	// The other app could run anywhere; here it shares node 2's web server.
	manager, err := a.bus.manager("OtherApp:")
	if err != nil {
		return nil, err
	}
	a.node2.addHub("/other", manager, nodes)
	for _, n := range nodes {
		page{Backplane: backplane, Node1: a.node1.url, Panes: []pane{
			{Name: "Client A on node 1", Hub: a.node1.url + "/hub"},
			{Name: "Client B on node 2", Hub: a.node2.url + "/hub"},
			{Name: "Client of another app", Hub: a.node2.url + "/other/hub"},
		}}.serve(n)
		n.start()
	}
	return a, nil
}

// play tells the story: clients connect, chat, and receive a published post. It
// returns an error if one has not received what it should, or more.
func (a *app) play(ctx, clients context.Context) error {
	a.screen.printf("Node 1: %s\nNode 2: %s\nRedis:  %s\n", a.node1.url, a.node2.url, a.bus)
	client1, err1 := connect(clients, "client of node 1", a.node1.url+"/hub", a.screen)
	client2, err2 := connect(clients, "client of node 2", a.node2.url+"/hub", a.screen)
	other, err3 := connect(clients, "client of another app", a.node2.url+"/other/hub", a.screen)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	a.screen.printf("\nThe client of node 1 calls SendMessage")
	if err := client1.call(ctx, "SendMessage", "client of node 1", "hello"); err != nil {
		return err
	}
	if err := a.node1.publish(ctx, "", 42, a.screen); err != nil {
		return err
	}
	if err := client1.expect(ctx, 42); err != nil {
		return err
	}
	if a.bus == nil {
		// Whoever has received post 7 first would have received 42 before.
		if err := a.node2.publish(ctx, "", 7, a.screen); err != nil {
			return err
		}
		err := client2.expect(ctx, 7)
		a.screen.printf("\nWithout a backplane the client of node 2 has missed post 42, which was published on node 1.")
		return err
	}
	if err := client2.expect(ctx, 42); err != nil {
		return err
	}
	if err := a.node2.publish(ctx, "/other", 7, a.screen); err != nil {
		return err
	}
	err := other.expect(ctx, 7)
	a.screen.printf("\nBoth clients of the app have received post 42. The other app has its own prefix: its client\nhas received its own post 7 only.")
	return err
}

// stop ends everything that newApp has begun.
func (a *app) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
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
