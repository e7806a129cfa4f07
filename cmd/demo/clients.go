package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/philippseith/signalr"

	"github.com/hubwire/hubwire/cmd/demo/blog"
)

// A client is a SignalR client in the terminal. It is philippseith/signalr's,
// an implementation that shares no code with Hubwire.
type client struct {
	signalr.Client
	name   string
	screen *screen
	news   chan string // what was received, in short
}

// connect returns a client that is connected to the hub at url.
func connect(ctx context.Context, name, url string, screen *screen) (*client, error) {
	c := &client{name: name, screen: screen, news: make(chan string, 100)}
	var err error
	c.Client, err = signalr.NewClient(ctx,
		signalr.WithConnector(func() (signalr.Connection, error) { return signalr.NewHTTPConnection(ctx, url) }),
		signalr.WithReceiver(&receiver{c}),
		signalr.Logger(quiet{}, false))
	if err != nil {
		return nil, err
	}
	c.Start()
	if err := <-c.WaitForState(ctx, signalr.ClientConnected); err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", name, url, err)
	}
	screen.printf("%-22s connected to %s", name, url)
	return c, nil
}

// A receiver has the methods that the server can call.
type receiver struct{ c *client }

// ReceiveMessage is called for a chat message.
func (r *receiver) ReceiveMessage(user, text string) {
	r.c.screen.printf("%-22s ReceiveMessage  %s: %s", r.c.name, user, text)
	r.c.note("message " + text)
}

// PostPublished is called for a post.
func (r *receiver) PostPublished(p blog.Post) {
	r.c.screen.printf("%-22s PostPublished   %d %q %s", r.c.name, p.ID, p.Title, p.PublishedAt.Format(time.TimeOnly))
	r.c.note(fmt.Sprint("post ", p.ID))
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

// call calls a method of the hub and waits for its result.
func (c *client) call(ctx context.Context, method string, args ...any) error {
	select {
	case result, ok := <-c.Invoke(method, args...):
		if !ok {
			return errors.New("the connection has ended")
		}
		return result.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quiet throws a log away.
type quiet struct{}

// Log implements signalr.StructuredLogger.
func (quiet) Log(...any) error { return nil }

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
