// Package gateway is a self-hosted SignalR service: app servers that were made for
// Azure SignalR Service, in C# with AddAzureSignalR or in Go with package azure,
// connect to it, and it holds the connections of their clients.
//
//	g, err := gateway.New(&gateway.Options{AccessKeys: []string{key}})
//	...
//	http.ListenAndServe("127.0.0.1:8888", g)
//
// Clients connect to /client, authenticated by the tokens that app servers issue; app
// servers connect to /server. Both use the same transports as the hubs of package
// server. The bytes of a client go to the app server that has it, and back; only the
// handshake is parsed. A send to users, groups or all clients is one message of an app
// server, and is fanned out here.
//
// docs/azure-gateway.md of the repository says who owns what and what bounds it.
package gateway
