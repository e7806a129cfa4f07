package main

import (
	"context"
	"errors"
	"time"
)

// storyTime is how long the story in the terminal may take.
const storyTime = 20 * time.Second

// play tells the story: clients connect, chat, and receive a published post. It
// returns an error if one has not received what it should, or more.
func (a *app) play(ctx context.Context) error {
	for i, n := range a.all() {
		a.screen.printf("Node %d: %s", i+1, n.url)
	}
	a.screen.printf("Redis:  %s\n", a.bus)
	hub1, hub2 := a.node1.url+"/hub", a.node2.url+"/hub"
	client1, err1 := a.connect(ctx, "client of node 1", hub1, hub2)
	client2, err2 := a.connect(ctx, "client of node 2", hub2, hub1)
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
