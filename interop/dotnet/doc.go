// Package dotnet holds matrix, a C# program that plays scenarios with the
// official .NET client against any node with the hub of the reference node,
// over every transport and protocol; and the tests that run it.
//
//	go test ./interop/dotnet                            our node, and the reference node where there is one
//	go test ./interop/dotnet -run Table -table          both, as a table
//	go test ./interop/dotnet -only "a stream"           only cases whose name holds it
//
// The expectations stand in the C# scenarios, and are what ASP.NET Core does.
// The tests need dotnet 10, or the offline kit in HUBWIRE_DOTNET; for the
// reference node HUBWIRE_REFERENCE_DLL too.
package dotnet
