// Demo shows Hubwire in a terminal and on a web page: an app of two nodes, with
// a client on each, and one Redis between them. What is sent on node 1 reaches
// the client of node 2. Another app uses the same Redis with another prefix, and
// its client receives none of it. A balancer in front of the nodes gives each request
// to the next one: any node serves any connection.
//
//	go run ./cmd/demo                          # Redis is part of the program (miniredis)
//	go run ./cmd/demo -redis redis://localhost # a real one
//	go run ./cmd/demo -backplane=off           # none: the client of node 2 misses the post
//	go run ./cmd/demo -nodes 3                 # more nodes
//	go run ./cmd/demo -once                    # ends by itself; status 0 if all went well
//	go run ./cmd/demo -angular=off             # does not build the Angular page, which needs npm
//	go run ./cmd/demo -addr 127.0.0.1:7000     # other ports
//	go run ./cmd/demo -node 0.0.0.0:8080       # one node and no story, as a container runs it
//
// On the page, and in the terminal with s and Enter, node 1 can be stopped and
// started again: its clients go on with node 2. The button "Any node" connects a client
// through the balancer, and shows which node gets each of its requests.
//
// Read the folder blog first, then node.go: that is what an app writes. app.go
// puts nodes and Redis (bus.go) together, switch.go stops node 1, balancer.go is in
// front of the nodes, story.go is what the terminal shows. The clients are clients.go, the page of the folder web and,
// where there is npm, the Angular app of angular/. single.go is a node in a
// container; deploy/ and docker-compose.yml run it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "demo: %v\n-help shows the flags\n", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// A usageError is a command line that makes no sense.
type usageError struct{ error }

// flags are the command line.
type flags struct {
	addr, redis        string
	backplane, angular bool
	once               bool
	nodes              int
	node               string
	drain              time.Duration
}

// mostNodes fit on the page.
const mostNodes = 5

// parse reads the command line. With -help it prints the flags to out and returns
// flag.ErrHelp; every other error is a *usageError.
func parse(args []string, out io.Writer) (f flags, err error) {
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are printed by main
	set.StringVar(&f.addr, "addr", "127.0.0.1:5000", "address of node 1; the others and the balancer have the next ones. A port that is taken is replaced by a free one")
	set.IntVar(&f.nodes, "nodes", 2, "how many nodes, 2 to 5")
	set.StringVar(&f.redis, "redis", "", "URL of a Redis, as redis://localhost:6379; none means one inside this program")
	set.StringVar(&f.node, "node", "", "run one node on this address, without the story; -redis names what it shares with others, or REDIS_URL in the environment")
	set.DurationVar(&f.drain, "drain", 5*time.Second, "with -node: how long it goes on after SIGTERM, no longer ready, before clients are told to reconnect")
	set.BoolVar(&f.once, "once", false, "end after the story; status 0 says that every client has received what it should, and nothing else")
	f.backplane, f.angular = true, true
	set.Var((*onOff)(&f.backplane), "backplane", "off: the nodes do not know each other")
	set.Var((*onOff)(&f.angular), "angular", "off: the Angular page is not built")
	err = set.Parse(args)
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(out, "Two nodes of Hubwire, one Redis, and clients in the terminal and on a page.\n\ngo run ./cmd/demo [flags]")
		set.SetOutput(out)
		set.PrintDefaults()
		return f, err
	case err != nil:
	case set.NArg() > 0:
		err = fmt.Errorf("%q is no flag", set.Arg(0))
	case f.nodes < 2, f.nodes > mostNodes:
		err = fmt.Errorf("-nodes must be 2 to %d", mostNodes)
	case given["nodes"] && f.node != "":
		err = errors.New("-nodes is not for -node, which is one")
	case f.drain < 0:
		err = errors.New("-drain is negative")
	case given["drain"] && f.node == "":
		err = errors.New("-drain is for -node")
	case f.node != "" && f.once:
		err = errors.New("-node tells no story that -once could end after")
	case f.redis != "" && !f.backplane:
		err = errors.New("-redis is for nodes with a backplane, which is off")
	}
	if err != nil {
		return f, &usageError{err}
	}
	return f, nil
}

// An onOff is a flag that is on or off.
type onOff bool

func (o *onOff) String() string {
	if o != nil && *o {
		return "on"
	}
	return "off"
}

func (o *onOff) Set(text string) error {
	if text != "on" && text != "off" {
		return errors.New("must be on or off")
	}
	*o = text == "on"
	return nil
}

// run plays the story and then serves until ctx is done, or returns at once
// with -once. Lines of in stop and start node 1.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	f, err := parse(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case f.node != "":
		// An address with a password does not belong on a command line.
		return runSingle(ctx, f.node, cmp.Or(f.redis, os.Getenv("REDIS_URL")), f.drain, out)
	}
	screen := &screen{out: out}
	var angular *angularPage
	missing := "-angular=off"
	if f.angular && !f.once {
		angular, missing = newAngularPage()
	}
	app, err := newApp(f, angular, screen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.stop()) }()
	story, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	if err := app.play(story); err != nil || f.once {
		return err
	}
	for _, c := range app.clients {
		c.follow()
	}
	screen.printf(invitation, app.node1.url, app.node2.url, app.node1.url)
	if app.balancer != nil {
		screen.printf("Any node: %s gives each request to the next node; the page shows it.", app.balancer.url)
	}
	if f.angular && angular == nil {
		screen.printf("Angular page: not built, because %s is not installed. The plain page needs nothing.", missing)
	}
	app.buildAngular(ctx)
	ignoreBackgroundReads()
	go app.readKeys(in) // ends with in, which may be with the process
	<-ctx.Done()
	return nil
}

const invitation = `
Open %s to go on in a browser (node 2 has the same page: %s),
or: curl -X POST %s/api/posts/43/publish
s and Enter: node 1 stops, and its clients go on with node 2. Once more: it starts again.
Ctrl+C ends the demo.
`
