// Package http2 holds a C# program that plays a scenario with the official
// .NET client over TLS, asking for HTTP/2, and the tests that run it against a
// hub of the test's own, which sees what arrived as HTTP/2 and what did not.
//
// WebSockets go over HTTP/2 (RFC 8441) only where net/http's switch is on,
// GODEBUG=http2xconnect=1. It is read when a program starts, so the test runs
// itself again with it. The tests need dotnet 10, or the offline kit in
// HUBWIRE_DOTNET.
package http2
