// Package gateway is a SignalR service of one's own: app servers that were made
// for Azure SignalR Service, in C# with AddAzureSignalR or in Go with package
// azure, connect to it, and it has their clients.
//
//	g, err := gateway.New(&gateway.Options{AccessKeys: []string{key}})
//	...
//	http.ListenAndServe("127.0.0.1:8888", g)
//
// Clients come to /client, authenticated by the tokens that app servers give out;
// app servers come to /server. Both are connections of the transports that the
// hubs of package server have. The bytes of a client go to the app server that
// has it, and back; nothing of them is parsed but the handshake. Sends to users,
// groups and everybody are one message of an app server, and are fanned out here.
//
// docs/azure-gateway.md of the repository says who owns what and what bounds it.
package gateway
