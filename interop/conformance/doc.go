// Package conformance holds a SignalR server against recordings of ASP.NET Core
// 11 and 10: single hub records, raw HTTP and WebSocket bytes, dialogues of the
// official client, and what a cluster puts on Redis. The recorders and the
// comparison are scripts for Node, which work without Go, too (README.md); the
// tests of this package run them against interop/node.
//
// expected11.json and expected.json list the scenarios in which our node differs
// from 11 and from 10 on purpose, each with its reason. A difference that is not
// listed fails the test, and so does a listed one that no longer occurs.
package conformance
