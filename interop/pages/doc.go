// Package pages has the tests of the README and the pages of docs that need
// more than Go: blocks of TypeScript and C# are compiled, the first steps of a
// stranger are taken, and tables are compared with the code.
//
//	go test ./interop/pages
package pages
