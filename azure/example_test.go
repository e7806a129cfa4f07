package azure_test

import (
	"context"
	"log"
	"net/http"

	"github.com/hubwire/hubwire/azure"
	"github.com/hubwire/hubwire/server"
)

type PostHub struct{}

func (PostHub) Like(call *server.Call, post string) error {
	return call.Clients().Group(post).Send(call.Context(), "liked", post)
}

// A hub whose clients are connected to Azure SignalR Service. The connection
// string is in the environment, as for AddAzureSignalR.
func ExampleNewHub() {
	hub, err := azure.NewHub(PostHub{}, &azure.Options{}, &server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/posts", hub)
	node := &server.Node{
		Server: &http.Server{Addr: ":8080", Handler: mux},
		Hubs:   []server.Drainer{hub},
	}
	log.Fatal(node.ListenAndServe(context.Background()))
}
