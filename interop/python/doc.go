// Package python has the tests of two clients for Python from PyPI,
// signalrcore and pysignalr, over the transports and protocols that they have:
// play.py plays the cases of interop/internal/cases against interop/node, alone and as
// three nodes of which each request gets a random one.
//
//	go test ./interop/python
//	HUBWIRE_NODE="dotnet reference.dll" go test ./interop/python
package python
