// Package modules runs the tests of modules in this repository that
// "go test ./..." does not reach, because they require what the library must
// not: interop/routers.
package modules
