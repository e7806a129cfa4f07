// Package js has the tests of the official JavaScript clients, newest and 8.x,
// over every transport and protocol: *.test.mjs, for Node's own test runner.
//
//	go test ./interop/js
//	HUBWIRE_NODE="dotnet reference.dll" go test ./interop/js
package js
