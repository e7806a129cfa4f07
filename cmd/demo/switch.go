package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/hubwire/hubwire/cmd/demo/blog"
)

// addSwitch lets pages stop node 1, and start it again, by a POST to node n, which
// must be another one.
func (a *app) addSwitch(n *node) {
	for action, run := range map[string]bool{"stop": false, "start": true} {
		n.mux.Handle("POST /api/nodes/1/"+action, forPages(a.origins, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := a.switchNode1(run); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})))
	}
}

// errEnding is the answer to a switch while the app ends.
var errEnding = errors.New("the demo ends")

// switchNode1 stops or starts node 1, tells all clients of node 2, and waits until
// that is done. It does nothing if node 1 does already what is wanted.
func (a *app) switchNode1(run bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return errEnding
	}
	if a.running.Load() == run {
		return nil
	}
	if !run {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		a.running.Store(false)
		a.screen.printf("\nnode 1 stops: its clients are told to reconnect, and go on with node 2")
		// A client that has not gone by then is cut off, which is no failure of the switch.
		if err := a.node1.stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("stop node 1: %w", err)
		}
		a.screen.printf("node 1 has stopped; the page is at %s, too", a.node2.url)
	} else {
		if err := a.restart(); err != nil {
			return fmt.Errorf("start node 1: %w", err)
		}
		a.screen.printf("\nnode 1 runs again at %s", a.node1.url)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime) // however long the switch took
	defer cancel()
	clients := a.node2.hubs[0].Clients().All()
	return blog.NodeChanged.Send(ctx, clients, "node 1", run)
}

// restart puts a new node in place of node 1, at its address. mu is held.
func (a *app) restart() error {
	l, err := net.Listen("tcp", a.node1.l.Addr().String())
	if err != nil {
		return err
	}
	n := newNode("node 1", l)
	if err := a.furnish(n); err != nil {
		return errors.Join(err, l.Close())
	}
	a.node1 = n
	n.start()
	a.running.Store(true)
	return nil
}

// readKeys takes lines from the terminal: s stops node 1, or starts it again. It
// returns when in ends.
func (a *app) readKeys(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if strings.TrimSpace(strings.ToLower(lines.Text())) != "s" {
			continue
		}
		if err := a.switchNode1(!a.running.Load()); err != nil {
			a.screen.printf("%v", err)
		}
	}
}
