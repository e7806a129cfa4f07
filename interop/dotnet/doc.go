// Package dotnet holds matrix, a C# program that plays scenarios with the
// official .NET clients 10 and 11 against any node with the hub of the reference
// node, over every transport and protocol; client11, one that plays what only
// the client 11 can, authentication refresh and cancelled calls; and the tests
// that run them.
//
//	go test ./interop/dotnet                            our node, alone, in a cluster, and on any of three, and the reference nodes where there are any
//	go test ./interop/dotnet -run Table -table          both, as a table
//	go test ./interop/dotnet -only "a stream"           only cases whose name holds it
//
// The expectations are in the C# scenarios, and are what ASP.NET Core does. What
// differs where a service has the clients is in expectedservice.json for our node, and
// in expectedsdk.json for the app of ../azure/node with Microsoft's SDK.
// The tests need dotnet with the runtimes 10 and 11, or the offline kit in
// HUBWIRE_DOTNET; for the reference nodes HUBWIRE_REFERENCE10_DLL and
// HUBWIRE_REFERENCE11_DLL too.
package dotnet
