// Package azure puts a hub behind Azure SignalR Service, or behind Hubwire's own
// gateway: the service holds the clients' connections, and the hub has the logic.
//
//	hub, err := azure.NewHub(PostHub{}, &azure.Options{ConnectionString: os.Getenv("Azure__SignalR__ConnectionString")}, nil)
//	server.Mount(mux, "/posts", hub)
//
// Clients negotiate with the hub as before, are redirected to the service with a
// token, and connect there. The hub keeps a few WebSockets to the service, which carry
// the bytes of all clients in both directions; the service finds the receivers of a
// send. docs/azure.md says what is supported and what is not.
package azure
