// Node is a node of the fleet that a rolling restart restarts: a hub whose clients
// are in a group, over a backplane, served by server.Node.
//
//	node -urls http://127.0.0.1:5000 -redis 127.0.0.1:6379 [-notice 5s] [-spread 10s] [-any]
//
// It prints "READY <url>" once it may be given clients. POST /api/tick?n=N sends N to
// the group on all nodes, GET /api/who answers with the address of the node.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

// readyTime is how long the node waits for Redis.
const readyTime = time.Minute

// group is the one that all clients join by themselves, after every reconnect; with
// -any once.
const group = "ticks"

// Fleet is the hub.
type Fleet struct{}

// Join makes the caller a member of the group.
func (Fleet) Join(call *server.Call) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

// Work takes a moment, and returns what it was given.
func (Fleet) Work(n int) int {
	time.Sleep(30 * time.Millisecond)
	return n
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	address := flags.String("urls", "http://127.0.0.1:0", "where to listen")
	redisAddress := flags.String("redis", "127.0.0.1:6379", "the Redis of the fleet")
	notice := flags.Duration("notice", 0, "see server.DrainOptions")
	spread := flags.Duration("spread", 0, "see server.DrainOptions")
	anyNode := flags.Bool("any", false, "serve requests of all nodes' clients, and keep their sessions")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	client := redis.NewClient(&redis.Options{Addr: *redisAddress})
	defer client.Close()
	busOptions := &backplane.Options{HubName: "Rolling.Fleet", Logger: log}
	hubOptions := &server.Options{Logger: log}
	if *anyNode {
		busOptions.AnyNode = &backplane.AnyNode{}
		hubOptions.Sessions = &server.SessionOptions{}
	}
	bus, err := backplane.New(client, busOptions)
	if err != nil {
		return err
	}
	defer bus.Close()
	u, err := url.Parse(*address)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", u.Host)
	if err != nil {
		return err
	}
	hubOptions.LifetimeManager = bus
	hub := server.MustHub(Fleet{}, hubOptions)
	mux := http.NewServeMux()
	node := &server.Node{
		Server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute},
		Hubs:   []server.Drainer{hub},
		Checks: []func() error{bus.Check},
		Drain:  server.DrainOptions{Notice: *notice, Spread: *spread},
		Logger: log,
	}
	server.Mount(mux, "/hub", hub)
	mux.Handle("GET /readyz", node.Ready())
	mux.HandleFunc("GET /api/who", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, l.Addr()) })
	mux.HandleFunc("POST /api/tick", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err == nil {
			err = hub.Clients().Group(group).Send(r.Context(), "Tick", n)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	if err := bus.Ready(ctx); err != nil {
		return err
	}
	fmt.Printf("READY http://%s\n", l.Addr())
	return node.Serve(context.Background(), l)
}
