// Package modules runs the tests of the modules in this repository that
// "go test ./..." does not reach, because they require what the library must
// not: interop/routers and interop/philippseith.
package modules
