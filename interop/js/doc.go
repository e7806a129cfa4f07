// Package js has the tests of the official JavaScript clients over every
// transport and protocol: *.test.mjs, for Node's own test runner. Versions 10
// and 8 play them all, 7, 6, 3.1 and 1.1 those of calls, streams and groups;
// the last is also seen in a browser.
//
//	go test ./interop/js
//	HUBWIRE_NODE="dotnet reference.dll" go test ./interop/js
package js
