package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/blog"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
)

// A client is a SignalR client in the terminal: the Go client of Hubwire's tests.
// The page has the official one.
type client struct {
	name   string
	urls   []string // of the hub on each node, its own first
	screen *screen
	news   chan string // what was received, in short
	stop   func()      // ends following, and waits for its end

	*hubclient.Client // owned by the goroutine that follows, once there is one
}

// connect returns a client that is connected to the first of the urls. ctx bounds
// the connecting; the caller closes the client.
func connect(ctx context.Context, name string, screen *screen, urls ...string) (*client, error) {
	c := &client{name: name, urls: urls, screen: screen, news: make(chan string, 100)}
	if err := c.dial(ctx, urls[0]); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *client) dial(ctx context.Context, url string) error {
	connection, err := hubclient.Dial(ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: url},
		Receive:     c.receive,
	})
	if err != nil {
		return fmt.Errorf("connect %s to %s: %w", c.name, url, err)
	}
	c.Client = connection
	c.screen.printf("%-22s connected to %s", c.name, url)
	return nil
}

// retryTime is the pause between two tries to connect again.
const retryTime = time.Second

// follow lets the client go on with the next node whenever its own one ends. From
// then on only close may be called.
func (c *client) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	var follower sync.WaitGroup
	follower.Go(func() { // until close
		defer func() { c.Close() }()
		for next := 1; ; next++ {
			select {
			case <-ctx.Done():
				return
			case <-c.Done():
			}
			c.Close()
			for c.dial(ctx, c.urls[next%len(c.urls)]) != nil {
				next++
				select {
				case <-ctx.Done():
					return
				case <-time.After(retryTime):
				}
			}
		}
	})
	c.stop = func() { cancel(); follower.Wait() }
}

// close ends the client.
func (c *client) close() {
	if c.stop != nil {
		c.stop()
		return
	}
	c.Close()
}

// receive is called for each method that the server calls.
func (c *client) receive(m *protocol.Invocation) {
	var user, text string
	var post blog.Post
	switch {
	case m.Target == "ReceiveMessage" && read(m, &user, &text):
		c.screen.printf("%-22s ReceiveMessage  %s: %s", c.name, user, text)
		c.note("message " + text)
	case m.Target == "PostPublished" && read(m, &post):
		c.screen.printf("%-22s PostPublished   %d %q %s", c.name, post.ID, post.Title, post.PublishedAt.Format(time.TimeOnly))
		c.note(fmt.Sprint("post ", post.ID))
	case m.Target == "PeopleChanged", m.Target == "NodeChanged": // of the pages
	default:
		c.note(fmt.Sprintf("%s, which it does not know", m.Target))
	}
}

// read decodes the arguments of a call into pointers.
func read(m *protocol.Invocation, args ...any) bool {
	if len(m.RawArguments) != len(args) {
		return false
	}
	for i, arg := range args {
		if err := (protocol.JSON{}).Unmarshal(m.RawArguments[i], arg); err != nil {
			return false
		}
	}
	return true
}

func (c *client) note(news string) {
	select {
	case c.news <- news:
	default: // only the first ones are looked at
	}
}

// expect waits for the next thing that the client receives, which must be want.
func (c *client) expect(ctx context.Context, want string) error {
	select {
	case got := <-c.news:
		if got != want {
			return fmt.Errorf("%s has received %s, not %s", c.name, got, want)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not received %s: %w", c.name, want, ctx.Err())
	}
}

// A screen prints lines of several goroutines one after the other.
type screen struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}
