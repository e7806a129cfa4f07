// Package cuts holds a C# program that plays a dialogue with the official .NET
// client over stateful reconnect, and the tests that run it over a network
// which breaks after each byte of the dialogue in turn, in both directions.
// Nothing is lost, nothing comes twice, the order is kept.
//
//	go test ./interop/dotnet/cuts                       our node, and the reference node where there is one
//	go test ./interop/dotnet/cuts -run Our -step 1      our node, each byte
//
// The tests need dotnet 10, or the offline kit in HUBWIRE_DOTNET; for the
// reference node HUBWIRE_REFERENCE10_DLL too.
package cuts
