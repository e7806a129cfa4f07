// Demo shows Hubwire in a terminal and on a web page: an app of two nodes, with
// a client on each, and one Redis between them. What is sent on node 1 reaches
// the client of node 2. Another app uses the same Redis with another prefix, and
// its client receives none of it.
//
//	go run ./cmd/demo                          # Redis is part of the program (miniredis)
//	go run ./cmd/demo -redis redis://localhost # a real one
//	go run ./cmd/demo -backplane=off           # none: the client of node 2 misses the post
//	go run ./cmd/demo -once                    # ends by itself; status 0 if all went well
//	go run ./cmd/demo -angular=off             # does not build the Angular page, which needs npm
//	go run ./cmd/demo -node 0.0.0.0:8080       # one node and no story, as a container runs it
//
// Read blog/hub.go first, then node.go: that is what an app writes. app.go puts
// nodes and Redis (bus.go) together. The clients are clients.go, page.html and,
// where there is npm, the Angular app of angular/. single.go is a node in
// a container; deploy/ and docker-compose.yml run it.
package main

import (
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
	pages := flags.String("angular", "on", "off: the Angular page is not built")
	only := flags.String("node", "", "run one node on this address, without the story; -redis names what it shares with others")
	drain := flags.Duration("drain", 5*time.Second, "with -node: how long it goes on after SIGTERM, no longer ready, before clients are told to reconnect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		return runSingle(ctx, *only, *redisURL, *drain, out)
	}
	withAngular := *pages != "off" && !*once
	app, err := newApp(*addr, *redisURL, *backplane != "off", withAngular, &screen{out: out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.stop()) }()
	story, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	if err := app.play(story); err != nil || *once {
		return err
	}
	app.screen.printf("\nOpen %s to go on in a browser, or: curl -X POST %s/api/posts/43/publish\nCtrl+C ends the demo.\n", app.node1.url, app.node1.url)
	app.buildAngular(ctx)
	<-ctx.Done()
	return nil
}

// play tells the story: clients connect, chat, and receive a published post. It
// returns an error if one has not received what it should, or more.
func (a *app) play(ctx context.Context) error {
	a.screen.printf("Node 1: %s\nNode 2: %s\nRedis:  %s\n", a.node1.url, a.node2.url, a.bus)
	client1, err1 := a.connect(ctx, "client of node 1", a.node1.url+"/hub")
	client2, err2 := a.connect(ctx, "client of node 2", a.node2.url+"/hub")
	other, err3 := a.connect(ctx, "client of another app", a.node2.url+"/other/hub")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	// A hub that has answered a call knows the client: none misses what is sent now.
	for _, c := range []*client{client1, client2, other} {
		if err := c.Invoke(ctx, nil, "JoinGroup", "readers"); err != nil {
			return err
		}
	}
	a.screen.printf("\nThe client of node 1 calls SendMessage")
	if err := client1.Invoke(ctx, nil, "SendMessage", "client of node 1", "hello"); err != nil {
		return err
	}
	everywhere := []*client{client1, client2}
	if a.bus == nil {
		everywhere = everywhere[:1]
	}
	if err := expectAll(ctx, everywhere, "message hello"); err != nil {
		return err
	}
	if err := a.node1.publish(ctx, "", 42, a.screen); err != nil {
		return err
	}
	if err := expectAll(ctx, everywhere, "post 42"); err != nil {
		return err
	}
	// A client that has missed post 42 still receives what comes after it.
	last, path, ending := other, "/other", "Both clients of the app have received post 42. The other app has a prefix of its own: its client\nhas received post 7 only."
	if a.bus == nil {
		last, path, ending = client2, "", "Without a backplane the client of node 2 has missed post 42, which was published on node 1."
	}
	if err := a.node2.publish(ctx, path, 7, a.screen); err != nil {
		return err
	}
	if err := last.expect(ctx, "post 7"); err != nil {
		return err
	}
	a.screen.printf("\n%s", ending)
	return nil
}

func expectAll(ctx context.Context, clients []*client, want string) error {
	for _, c := range clients {
		if err := c.expect(ctx, want); err != nil {
			return err
		}
	}
	return nil
}
