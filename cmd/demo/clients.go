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
	*hubclient.Client
	name   string
	screen *screen
	news   chan string // what was received, in short
}

// connect returns a client that is connected to the hub at url. ctx bounds the
// connecting; the caller closes the client.
func connect(ctx context.Context, name, url string, screen *screen) (*client, error) {
	c := &client{name: name, screen: screen, news: make(chan string, 100)}
	var err error
	c.Client, err = hubclient.Dial(ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: url},
		Receive:     c.receive,
	})
	if err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", name, url, err)
	}
	screen.printf("%-22s connected to %s", name, url)
	return c, nil
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
