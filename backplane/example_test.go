package backplane_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

type PostHub struct{}

// Nodes that share a Redis, a hub name and a prefix are one hub. The Redis of
// this example is in memory.
func Example() {
	memory, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer memory.Close()
	client := redis.NewClient(&redis.Options{Addr: memory.Addr()})
	defer client.Close()

	bp, err := backplane.New(client, &backplane.Options{
		HubName:       "BlogApp.Hubs.PostHub", // the full name of the C# class, where ASP.NET Core nodes take part
		ChannelPrefix: "BlogApp:SignalR:",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bp.Close()
	hub := server.MustHub(PostHub{}, &server.Options{LifetimeManager: bp})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := bp.Ready(ctx); err != nil { // before the node gets clients
		log.Fatal(err)
	}
	fmt.Println(bp.Health().State, hub.Clients().All().Send(ctx, "Published", 42))
	// Output: ready <nil>
}

// A raw endpoint on every node of a fleet, beside the hub or without one: the balancer
// in front may give each of its requests to any node.
func ExampleRedis_Nodes() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	bus, err := backplane.New(client, &backplane.Options{HubName: "Blog.PostHub", AnyNode: &backplane.AnyNode{}})
	if err != nil {
		log.Fatal(err)
	}
	defer bus.Close()
	echo := server.NewConnectionHandler(func(c *server.Connection) error {
		_, err := io.Copy(c, c)
		return err
	}, &server.ConnectionOptions{Nodes: bus.Nodes("echo")})
	mux := http.NewServeMux()
	server.Mount(mux, "/echo", echo)
	node := &server.Node{
		Server: &http.Server{Addr: ":8080", Handler: mux},
		Hubs:   []server.Drainer{echo},
		Checks: []func() error{bus.Check}, // no clients before the key of the fleet is known
	}
	log.Print(node.ListenAndServe(context.Background()))
}

// Sentinel finds the master; the rest is the same. NewClusterClient and
// NewUniversalClient of go-redis work as well.
func ExampleNew_sentinel() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:    "blog",
		SentinelAddrs: []string{"sentinel1:26379", "sentinel2:26379", "sentinel3:26379"},
	})
	defer client.Close()
	bp, err := backplane.New(client, &backplane.Options{
		HubName:       "BlogApp.Hubs.PostHub",
		ChannelPrefix: "BlogApp:SignalR:",
		OnStateChange: func(h backplane.Health) { log.Println("Redis:", h.State, h.Err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bp.Close()
}
