// Package cluster proves that nodes which share a Redis are one hub: Go nodes
// and ASP.NET Core nodes with official clients of both kinds on both, and Go
// nodes while Redis is killed and comes back.
package cluster
