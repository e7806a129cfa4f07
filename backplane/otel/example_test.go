package otel_test

import (
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/backplane/otel"
)

// The state of Redis, and how long messages take to the other nodes, with the
// global MeterProvider.
func Example() {
	observer, err := otel.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	bp, err := backplane.New(client, &backplane.Options{HubName: "BlogApp.Hubs.PostHub", ChannelPrefix: "BlogApp:SignalR:", Observer: observer})
	if err != nil {
		log.Fatal(err)
	}
	defer bp.Close()
}
