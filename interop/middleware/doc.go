// Package middleware proves PassGoConnections.cs, the sample with which ASP.NET Core
// nodes pass the requests of Go nodes' connections on: official clients through fleets
// of both kinds, where each request gets a random node, and the middleware by itself
// against servers that say what has come.
//
//	go test ./interop/middleware -run Table -v
package middleware
