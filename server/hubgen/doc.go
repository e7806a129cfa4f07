// Package hubgen writes the client's side of a hub from its Go type, in
// TypeScript (plain, with rxjs, as an Angular service), in C#, and as an AsyncAPI
// document: names, arguments, results, streams both ways.
//
//	source, err := hubgen.ReadSource(".") // names of parameters, doc comments
//	...
//	err = hubgen.TypeScript(file, &Chat{}, nil, source,
//		hubgen.Client(ReceiveMessage, "user", "text"))
//
// The command cmd/hubgen does that from go:generate:
//
//	//go:generate go run github.com/hubwire/hubwire/cmd/hubgen -lang ts -type Chat -o chat.ts .
//
// Its functions keep no state and may be called concurrently.
package hubgen
