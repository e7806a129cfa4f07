// Package azure plays official clients against an ASP.NET Core app with the
// unmodified Microsoft.Azure.SignalR behind azure/gateway: what they see is what
// they see of the same app without a service, but for what expected.json lists. The
// same with a Go app, and with one of each on the same hub. The .NET client is played by
// package dotnet, against the same app.
//
// The app is node, the reference node with AddAzureSignalR; it is built once for
// each version of its sources. The clients are those of interop/js, with its
// tests. They need dotnet, Node and npm; see package harness.
package azure
