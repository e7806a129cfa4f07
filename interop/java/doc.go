// Package java has the tests of Microsoft's Java client, newest and 7.x, over
// WebSockets and long polling: its program plays the cases of
// interop/internal/cases against interop/node, alone and as three nodes of which each
// request gets a random one.
//
//	go test ./interop/java
//	HUBWIRE_NODE="dotnet reference.dll" go test ./interop/java
package java
