// Package azure puts a hub behind Azure SignalR Service, or behind Hubwire's own
// gateway in its place: the service holds the clients' connections, and the hub
// has the logic.
//
//	hub, err := azure.NewHub(PostHub{}, &azure.Options{ConnectionString: os.Getenv("Azure__SignalR__ConnectionString")}, nil)
//	server.Mount(mux, "/posts", hub)
//
// Clients negotiate with the hub as before, are sent to the service with a token,
// and connect there. The hub keeps a few WebSockets to the service, over which the
// bytes of all clients go both ways; whom a send reaches is found by the service.
// docs/azure.md says what is served and what is not.
package azure
